"""Settings of images in real builds: BuildKit judges them."""

import re

import pytest
import requests

from sandbox.builds.events import Event, Trigger
from tests.sandbox.builds.environments import DOCKERFILE, FILES, Environment, job, words

pytestmark = pytest.mark.builds
BUILD = "build-app:amd64"
APP = {"name": "app", "context": "app", "architectures": ["amd64"]}


def test_an_argument_from_a_variable_reaches_the_dockerfile_as_it_is(environment: Environment) -> None:
    files = {
        **FILES,
        "app/Dockerfile": 'FROM busybox:1.37\nARG VERSION=none\nRUN test "$VERSION" = none\nLABEL version=$VERSION\n',
    }
    image = {**APP, "build-args": {"VERSION": {"from": "CI_COMMIT_TAG"}}}
    project = environment.project([image], files)
    untagged = environment.build(project)
    assert untagged.passed, f"the Dockerfile's default is lost: {words(job(untagged, BUILD))}"

    commit = project.repository.commit_id("master")
    assert commit
    project.tag("v1.2", commit)
    tagged = environment.build(project, Event(trigger=Trigger.TAG, ref="v1.2"))
    assert "v1.2" in words(job(tagged, BUILD))
    assert not tagged.passed, "the argument did not arrive"


def test_named_contexts_are_a_folder_and_a_pinned_image(environment: Environment) -> None:
    busybox = f"{environment.builds.images.url}/v2/docker.io/library/busybox/manifests/1.37"
    accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
    digest = requests.head(busybox, headers=accept, timeout=10).headers["Docker-Content-Digest"]
    files = {
        "app/Dockerfile": "FROM tools\nCOPY --from=assets logo /logo\nRUN cat /logo\n",
        "some assets/logo": "ours\n",
        "some assets/.dockerignore": "secret\n",
    }
    image = {**APP, "contexts": {"assets": "some assets", "tools": f"docker-image://busybox:1.37@{digest}"}}
    result = environment.build(environment.project([image], files))
    assert result.passed, words(job(result, BUILD))


def test_a_stage_named_like_a_dependency_is_refused_before_the_build(environment: Environment) -> None:
    images = [{"name": "base", "context": "base", "architectures": ["amd64"]}, {**APP, "depends-on": ["base"]}]
    app = "FROM busybox:1.37 AS base\nRUN touch /from-the-stage\nFROM base\nRUN test -e /from-the-stage\n"
    files = {"base/Dockerfile": "FROM busybox:1.37\nRUN touch /from-the-dependency\n", "app/Dockerfile": app}
    project = environment.project(images, files)
    refused = job(environment.build(project), BUILD)
    assert refused.passed is False
    assert "app/Dockerfile has a stage base" in words(refused)
    assert not refused.steps, "BuildKit started"

    project.commit({"app/Dockerfile": app.replace("AS base", "AS own").replace("FROM base", "FROM own")})
    assert environment.build(project).passed


def test_a_failing_test_leaves_nothing_tagged_on_its_own_architecture(environment: Environment) -> None:
    test = 'test -e /installed && test "$(uname -m)" != aarch64 || { echo "broken on $(uname -m)"; exit 3; }'
    project = environment.project([{"name": "app", "context": "app", "test": test}])
    result = environment.build(project)
    assert not result.passed
    assert "broken on aarch64" in words(job(result, "build-app:arm64"))
    assert "The test of app for arm64 failed" in words(job(result, "build-app:arm64"))
    assert job(result, BUILD).passed, words(job(result, BUILD))
    assert "latest" not in environment.tags(project), "an image that fails its test was published"


def test_a_test_runs_again_each_time_as_the_images_user(environment: Environment) -> None:
    files = {**FILES, "app/Dockerfile": f"{DOCKERFILE}USER 1000\nWORKDIR /tmp\n"}
    program = ["sh", "-c", 'echo "user $(id -u) in $PWD of $(cat /source)"']
    project = environment.project([{**APP, "test": program}], files)
    for _ in range(2):
        built = job(environment.build(project), BUILD)
        assert built.passed, words(built)
        assert "user 1000 in /tmp of print 1" in words(built), "the test was taken from a cache"


def test_the_size_is_reported_against_what_is_published(environment: Environment) -> None:
    project = environment.project()
    assert "compressed: no latest to compare with." in words(job(environment.build(project), BUILD))
    project.commit({"app/source": "".join(str(number) for number in range(200_000))})
    grown = words(job(environment.build(project), BUILD))
    assert "app for amd64 has" in grown
    assert re.search(r"compressed: \+0\.\d MB \(\+\d+\.\d%\) against latest", grown), grown


def test_releases_move_their_minor_and_major_tags_and_stay(environment: Environment) -> None:
    project = environment.project([{"name": "app", "context": "app", "semver": True}])
    digests = {}
    for number, tag in enumerate(("v1.4.2", "v1.4.1")):  # an older version is released later
        project.tag(tag, project.commit({"app/source": f"print {number}\n"}))
        result = environment.build(project, Event(trigger=Trigger.TAG, ref=tag))
        assert result.passed, [words(each) for each in result.jobs if not each.passed]
        [image] = result.images
        digests[tag] = image.report["IMAGE_DIGEST"]
        assert {labels["org.opencontainers.image.version"] for labels in image.labels.values()} == {tag}
    index = environment.builds.images.read(f"{project.path}/app/manifests/1.4")
    annotations = index["annotations"]
    assert annotations["org.opencontainers.image.version"] == "v1.4.2", "1.4 went back to an older version"
    assert annotations["org.opencontainers.image.title"] == "app"
    ecr = environment.group.client("ecr")
    held = ecr.describe_images(repositoryName=f"{project.path}/app", imageIds=[{"imageTag": "v1.4.2"}])
    assert set(held["imageDetails"][0]["imageTags"]) == {"v1.4.2", "1.4", "1"}
    assert held["imageDetails"][0]["imageDigest"] == digests["v1.4.2"]

    project.tag("v1.4.2", project.commit({"app/source": "print 9\n"}))
    moved = environment.build(project, Event(trigger=Trigger.TAG, ref="v1.4.2"))
    assert not moved.passed, "a release was overwritten"


def test_a_git_tag_of_an_image_releases_that_image(environment: Environment) -> None:
    images = [{**APP, "git-tags": ["app/v*"]}, {"name": "other", "context": "app", "architectures": ["amd64"]}]
    project = environment.project(images)
    project.group.api.projects.get(project.path).protectedtags.create({"name": "app/v*"})
    commit = project.repository.commit_id("master")
    assert commit
    project.tag("app/v1", commit)
    result = environment.build(project, Event(trigger=Trigger.TAG, ref="app/v1"))
    assert result.passed, [words(each) for each in result.jobs if not each.passed]
    [image] = result.images
    assert image.reference.endswith(f"{project.path}/app:v1")


def test_hadolint_finds_what_it_finds_and_fails_nothing(environment: Environment) -> None:
    dockerfile = "FROM busybox:1.37\nRUN cd /tmp\n"
    project = environment.project([{**APP, "lint": True}], {"app/Dockerfile": dockerfile})
    result = environment.build(project)
    assert result.passed, words(job(result, BUILD))
    assert "app/Dockerfile:2 DL3003 warning" in words(job(result, BUILD))
    assert "from the cache" in words(job(result, BUILD))
