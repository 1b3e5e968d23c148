# Both platforms in one job, one of them under QEMU, with a cache that works, as GitLab's documentation shows.
# https://docs.gitlab.com/ci/docker/using_buildkit/
set -e
mkdir -p ~/.docker
echo '{ "credsStore": "ecr-login" }' > ~/.docker/config.json
buildctl-daemonless.sh build \
  --progress=plain \
  --frontend=dockerfile.v0 \
  --local context=${CONTEXT_PATH} \
  --local dockerfile=${CONTEXT_PATH} \
  --opt platform=linux/amd64,linux/arm64 \
  --output type=image,name=${IMAGE_URL}:${IMAGE_TAG},push=true \
  --export-cache type=registry,mode=max,image-manifest=true,ref=${IMAGE_URL}:buildcache-all \
  --import-cache type=registry,ref=${IMAGE_URL}:buildcache-all
