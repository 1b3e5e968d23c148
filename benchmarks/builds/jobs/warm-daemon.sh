# What people have who share one daemon that never stops, or build on their own machine: it keeps everything.
set -e
mkdir -p ~/.docker
echo '{ "credsStore": "ecr-login" }' > ~/.docker/config.json
buildctl --addr="$DAEMON" build \
  --progress=plain \
  --frontend=dockerfile.v0 \
  --local context=${CONTEXT_PATH} \
  --local dockerfile=${CONTEXT_PATH} \
  --output type=image,name=${IMAGE_URL}:${IMAGE_TAG},push=true
