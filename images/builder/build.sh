#!/bin/sh
# Build this image for one processor on a node of that processor, and push it by digest. A job of a stack's runners does
# that in BuildKit's own image: it needs no builder image, no privileges and no other tool.
# usage: build.sh REPOSITORY VERSION ARCHITECTURE, in the repository's top folder
set -eu
repository=$1 version=$2 architecture=$3
here=images/builder
tools=$PWD/.builder/$architecture

build() {
  buildctl-daemonless.sh build --progress=plain --frontend=dockerfile.v0 \
    --local "context=$here" --local "dockerfile=$here" --opt "platform=linux/$architecture" "$@"
}

# crane and ECR's credential helper, from the image's own stage: nobody has to bring them.
mkdir -p "$tools"
build --opt target=tools-alone --output "type=local,dest=$tools"
. "$here/login.sh"

if digest=$(crane digest "$repository:$version" 2>/dev/null); then
  if [ "${BUILD_BUILDER-}" = true ]; then
    echo "$repository:$version is there already, as $digest."
    exit
  fi
  echo "$repository:$version exists already, as $digest. A published tag is never moved: raise BUILDER_VERSION." >&2
  exit 1
fi
build --metadata-file "$tools/metadata.json" \
  --output "type=image,name=$repository,push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=true"
sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' "$tools/metadata.json" >"$tools/digest"
echo "Pushed $repository@$(cat "$tools/digest") for $architecture."
