#!/bin/sh
# Refuse an update after which no job could start, since nobody has built this version of the builder image.
# usage: check.sh REPOSITORY VERSION DEPLOYED, the image in which the deployed stack's jobs run; empty before the first
# update, which makes the repository and the runners that build the image
set -eu
repository=$1 version=$2 deployed=$3
[ "${deployed%:*}" = "$repository" ] || exit 0
region=$(printf %s "$repository" | cut -d . -f 4) # ACCOUNT.dkr.ecr.REGION.amazonaws.com
said=$(
  aws ecr describe-images --region "$region" --repository-name "${repository#*/}" --image-ids "imageTag=$version" 2>&1
) && exit
case $said in *ImageNotFoundException*)
  said="There is no $repository:$version, in which all jobs run: the pipeline that builds it was cancelled, or failed."
  said="$said Start one on the default branch with the variable BUILD_BUILDER=true."
  ;;
esac
echo "$said" >&2
exit 1
