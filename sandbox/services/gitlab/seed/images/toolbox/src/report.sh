#!/bin/sh
# Say what this toolbox holds and where it runs.
echo "toolbox on $(uname -m), with:"
sed 's/^/  /' /opt/tools/installed.txt
