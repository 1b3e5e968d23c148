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
