#!/bin/sh
# Install the tools that a list names, one a line, into DIRECTORY/bin: install-tools.sh LIST DIRECTORY
set -eu
mkdir -p "$2/bin"
while read -r tool; do
  busybox --list | grep -qx "$tool" || { echo "there is no tool called $tool" >&2; exit 1; }
  ln -s "$(command -v busybox)" "$2/bin/$tool"
done < "$1"
(cd "$2/bin" && ls) > "$2/installed.txt"
