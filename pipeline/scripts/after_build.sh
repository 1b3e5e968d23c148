# pushed_image NAME REPOSITORY: the image that this job pushed, with its digest.
pushed_image() {
  digest=$(sed -n 's/.*"containerimage.digest": *"\([^"]*\)".*/\1/p' ".buildyard/$1-$BUILDYARD_ARCHITECTURE.json")
  echo "$(own_repository "$2")@$digest"
}

# lint_dockerfile FILE REPORT [STAGE]: list hadolint's findings and our own, also in a code quality report. None fails a
# job.
lint_dockerfile() {
  if command -v hadolint >/dev/null; then
    hadolint --no-fail --no-color "$1"
    hadolint --no-fail --format gitlab_codeclimate "$1" >"$2"
  else
    echo "The builder image has no hadolint, so its findings for $1 are missing. Update the builder image." >&2
  fi
  advise_links "$@" || echo "Could not check $1 for COPY --link; see above." >&2
}

# report_metrics NAME REPOSITORY: print the image's size and the steps from the cache, and write a metrics report.
report_metrics() {
  pushed=$(pushed_image "$1" "$2")
  wait "$asked" || :
  measure after "$1" "$pushed" "$output/log" "$output/before"
}

# test_image NAME REPOSITORY COMMAND: run a command, in RUN's exec form, in the image that this job pushed.
test_image() {
  pushed=$(pushed_image "$1" "$2")
  folder=$(mktemp -d)
  printf 'FROM %s\nRUN %s\n' "$pushed" "$3" >"$folder/Dockerfile"
  echo "Testing $pushed"
  status=0
  buildctl_build --progress=plain --frontend=dockerfile.v0 --no-cache \
    --local "context=$folder" --local "dockerfile=$folder" --opt "platform=$BUILDYARD_PLATFORM" || status=$?
  rm -r "$folder"
  if [ "$status" -ne 0 ]; then
    echo "The test of $1 for $BUILDYARD_ARCHITECTURE failed: $3. Its output is above. The image is not tagged." >&2
    return "$status"
  fi
}
