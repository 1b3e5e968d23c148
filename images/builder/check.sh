#!/bin/sh
# Refuse an update after which no job could start: the builder image's repository is there, but not this version.
# usage: check.sh REPOSITORY VERSION
set -eu
repository=$1 version=$2
region=$(printf %s "$repository" | cut -d . -f 4) # ACCOUNT.dkr.ecr.REGION.amazonaws.com
said=$(
  aws ecr describe-images --region "$region" --repository-name "${repository#*/}" --image-ids "imageTag=$version" 2>&1
) && exit
case $said in
  *RepositoryNotFoundException*) ;; # before the stack's first update, or jobs run in another image
  *ImageNotFoundException*)
    echo "There is no $repository:$version, in which all jobs run: the pipeline that builds it was cancelled, or" \
      "failed. Start one on the default branch with the variable BUILD_BUILDER=true." >&2
    exit 1
    ;;
  *)
    echo "$said" >&2
    exit 1
    ;;
esac
