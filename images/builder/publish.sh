#!/bin/sh
# Join what build.sh pushed for each processor in one image, and tag it.
# usage: publish.sh REPOSITORY VERSION ARCHITECTURE..., in the repository's top folder
set -eu
repository=$1 version=$2
shift 2
tools=$PWD/.builder/$(case $(uname -m) in aarch64 | arm64) echo arm64 ;; *) echo amd64 ;; esac)
. images/builder/login.sh

if [ "${BUILD_BUILDER-}" = true ] && digest=$(crane digest "$repository:$version" 2>/dev/null); then
  echo "$repository:$version is there already, as $digest."
  exit
fi
images=
for architecture; do
  digest=$(cat ".builder/$architecture/digest") || {
    echo "Nothing was pushed for $architecture: run its job again." >&2
    exit 1
  }
  images="$images --manifest $repository@$digest"
done
# shellcheck disable=SC2086 # digests contain no spaces
crane index append $images --tag "$repository:$version"
echo "Published $repository:$version."
