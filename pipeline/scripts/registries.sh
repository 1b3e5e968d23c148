# Pull through ECR's caches: BuildKit asks them first, and the upstream itself if they refuse.
if [ -n "$mirrors" ]; then
  if [ "${BUILDYARD_TIER-}" = protected ]; then
    folder=$cache_folder
  else
    folder=$review_cache_folder
  fi
  for mirror in $mirrors; do # HOST=FOLDER
    printf '[registry."%s"]\nmirrors = ["%s"]\n' "${mirror%%=*}" "$BUILDYARD_REGISTRY/$folder/${mirror#*=}"
  done >"$DOCKER_CONFIG/buildkitd.toml"
  export BUILDKITD_FLAGS="${BUILDKITD_FLAGS-} --config=$DOCKER_CONFIG/buildkitd.toml"
fi

# explained COMMAND...: run a build, and say after a registry's refusal which setting gives the right.
explained() {
  record=$(mktemp -d)
  {
    status=0
    "$@" 2>&1 || status=$?
    echo "$status" >"$record/status"
  } | tee "$record/output"
  status=$(cat "$record/status" 2>/dev/null || echo 137)
  if [ "$status" != 0 ]; then
    explain_refusal "$record/output" >&2
  fi
  rm -rf "$record"
  return "$status"
}
