#!/bin/sh
# A stub for BuildKit: records its arguments, each ended by NUL, and its environment, and writes the metadata file.
# STUB_SAY is what it says instead, in its first STUB_FAILURES attempts; STUB_LOG is a file that it prints if all is well.
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
echo >>"$STUB_RECORD/attempts"
env >"$STUB_RECORD/environment"
ls -A >"$STUB_RECORD/files"
if [ -n "${STUB_SAY-}" ] && [ "$(wc -l <"$STUB_RECORD/attempts")" -le "${STUB_FAILURES-1}" ]; then
  echo "$STUB_SAY" >&2
  exit 1
fi
[ -z "${STUB_FAIL-}" ] || { echo "failed to solve" >&2; exit "$STUB_FAIL"; }
[ -z "${STUB_LOG-}" ] || cat "$STUB_LOG" >&2
while [ $# -gt 0 ]; do
  if [ "$1" = --metadata-file ]; then
    printf '{"containerimage.digest": "sha256:built"}' >"$2"
  fi
  shift
done
