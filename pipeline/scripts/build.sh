# When the runner stops a job, its own trap would exit with 1, as a mistake in a Dockerfile does.
trap 'exit 143' TERM

# own_repository REPOSITORY: the repository that this job may push to. Only protected refs push to REPOSITORY itself.
own_repository() {
  if [ "${BUILDYARD_TIER-}" = protected ]; then
    echo "$1"
  else
    echo "$1$review_suffix"
  fi
}

# use_images IMAGE...: make FROM NAME use this pipeline's own images, else the published ones: see bases.py.
use_images() {
  if [ $# -eq 1 ] && [ "${CI_COMMIT_BRANCH-}" != "$BUILDYARD_DEFAULT_BRANCH" ]; then
    return # it is built on no other, and nobody compares what it is made from
  fi
  named_contexts=$(resolve_bases "$@")
}

# buildctl_build ARGUMENT...: run a build, whose RUN steps get the stack's proxy. BuildKit leaves these arguments out of
# the cache's keys and the image. RUN steps get no proxy with a password, which a project's variables may have set.
buildctl_build() {
  for variable in HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    value=$(printenv "$variable") || continue
    case ${BUILDYARD_PROXY-}:$value in
      :* | *@*) ;;
      *) set -- --opt "build-arg:$variable=$value" "$@" ;; # an image's own build-args come later, and win
    esac
  done
  run_build buildctl-daemonless.sh build "$@"
}

# buildkit ARGUMENT...: run BuildKit, and keep its log in $output/log.
buildkit() {
  # The exit code comes through a pipe, not a file: the disk may be full.
  {
    result=$({
      {
        status=0
        buildctl_build "$@" 2>&1 3>&- 4>&- || status=$?
        echo "$status" >&3
      } | tee "$output/log" >&4
    } 3>&1) || :
  } 4>&1
  return "$result"
}

# damaged_caches CACHE...: print those of which BuildKit could not read a blob, by the digests at the log's end.
damaged_caches() {
  digests=$(tail -n 20 "$output/log" | grep -o 'sha256:[0-9a-f]\{64\}' | sort -u) || :
  for cache in "$@"; do
    manifest=$(crane manifest "$cache" 2>/dev/null) || continue
    for digest in $digests; do
      case $manifest in *"$digest"*) echo "$cache" && break ;; esac
    done
  done
}

# use_secret ID VARIABLE: give RUN --mount=type=secret,id=ID a CI/CD variable's value, or the content of its file.
# BuildKit takes a variable that is not set for an empty secret, and the path of a file for the secret itself.
use_secret() {
  value=$(printenv "$2" || true)
  source=env=$2
  # GitLab Runner writes a variable of the type File to this path.
  if [ "$value" = "$CI_PROJECT_DIR.tmp/$2" ] && [ -f "$value" ]; then
    source=src=$value
    [ -s "$value" ] || value=
  fi
  if [ -z "$value" ]; then
    echo "The CI/CD variable $2, for the secret $1, is empty or not set. Set it in the project or one of its groups." \
      "GitLab passes a protected variable only to pipelines of protected branches and tags." >&2
    return 1
  fi
  secrets="${secrets-} --secret id=$1,$source"
}

# cache_tag REF: the tag of a Git ref's build cache. The hash tells apart refs with one slug, a/b and a-b.
cache_tag() {
  slug=$(printf %s "$1" | tr '[:upper:]' '[:lower:]' | LC_ALL=C tr -c a-z0-9 - | cut -c 1-40)
  hash=$(printf %s "$1" | sha256sum | cut -c 1-8)
  echo "$cache_prefix$slug-$hash-$BUILDYARD_ARCHITECTURE"
}

# build_image NAME REPOSITORY CONTEXT DOCKERFILE-FOLDER DOCKERFILE [BUILDCTL-OPTION...]
build_image() {
  name=$1 published=$2 repository=$(own_repository "$2") context=$3 folder=$4 dockerfile=$5
  shift 5
  # A Git tag that no image can have ends the job here. With the commit's time in the image, building the same commit
  # again from the cache gives the same digest.
  SOURCE_DATE_EPOCH=$(image_tags commit-time)
  export SOURCE_DATE_EPOCH
  if [ "$repository" != "$published" ]; then
    echo "$CI_COMMIT_REF_NAME is not protected: its images and caches go to $repository."
  fi

  output=$(mktemp -d)
  # Get ECR's token while BuildKit starts: the helper caches it. If this fails, BuildKit asks again and says why. What
  # report_metrics needs is asked for meanwhile, too.
  {
    printf %s "$BUILDYARD_REGISTRY" | docker-credential-ecr-login get >/dev/null 2>&1 || :
    measure before "$published" >"$output/before" 2>&1
  } &
  asked=$!

  # Each ref writes its own cache, so that a cache has one writer. A Git tag is built once and writes none. A ref that
  # is not protected writes to its own repository, and nothing in it is read for a protected ref.
  own_cache='' caches=''
  if [ -z "${CI_COMMIT_TAG-}" ]; then
    ref=$CI_COMMIT_REF_NAME
    if [ "${CI_MERGE_REQUEST_SOURCE_PROJECT_ID:-$CI_PROJECT_ID}" != "$CI_PROJECT_ID" ]; then
      ref="$CI_MERGE_REQUEST_SOURCE_PROJECT_ID/$ref" # a fork's branch can have the name of one of ours
    fi
    own_cache=$repository:$(cache_tag "$ref")
    caches=$own_cache
    set -- "$@" --export-cache \
      "type=registry,ref=$own_cache,mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true$compression"
  else
    set -- "$@" --opt "label:org.opencontainers.image.version=${CI_COMMIT_TAG##*/}"
  fi
  default_cache=$published:$(cache_tag "$BUILDYARD_DEFAULT_BRANCH")
  if [ "$own_cache" != "$default_cache" ]; then
    caches="$caches $default_cache"
  fi
  # The state of earlier jobs, which kept_state.py finds, gives way to a cache that was renewed after it.
  renewed=$repository:${cache_prefix}renewed-$BUILDYARD_ARCHITECTURE
  BUILDYARD_RENEWED="$published:${renewed##*:} $renewed"
  if [ "${BUILDYARD_CACHE-}" = renew ]; then
    echo "BUILDYARD_CACHE is renew: every step runs again."
    BUILDYARD_RENEWED=
    caches=
    set -- "$@" --no-cache
  fi
  export BUILDYARD_RENEWED

  # The files of needed jobs have been read, and would change the checksum of a context that contains them.
  rm -rf .buildyard

  # publish.py finds the newer of two images for `latest` by GitLab's number of the pipeline. BuildKit's options override
  # labels of the Dockerfile. Without attestations the result is one plain manifest, whose digest depends only on what
  # was built.
  # shellcheck disable=SC2086 # the named contexts and secrets contain no spaces
  set -- --progress=plain --frontend=dockerfile.v0 \
    --local "context=$context" --local "dockerfile=$folder" --opt "filename=$dockerfile" \
    --opt "platform=$BUILDYARD_PLATFORM" ${named_contexts-} ${secrets-} \
    --opt "label:org.opencontainers.image.revision=$CI_COMMIT_SHA" \
    --opt "label:org.opencontainers.image.source=$CI_PROJECT_URL" \
    --opt "label:org.opencontainers.image.created=$CI_PIPELINE_CREATED_AT" \
    --opt "label:buildyard.pipeline=$CI_PROJECT_ID/$CI_PIPELINE_IID" \
    --output "type=image,name=$repository,push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=true$compression" \
    --metadata-file "$output/metadata.json" "$@"

  imports=
  for cache in $caches; do
    imports="$imports --import-cache type=registry,ref=$cache"
  done
  # shellcheck disable=SC2086 # the names of caches contain no spaces
  if ! buildkit "$@" $imports; then
    # shellcheck disable=SC2086
    damaged=$(damaged_caches $caches)
    [ -n "$damaged" ] || explain_refusal "$output/log" >&2 || :
    [ -n "$damaged" ] || return "$result"
    echo "The build cache $damaged is damaged: the registry has not all that it lists. Building without a cache." >&2
    buildkit "$@"
  fi

  if [ "${BUILDYARD_CACHE-}" = renew ] && [ -n "${BUILDYARD_STATE-}" ] && [ -n "$own_cache" ]; then
    crane tag "$own_cache" "${renewed##*:}" ||
      echo "The state of earlier jobs on build nodes stays as it was before: $renewed could not be moved." >&2
  fi

  mkdir .buildyard
  mv "$output/metadata.json" ".buildyard/$name-$BUILDYARD_ARCHITECTURE.json"
}
