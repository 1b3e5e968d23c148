#!/bin/sh
# buildctl with a BuildKit daemon of its own, which lives as long as the one command: what `moby/buildkit` calls by this name,
# with the same variables. Here it also is the pod: a state that nobody used before, and a node that runs arm64 programs.
set -eu
: "${BUILDCTL=buildctl}" "${BUILDKITD=buildkitd}" "${ROOTLESSKIT=rootlesskit}"
: "${BUILDKITD_FLAGS=}" "${BUILDCTL_CONNECT_RETRIES_MAX=10}"

pod=$(mktemp -d)
export XDG_RUNTIME_DIR="$pod/run" XDG_DATA_HOME="$pod/data"
address="unix://$pod/buildkitd.sock"
daemon=

stop() {
  status=$?
  trap - EXIT
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || :
    wait "$daemon" 2>/dev/null || :
  fi
  # The pod's end, which no job waits for. Files of the user's sub-uids go only from a user namespace that has those.
  { "$ROOTLESSKIT" rm -rf "$pod" || rm -rf "$pod"; } >/dev/null 2>&1 &
  exit "$status"
}
trap stop EXIT
trap 'exit 143' TERM INT HUP

mkdir -p "$XDG_RUNTIME_DIR" "$XDG_DATA_HOME"
# shellcheck disable=SC2086 # flags are several words
"$ROOTLESSKIT" emulated-node.sh "$BUILDKITD" $BUILDKITD_FLAGS --addr="$address" >"$pod/log" 2>&1 &
daemon=$!

attempt=0
until "$BUILDCTL" --addr="$address" debug workers >/dev/null 2>&1; do
  attempt=$((attempt + 1))
  if ! kill -0 "$daemon" 2>/dev/null || [ "$attempt" -gt "$BUILDCTL_CONNECT_RETRIES_MAX" ]; then
    echo "could not connect to $address after $attempt trials. BuildKit's daemon says:" >&2
    cat "$pod/log" >&2
    exit 1
  fi
  pause=$((10 + attempt * 2)) # hundredths of a second
  sleep "$((pause / 100)).$(printf %02d $((pause % 100)))"
done

"$BUILDCTL" --addr="$address" "$@"
