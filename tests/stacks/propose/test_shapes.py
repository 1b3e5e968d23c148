"""Tests with small repositories, each of a shape that public ones have."""

from pathlib import Path

from stacks.architecture import Architecture
from stacks.projects import FromVariable
from tests.stacks.propose.repositories import images_of, project_of, proposed_text, repository, settings_of


def variable(name: str) -> FromVariable:
    return FromVariable.model_validate({"from": name})


BUILDCTL = """
get-tag:
  image: busybox
  script:
    - |
      if test "$CI_COMMIT_BRANCH" == "$CI_DEFAULT_BRANCH"; then
        tag=latest
      else
        DATETIME=$(TZ=Asia/Tokyo date +%y%m%d)
        tag="${DATETIME}-${CI_COMMIT_SHORT_SHA}"
      fi
    - |
      cat <<EOF > build.env
        IMAGE_TAG=$tag
        IMAGE_URL=registry.example.com/team/toolbox
        CONTEXT_PATH=$(pwd)/images/toolbox
      EOF
  artifacts: {reports: {dotenv: build.env}}

build-toolbox:arm64:
  stage: build
  tags: [arm64, linux]
  variables: &variables
    KUBERNETES_CPU_REQUEST: "6"
    KUBERNETES_MEMORY_REQUEST: 13Gi
    KUBERNETES_MEMORY_LIMIT: 20Gi
  script: &script
    - |
      case $(arch) in x86_64) ARCH=amd64 ;; aarch64) ARCH=arm64 ;; esac
      buildctl-daemonless.sh build --frontend=dockerfile.v0 \\
        --local context=${CONTEXT_PATH} --local dockerfile=${CONTEXT_PATH} \\
        --output type=image,name=${IMAGE_URL}:${IMAGE_TAG}-${ARCH},push=true

build-toolbox:amd64:
  stage: build
  tags: [amd64, linux]
  variables: *variables
  script: *script
"""


def test_a_pipeline_of_buildkit_gives_its_context_resources_and_time_zone(tmp_path: Path) -> None:
    root = repository(tmp_path, {".gitlab-ci.yml": BUILDCTL, "images/toolbox/Dockerfile": "FROM alpine\n"})
    settings = settings_of(proposed_text(root))
    [project] = settings.projects
    [image] = project.images
    assert (image.name, image.context, image.architectures) == ("toolbox", "images/toolbox", None)
    assert str(image.resources.cpu.request) == "6"
    assert image.resources.cpu.limit == image.resources.cpu.request, "a request above the default limit is refused"
    assert str(image.resources.memory.limit) == "20Gi"
    assert str(settings.runners.ceilings.memory) == "20Gi", "the job would fail at the default ceiling"
    assert project.time_zone == "Asia/Tokyo"


def test_jobs_that_have_the_names_of_published_ones_must_be_renamed(tmp_path: Path) -> None:
    root = repository(tmp_path, {".gitlab-ci.yml": BUILDCTL, "images/toolbox/Dockerfile": "FROM alpine\n"})
    text = proposed_text(root)
    assert project_of(root).pipeline_path == ".gitlab/buildyard.yml", "the hand-written pipeline is overwritten"
    assert "rename the hand-written jobs build-toolbox:amd64, build-toolbox:arm64 first" in text


KANIKO = """
include: [{local: /ci/*.yml}]
variables: {GO_VERSION: "1.22"}
build:
  extends: [.kaniko]
  tags: [x86_64]
  parallel:
    matrix:
      - SERVICE: [api, worker]
"""
KANIKO_TEMPLATE = """
.kaniko:
  stage: containers
  timeout: 2h 30m
  image: {name: "gcr.io/kaniko-project/executor:debug", entrypoint: [""]}
  before_script: [mkdir -p /kaniko/.docker]
  script:
    - >-
      /kaniko/executor --cache=true --context "${CI_PROJECT_DIR}/services/$SERVICE"
      --dockerfile "${CI_PROJECT_DIR}/services/$SERVICE/Dockerfile" --build-arg GO_VERSION
      --build-arg "REVISION=$CI_COMMIT_SHA" --build-arg BUILT="$(date)" --build-arg NPM_TOKEN=$NPM_TOKEN
      --destination "$CI_REGISTRY_IMAGE/$SERVICE:$CI_COMMIT_REF_SLUG"
"""


def test_kaniko_jobs_of_a_matrix_give_an_image_each(tmp_path: Path) -> None:
    files = {f"services/{name}/Dockerfile": "ARG GO_VERSION\nFROM golang\n" for name in ("api", "worker")}
    root = repository(tmp_path, {".gitlab-ci.yml": KANIKO, "ci/kaniko.yml": KANIKO_TEMPLATE, **files})
    images = images_of(root)
    assert {name: image.context for name, image in images.items()} == {
        "api": "services/api",
        "worker": "services/worker",
    }
    assert images["api"].build_args == {
        "GO_VERSION": "1.22",
        "REVISION": variable("CI_COMMIT_SHA"),
    }
    assert images["api"].architectures == (Architecture.AMD64,)
    assert images["api"].timeout_minutes == 150
    assert project_of(root).stage == "containers"
    text = proposed_text(root)
    assert "the build argument BUILT is $(...), which is known only in the job" in text
    assert "the build argument NPM_TOKEN looks like a secret" in text


DIND = """
default:
  image: docker:27
  services: [docker:27-dind]
  before_script: [docker login -u "$CI_REGISTRY_USER" -p "$CI_REGISTRY_PASSWORD" $CI_REGISTRY]
.push: {script: [docker push "$IMAGE"]}
base:
  script:
    - docker build --pull -t local-base base
    - docker tag local-base $CI_REGISTRY_IMAGE/base:latest
    - docker push $CI_REGISTRY_IMAGE/base:latest
app:
  variables: {IMAGE: "${CI_REGISTRY_IMAGE}:latest"}
  script:
    - cd app
    - docker buildx build --push --platform linux/arm64,linux/amd64 -t "$IMAGE" --secret id=NPM_RC,src=$NPMRC
      --build-context assets=../assets --target Runtime -f Dockerfile .. # the whole repository
    - !reference [.push, script]
  rules: [{changes: [app/**/*, assets/*]}]
"""
APP = """
ARG CI_REGISTRY_IMAGE
FROM ${CI_REGISTRY_IMAGE}/base:latest AS build
RUN --mount=type=secret,id=NPM_RC true
FROM python:3.13 AS Runtime
COPY --from=build /a /a
"""


def test_docker_in_docker_with_a_base_image_gives_its_dependency(tmp_path: Path) -> None:
    root = repository(
        tmp_path,
        {".gitlab-ci.yml": DIND, "base/Dockerfile": "FROM debian\n", "app/Dockerfile": APP, "assets/logo": ""},
    )
    images = images_of(root)
    app = images["web"]
    assert images["base"].context == "base"
    assert app.depends_on == ("base",)
    assert (app.context, app.dockerfile, app.target) == (".", "app/Dockerfile", "Runtime")
    assert app.secrets == {"NPM_RC": "NPMRC"}
    assert app.watch == ("app", "assets")
    assert app.contexts == {"assets": "assets"}
    assert app.architectures is None
    assert "write base for ${CI_REGISTRY_IMAGE}/base:latest in app/Dockerfile" in proposed_text(root)


BUILDAH = """
.build: &build
  - export TAG="$CI_COMMIT_SHORT_SHA-$(date +%Y%m%d)"
  - $BUILDAH build --format=docker --build-arg REGISTRY="$REGISTRY" --tag "$REGISTRY/$NAME:$TAG"
    --file "dockerfiles/$NAME/Dockerfile" dockerfiles
variables: {BUILDAH: buildah --storage-driver overlay2, REGISTRY: docker.io/example}
.job: {script: [*build]}
linux: {extends: .job, variables: {NAME: ci-linux}}
base: {extends: .job, variables: {NAME: ci-base}}
chosen: {extends: .job}
"""


def test_buildah_with_anchors_builds_several_images_of_one_context(tmp_path: Path) -> None:
    root = repository(
        tmp_path,
        {
            ".gitlab-ci.yml": BUILDAH,
            "dockerfiles/ci-base/Dockerfile": "FROM debian\n",
            "dockerfiles/ci-linux/Dockerfile": "ARG REGISTRY=x\nFROM ${REGISTRY}/ci-base:latest\n",
            "dockerfiles/other/Dockerfile": "FROM debian\n",
        },
    )
    images = images_of(root)
    assert images["ci-linux"].dockerfile_path == "dockerfiles/ci-linux/Dockerfile"
    assert images["ci-linux"].context == "dockerfiles"
    assert images["ci-linux"].depends_on == ("ci-base",)
    assert "other" in images, "a job builds what only a pipeline's variable says: it may be this one"
    assert "chosen: builds what only the job knows" in proposed_text(root)


SCRIPTS = """
images: {tags: [linux-aarch64], script: [./ci/build.sh one images/one, bash ci/all.sh]}
"""
BUILD = """#!/bin/bash
set -euo pipefail
NAME=$1
ARGS="--build-arg MODE=${2:-none}"
docker build \\
  $ARGS \\
  ${DEBUG:+--progress plain} \\
  --tag "registry.example.com/${NAME}" "$2"
"""
ALL = """
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ROOT="$(cd "${HERE}/.." && pwd)"
OPTIONS=(--build-arg "MODE=fast")
[[ -n "${DEBUG:-}" ]] && OPTIONS+=(--build-arg "DEBUG=${DEBUG}")
cd "$ROOT"
if [ -n "$A" ]; then KIND=a; elif [ -n "$B" ]; then KIND=b; else KIND=c; fi
for name in two three; do
  (cd images/$name && docker build -t registry.example.com/$name-arm64 .)
done
docker build "${OPTIONS[@]}" --build-arg KIND=$KIND --build-arg ARCH=$(uname -m) -t x.example/four images/four
"""


def test_scripts_that_jobs_call_are_read(tmp_path: Path) -> None:
    files = {f"images/{name}/Dockerfile": "FROM debian\n" for name in ("one", "two", "three", "four")}
    root = repository(tmp_path, {".gitlab-ci.yml": SCRIPTS, "ci/build.sh": BUILD, "ci/all.sh": ALL, **files})
    images = images_of(root)
    assert {name: image.context for name, image in images.items()} == {
        name: f"images/{name}" for name in ("one", "two", "three", "four")
    }
    assert images["one"].build_args == {"MODE": "images/one"}
    assert images["two"].architectures == (Architecture.ARM64,)
    assert images["four"].build_args == {"MODE": "fast", "DEBUG": variable("DEBUG"), "KIND": variable("KIND")}


def test_an_argument_that_names_the_architecture_is_buildkits_own(tmp_path: Path) -> None:
    pipeline = "".join(
        f"build-{arch}: {{tags: [{arch}], script: [docker build --build-arg ARCH={arch} -t x/web:1-{arch} .]}}\n"
        for arch in ("arm64", "amd64")
    )
    root = repository(tmp_path, {".gitlab-ci.yml": pipeline, "Dockerfile": "FROM debian\n"})
    assert images_of(root)["web"].build_args == {}
    assert images_of(root)["web"].architectures is None
    assert "for the build argument ARCH, use BuildKit's TARGETARCH" in proposed_text(root)


def test_images_built_on_each_other_by_an_argument_keep_their_dockerfiles(tmp_path: Path) -> None:
    argument = "ARG OWNER=example\nARG BASE_IMAGE=quay.io/$OWNER/{}\nFROM $BASE_IMAGE\n"
    root = repository(
        tmp_path,
        {
            "images/foundation/Dockerfile": "FROM ubuntu:24.04\n",
            "images/base-notebook/Dockerfile": argument.format("foundation"),
            "images/scipy-notebook/Dockerfile": argument.format("base-notebook"),
            "examples/demo/Dockerfile": argument.format("scipy-notebook"),
        },
    )
    images = images_of(root)
    assert list(images) == ["base-notebook", "foundation", "scipy-notebook"]
    assert images["scipy-notebook"].depends_on == ("base-notebook",)
    assert images["scipy-notebook"].build_args == {"BASE_IMAGE": "base-notebook"}
    assert "# note: not proposed" in proposed_text(root)
    assert project_of(root).pipeline_path == ".gitlab-ci.yml"


def test_several_dockerfiles_in_one_folder_are_named_by_their_ends(tmp_path: Path) -> None:
    files = dict.fromkeys(
        ("Dockerfile", "Dockerfile.rootfs", "debug.dockerfile", "Containerfile.cuda"), "FROM debian\n"
    )
    images = images_of(repository(tmp_path, {**files, "Dockerfile.j2": "FROM {{ x }}", "Dockerfile.md": "FROM x"}))
    assert {name: image.dockerfile for name, image in images.items()} == {
        "web": "Dockerfile",
        "rootfs": "Dockerfile.rootfs",
        "debug": "debug.dockerfile",
        "cuda": "Containerfile.cuda",
    }


def test_a_dockerfile_away_from_its_context_gets_the_folder_that_has_what_it_copies(tmp_path: Path) -> None:
    dockerfile = 'FROM golang\nCOPY go.mod cmd/ /src/\nCOPY ["pkg/*.go", "/src/"]\nCOPY <<EOF /x\nCOPY missing .\nEOF\n'
    root = repository(
        tmp_path,
        {"deploy/container/Dockerfile": dockerfile, "go.mod": "", "cmd/main.go": "", "pkg/a.go": ""},
    )
    [image] = images_of(root).values()
    assert (image.context, image.dockerfile) == (".", "deploy/container/Dockerfile")
    assert "the context is a guess" in proposed_text(root)


COMPOSE = """
services:
  api:
    image: registry.example.com/team/api:${TAG:-latest}
    build: {context: ../api, dockerfile: docker/Dockerfile, args: {MODE: fast, REVISION: null}, target: runtime}
  worker: {build: ../worker}
  database: {image: "postgres:17"}
"""


def test_docker_compose_gives_an_image_for_each_service_that_is_built(tmp_path: Path) -> None:
    root = repository(
        tmp_path,
        {
            ".gitlab-ci.yml": "images: {script: [cd deploy, docker compose -f stack.yaml --profile x build --pull]}\n",
            "deploy/stack.yaml": COMPOSE,
            "api/docker/Dockerfile": "FROM debian AS runtime\n",
            "worker/Dockerfile": "FROM debian\n",
        },
    )
    images = images_of(root)
    assert list(images) == ["api", "worker"]
    assert (images["api"].context, images["api"].dockerfile_path) == ("api", "api/docker/Dockerfile")
    assert images["api"].build_args == {"MODE": "fast", "REVISION": variable("REVISION")}
    assert images["api"].target == "runtime"


LOOPS = """
all:
  script:
    - for folder in images/*/; do docker build -t "example/$(basename $folder)" "$folder"; done
    - |
      cd legacy
      for file in *.Dockerfile; do
        docker build -f "$file" -t "example/${file%.Dockerfile}" .
      done
"""


def test_loops_over_folders_and_files_build_one_image_each(tmp_path: Path) -> None:
    files = dict.fromkeys(("images/a/Dockerfile", "images/b/Dockerfile", "legacy/c.Dockerfile"), "FROM debian\n")
    images = images_of(repository(tmp_path, {".gitlab-ci.yml": LOOPS, **files}))
    assert {name: image.dockerfile_path for name, image in images.items()} == {
        "a": "images/a/Dockerfile",
        "b": "images/b/Dockerfile",
        "c": "legacy/c.Dockerfile",
    }


TARGETS = """
dev: {script: [docker build --target development -t $CI_REGISTRY_IMAGE/api:dev api]}
chosen: {script: [docker build --target $TARGET -t $CI_REGISTRY_IMAGE/chosen chosen]}
release: {script: [docker build --target release -t $CI_REGISTRY_IMAGE/api:$CI_COMMIT_TAG api]}
versions:
  parallel: {matrix: [{PYTHON: ["3.12", "3.13"]}]}
  script: [docker build --build-arg PYTHON=$PYTHON -t $CI_REGISTRY_IMAGE/python:$PYTHON python]
"""


def test_targets_and_versions_of_one_repository_are_images_of_their_own(tmp_path: Path) -> None:
    files = {"api/Dockerfile": "FROM a AS development\nFROM b AS release\n", "python/Dockerfile": "FROM python\n"}
    files["chosen/Dockerfile"] = "FROM debian\n"
    root = repository(tmp_path, {".gitlab-ci.yml": TARGETS, **files})
    images = images_of(root)
    assert images["chosen"].target is None
    assert "the target is ${TARGET}, which is known only in the job" in proposed_text(root)
    assert {image.target for image in images.values() if image.context == "api"} == {"development", "release"}
    assert {image.build_args["PYTHON"] for image in images.values() if image.context == "python"} == {"3.12", "3.13"}


REMOTE = """
include:
  - {project: platform/templates, file: docker.yml}
  - https://example.com/ci.yml
backend: {extends: .docker-build, variables: {DOCKERFILE: backend.dockerfile}}
"""


def test_templates_that_are_elsewhere_are_named(tmp_path: Path) -> None:
    root = repository(tmp_path, {".gitlab-ci.yml": REMOTE, "backend.dockerfile": "FROM debian\n"})
    text = proposed_text(root)
    assert "includes project: platform/templates, file: docker.yml, which is not in this repository" in text
    assert "jobs extend .docker-build, which was not found" in text
    assert "no job was found that builds it" in text
    assert list(images_of(root)) == ["backend"]
