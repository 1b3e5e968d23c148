#!/bin/sh
# A stub for BuildKit: records its arguments, each ended by NUL, and its environment, and writes the metadata file.
case " $* " in
  *" --metadata-file "*) ;;
  *) # the test of what was built
    printf '%s\0' "$@" >"$STUB_RECORD/test"
    while [ $# -gt 0 ]; do
      case $1 in dockerfile=*) cp "${1#*=}/Dockerfile" "$STUB_RECORD/test.Dockerfile" ;; esac
      shift
    done
    exit "${STUB_TEST_FAIL:-0}"
    ;;
esac
printf '%s\0' "$@" >"$STUB_RECORD/buildctl"
env >"$STUB_RECORD/environment"
ls -A >"$STUB_RECORD/files"
[ -z "${STUB_FAIL-}" ] || { echo "failed to solve" >&2; exit "$STUB_FAIL"; }
while [ $# -gt 0 ]; do
  if [ "$1" = --metadata-file ]; then
    printf '{"containerimage.digest": "sha256:built"}' >"$2"
  fi
  shift
done
