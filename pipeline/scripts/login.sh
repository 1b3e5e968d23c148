# The job uses its pod's role. AWS keys among the CI/CD variables would silently take precedence over it.
for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
  if printenv "$name" >/dev/null; then
    echo "Ignored $name: this job uses its pod's role. Remove it from the CI/CD variables of the project and its groups." >&2
    unset "$name"
  fi
done

# The job's own Docker settings: BuildKit and crane log in with ECR's credential helper, to this registry alone.
DOCKER_CONFIG=$(mktemp -d)
export DOCKER_CONFIG
printf '{"credHelpers": {"%s": "ecr-login"}}\n' "$BUILDYARD_REGISTRY" >"$DOCKER_CONFIG/config.json"
