# A runner of a stack with certificate authorities of its own mounts them: trust them besides the image's.
if [ -n "${BUILDYARD_CA_BUNDLE-}" ]; then
  if [ ! -s "$BUILDYARD_CA_BUNDLE" ]; then
    echo "BUILDYARD_CA_BUNDLE names $BUILDYARD_CA_BUNDLE, which is not there. The runner sets this variable: remove it" \
      "from the CI/CD variables of the project and its groups." >&2
    exit 1
  fi
  public=${SSL_CERT_FILE-}
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -z "$public" ] && [ -s "$file" ]; then
      public=$file
    fi
  done
  authorities=$(mktemp)
  # A file may end without a line break.
  { [ -z "$public" ] || { cat "$public" && echo; } && cat "$BUILDYARD_CA_BUNDLE"; } >"$authorities"
  # For programs in Go and Python, such as BuildKit, crane and ECR's helper; Git; curl; Python's requests; AWS's clients.
  export SSL_CERT_FILE="$authorities" GIT_SSL_CAINFO="$authorities" CURL_CA_BUNDLE="$authorities" \
    REQUESTS_CA_BUNDLE="$authorities" AWS_CA_BUNDLE="$authorities"
fi
