# The job uses its pod's role. AWS's clients would silently prefer other credentials and endpoints, so ignore those.
for name in $(env | sed -n 's/^\(AWS_[A-Z0-9_]*\)=.*/\1/p'); do
  value=$(printenv "$name") || continue # a line of another variable's value
  expected=
  case $identity:$name in
    pod-identity:AWS_CONTAINER_CREDENTIALS_FULL_URI)
      expected=http://169.254.170.23/v1/credentials # EKS's agent on the node
      case $value in
        'http://[fd00:ec2::23]/v1/credentials' | http://127.0.0.1:*) continue ;; # EKS's agent on IPv6; one in the pod
      esac
      ;;
    pod-identity:AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)
      expected=/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token
      ;;
    pod-identity:AWS_CONTAINER_AUTHORIZATION_TOKEN)
      case ${AWS_CONTAINER_CREDENTIALS_FULL_URI-} in http://127.0.0.1:*) continue ;; esac
      ;;
    irsa:AWS_WEB_IDENTITY_TOKEN_FILE)
      expected=/var/run/secrets/eks.amazonaws.com/serviceaccount/token
      ;;
    irsa:AWS_ROLE_ARN)
      continue # the token decides: STS refuses it any role that does not trust the pod's service account
      ;;
    *:AWS_ACCESS_KEY* | *:AWS_SECRET_* | *:AWS_SESSION_TOKEN | *:AWS_SECURITY_TOKEN | *:AWS_BEARER_TOKEN*) ;;
    *:AWS_PROFILE | *:AWS_DEFAULT_PROFILE | *:AWS_CONFIG_FILE | *:AWS_SHARED_CREDENTIALS_FILE) ;;
    *:AWS_ROLE_ARN | *:AWS_WEB_IDENTITY_* | *:AWS_CONTAINER_* | *:AWS_ENDPOINT_URL* | *:AWS_EC2_METADATA_SERVICE_*) ;;
    *) continue ;;
  esac
  [ "$value" != "$expected" ] || continue
  echo "Ignored $name: this job uses its pod's role. Remove it from the CI/CD variables of the project and its groups." >&2
  unset "$name"
  [ -z "$expected" ] || export "$name=$expected"
done

# Ask AWS ten times, for about a minute, when it throttles: ECR's credential helper hides the error from BuildKit and
# crane. Three times, the default, end within a few seconds.
export AWS_RETRY_MODE="${AWS_RETRY_MODE:-standard}" AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-10}"

# No credentials from files in the home folder, and none of the node's role.
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true

# The agent gives credentials over plain HTTP: no proxy may see them.
NO_PROXY=169.254.170.23,fd00:ec2::23,${NO_PROXY:-${no_proxy-}}
no_proxy=$NO_PROXY
export NO_PROXY no_proxy

# The job's own Docker settings: BuildKit and crane log in to ECR with its credential helper. DOCKER_AUTH_CONFIG, which
# tells the runner how to pull images, would take precedence over them: add_logins takes what it says of other hosts.
DOCKER_CONFIG=$(mktemp -d)
export DOCKER_CONFIG
printf '%s\n' "$docker_config" >"$DOCKER_CONFIG/config.json"
if [ -n "$logins${DOCKER_AUTH_CONFIG-}" ]; then
  add_logins "$logins"
fi
unset DOCKER_AUTH_CONFIG
