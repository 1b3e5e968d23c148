# Log in to ECR as the role of this job. To be read by a script that has set `repository` and `tools`.
export PATH="$tools:$PATH"
# The job's own role, not that of its pod, which must not push this image.
unset AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
AWS_REGION=$(printf %s "$repository" | cut -d . -f 4) # ACCOUNT.dkr.ecr.REGION.amazonaws.com
DOCKER_CONFIG=$(mktemp -d)
export AWS_REGION DOCKER_CONFIG
printf '{"credHelpers": {"%s": "ecr-login"}}' "${repository%%/*}" >"$DOCKER_CONFIG/config.json"
