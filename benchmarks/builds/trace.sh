#!/bin/sh
# Stands in PATH for the program whose name it is called by: runs that, and notes in $TRACE when it began and ended.
name=${0##*/}
program=$(PATH=${PATH#*:} command -v "$name")
began=$(date +%s%N)
status=0
"$program" "$@" || status=$?
echo "$began $(date +%s%N) $name ${2%%[!a-z]*}" >>"$TRACE"
exit "$status"
