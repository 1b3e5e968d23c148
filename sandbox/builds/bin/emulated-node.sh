#!/bin/sh
# Run a command where programs of other processors run under QEMU, within the user namespace that this is started in and
# nowhere else on the machine. Such a namespace may have a list of interpreters of its own since Linux 6.7.
# EMULATED_PROCESSORS holds QEMU's names of the processors.
# Source: https://docs.kernel.org/admin-guide/binfmt-misc.html
set -eu
formats=/proc/sys/fs/binfmt_misc
if mount -t binfmt_misc binfmt_misc "$formats" 2>/dev/null; then
  for processor in $EMULATED_PROCESSORS; do
    settings=/usr/lib/binfmt.d/qemu-$processor.conf # Debian has none for the processor of the machine itself
    if [ -e "$settings" ]; then
      cat "$settings" >"$formats/register"
    fi
  done
fi
exec "$@"
