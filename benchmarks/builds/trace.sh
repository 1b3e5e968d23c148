#!/bin/sh
# Replaces in PATH the program that it is named after: runs that program, and records its begin and end in $TRACE.
name=${0##*/}
program=$(PATH=${PATH#*:} command -v "$name")
began=$(date +%s%N)
status=0
"$program" "$@" || status=$?
echo "$began $(date +%s%N) $name ${2%%[!a-z]*}" >>"$TRACE"
exit "$status"
