# The job's rights are those of its pod's role. Keys among the CI/CD variables would silently win over it.
for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
  if printenv "$name" >/dev/null; then
    echo "Ignored $name: this job uses its pod's role. Remove it from the CI/CD variables of the project and its groups." >&2
    unset "$name"
  fi
done

# A folder of the job's own: BuildKit and crane log in to the registry by ECR's credential helper, and nowhere else.
DOCKER_CONFIG=$(mktemp -d)
export DOCKER_CONFIG
printf '{"credHelpers": {"%s": "ecr-login"}}\n' "$BUILDYARD_REGISTRY" >"$DOCKER_CONFIG/config.json"
