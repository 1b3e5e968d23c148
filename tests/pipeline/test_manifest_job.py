"""Tests of the manifest jobs' script: what it publishes, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stacks import tags
from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, Done, run
from tests.stacks.stack_settings import project

JOBS = jobs(files())
JOB = JOBS["build-toolbox:manifest"]
URL = f"{HOST}/platform/images/toolbox"


@pytest.fixture
def pushed(tmp_path: Path) -> Path:
    """The folder of a job after both builds of the toolbox have pushed their images and left their digests."""
    push(tmp_path, "toolbox", arm64="sha256:arm", amd64="sha256:amd")
    registry: dict[str, Any] = {"manifests": {}, "tags": {}, "calls": []}
    for digest in ("sha256:arm", "sha256:amd", "sha256:arm2"):
        registry["manifests"][digest] = {"config": {"os": "linux", "architecture": digest[7:10] + "64"}}
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "registry.json").write_text(json.dumps(registry))
    return tmp_path


def push(folder: Path, name: str, **digests: str) -> None:
    """Leave digests, as build jobs do."""
    handed_over = folder / "project" / ".buildyard"
    handed_over.mkdir(parents=True, exist_ok=True)
    for architecture, digest in digests.items():
        (handed_over / f"{name}-{architecture}.json").write_text(json.dumps({"containerimage.digest": digest}))


def change(folder: Path, **registry: Any) -> None:
    """Change keys of the registry."""
    file = folder / "record" / "registry.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **registry}))


def publish(folder: Path, **variables: str) -> Done:
    """Publish under a Git tag; with other variables, from a branch."""
    wanted = {"CI_COMMIT_BRANCH": "master", **variables} if variables else {"CI_COMMIT_TAG": "v1.0"}
    return run(JOB, folder, shell=None, **wanted)


def of_pipeline(number: int) -> dict[str, str]:
    """The variables of a pipeline of the default branch."""
    created = f"2026-01-02T16:30:{60 - number:02}Z"  # a clock that runs backwards
    return {"CI_PIPELINE_IID": str(number), "CI_PIPELINE_CREATED_AT": created}


@pytest.mark.parametrize("shell", SHELLS)
def test_both_builds_are_joined_under_the_tag_and_reported(pushed: Path, shell: list[str]) -> None:
    done = run(JOB, pushed, shell=shell, CI_COMMIT_TAG="v1.0")
    assert done.status == 0, done.output
    digest = done.registry["tags"]["v1.0"]
    index = done.registry["manifests"][digest]["manifests"]
    assert {each["platform"]["architecture"]: each["digest"] for each in index} == {
        "arm64": "sha256:arm",
        "amd64": "sha256:amd",
    }
    report = {"IMAGE_TAG": "v1.0", "IMAGE_VERSION": "v1.0", "IMAGE_URL": URL, "IMAGE_DIGEST": digest}
    assert done.dotenv == {**report, **{f"{key}_TOOLBOX": value for key, value in report.items()}}
    assert (done.project / ".buildyard" / "toolbox.digest").read_text() == f"{digest}\n", (
        "images that depend on it are built on this"
    )


def test_the_index_is_annotated(pushed: Path) -> None:
    done = run(JOB, pushed, CI_COMMIT_TAG="v1.0")
    index = done.registry["manifests"][done.dotenv["IMAGE_DIGEST"]]
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert {name.removeprefix("org.opencontainers.image."): value for name, value in index["annotations"].items()} == {
        "created": "2026-01-02T16:30:00Z",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "source": "https://gitlab.example.com/platform/images",
        "title": "toolbox",
        "version": "v1.0",
    }


def test_a_retry_succeeds_without_writing(pushed: Path) -> None:
    first = publish(pushed)
    again = publish(pushed)
    assert again.status == 0, again.output
    assert again.registry["calls"].count("push") == 1, (
        "an immutable tag refuses a second write, even of the same digest"
    )
    assert again.dotenv == first.dotenv


def test_a_published_tag_is_not_moved(pushed: Path) -> None:
    before = publish(pushed).registry["tags"]
    push(pushed, "toolbox", arm64="sha256:arm2")
    done = publish(pushed)
    assert done.status == 1
    assert f"{URL}:v1.0 holds another image, {before['v1.0']}" in done.output
    assert done.registry["tags"] == before


def built_by(folder: Path, digest: str, pipeline: str) -> None:
    """Give an image the label that names its pipeline."""
    manifests = json.loads((folder / "record" / "registry.json").read_text())["manifests"]
    manifests[digest]["config"]["config"] = {"Labels": {"buildyard.pipeline": pipeline}}
    change(folder, manifests=manifests)


def published_by(folder: Path, number: int, arm64: str) -> Done:
    """Publish from a pipeline of the default branch, in which this image was built for arm64."""
    for digest in (arm64, "sha256:amd"):
        built_by(folder, digest, f"7/{number}")
    push(folder, "toolbox", arm64=arm64)
    done = publish(folder, **of_pipeline(number))
    assert done.status == 0, done.output
    return done


def test_latest_moves_with_the_default_branch_and_the_version_stays(pushed: Path) -> None:
    first = published_by(pushed, 41, "sha256:arm").dotenv
    second = published_by(pushed, 42, "sha256:arm2")
    assert second.registry["tags"] == {
        first["IMAGE_VERSION"]: first["IMAGE_DIGEST"],
        second.dotenv["IMAGE_VERSION"]: second.dotenv["IMAGE_DIGEST"],
        tags.LATEST: second.dotenv["IMAGE_DIGEST"],
    }, "somebody who deployed the first image could no longer pull it"
    assert first["IMAGE_DIGEST"] != second.dotenv["IMAGE_DIGEST"]


@pytest.mark.parametrize("pipeline", ["8/42", "", "soon", "7/-1", "7/42 ", "7/" + "9" * 40, "42"])
def test_an_image_without_a_number_of_this_projects_pipelines_is_older(pushed: Path, pipeline: str) -> None:
    published_by(pushed, 43, "sha256:arm")
    built_by(pushed, "sha256:amd", pipeline)
    push(pushed, "toolbox", arm64="sha256:arm2")
    done = publish(pushed, **of_pipeline(41))
    assert done.status == 0, done.output
    assert done.registry["tags"][tags.LATEST] == done.dotenv["IMAGE_DIGEST"], (
        "one wrong label would end all publishing, with every job green"
    )
    assert "counts as older" in done.output, "nobody would know that a label is wrong"


def test_latest_never_goes_back_to_an_older_pipeline(pushed: Path) -> None:
    newer = published_by(pushed, 42, "sha256:arm").dotenv
    push(pushed, "toolbox", arm64="sha256:arm2")
    late = publish(pushed, **of_pipeline(41))
    assert late.status == 0, late.output
    assert "pipeline 42 and stays: this is the older pipeline 41" in late.output
    assert late.registry["tags"][tags.LATEST] == newer["IMAGE_DIGEST"], "a slow pipeline would undo a newer one"
    assert late.registry["tags"][late.dotenv["IMAGE_VERSION"]] == late.dotenv["IMAGE_DIGEST"] != newer["IMAGE_DIGEST"]


def test_a_retry_of_the_newest_pipeline_changes_nothing(pushed: Path) -> None:
    first = published_by(pushed, 42, "sha256:arm")
    again = published_by(pushed, 42, "sha256:arm")
    assert (again.dotenv, again.registry["tags"]) == (first.dotenv, first.registry["tags"])


def test_one_job_of_an_image_and_ref_publishes_at_a_time() -> None:
    groups = {name: job["resource_group"] for name, job in JOBS.items() if ":manifest" in name}
    assert groups["build-toolbox:manifest"] == groups["build-toolbox:manifest:manual"]
    assert groups["build-toolbox:manifest"] == "build-toolbox/$CI_COMMIT_REF_SLUG"
    assert len(set(groups.values())) == 4, "images would wait for each other"


def test_gitlab_takes_the_names_of_resource_groups() -> None:
    """GitLab creates no group with another name, and runs the jobs at the same time without a word."""
    longest = files(projects=[project({"name": "a" * 100})])
    for job in [*JOBS.values(), *jobs(longest).values()]:
        if group := job.get("resource_group"):
            key = group.replace("$CI_COMMIT_REF_SLUG", "a" * 63)
            assert re.fullmatch(r"[a-zA-Z0-9_${}. -]([a-zA-Z0-9_/${}. -]*[a-zA-Z0-9_${}. -])?", key), key
            assert len(key) <= 255


def test_an_image_of_one_architecture_is_tagged_as_it_is(pushed: Path) -> None:
    push(pushed, "sensor", arm64="sha256:arm")
    done = run(JOBS["build-sensor:manifest"], pushed, CI_COMMIT_TAG="v1.0")
    assert done.status == 0, done.output
    assert done.registry["tags"] == {"v1.0": "sha256:arm"}
    assert done.dotenv["IMAGE_DIGEST"] == "sha256:arm"
    again = run(JOBS["build-sensor:manifest"], pushed, CI_COMMIT_TAG="v1.0")
    assert again.status == 0
    assert again.registry["calls"].count("tag") == 1, "an immutable tag refuses a second write, even of the same digest"
    push(pushed, "sensor", arm64="sha256:arm2")
    other = run(JOBS["build-sensor:manifest"], pushed, CI_COMMIT_TAG="v1.0")
    assert other.status == 1
    assert other.registry["tags"] == {"v1.0": "sha256:arm"}


@pytest.mark.parametrize(("name", "write"), [("toolbox", "push"), ("sensor", "tag")])
def test_a_write_whose_answer_was_lost_is_found_done(pushed: Path, name: str, write: str) -> None:
    """crane repeats it, and ECR refuses to write a tag that stays a second time."""
    push(pushed, "sensor", arm64="sha256:arm")
    change(pushed, lost=1)
    done = run(JOBS[f"build-{name}:manifest"], pushed, CI_COMMIT_TAG="v1.0")
    assert done.status == 0, done.output
    assert done.registry["calls"].count(write) == 1
    assert done.dotenv["IMAGE_DIGEST"] == done.registry["tags"]["v1.0"]


def test_a_tag_that_somebody_else_wrote_meanwhile_is_not_taken_for_ours(pushed: Path) -> None:
    push(pushed, "sensor", arm64="sha256:arm")
    change(pushed, appears={"v1.0": "sha256:arm2"})
    done = run(JOBS["build-sensor:manifest"], pushed, CI_COMMIT_TAG="v1.0")
    assert done.status == 1
    assert f"{HOST}/platform/images/sensor:v1.0 holds another image, sha256:arm2" in done.output


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arm64": "sha256:amd"}, "build-toolbox:arm64 built an image that is not for linux/arm64: sha256:amd"),
        ({"arm64": "sha256:gone"}, "MANIFEST_UNKNOWN"),
    ],
)
def test_a_build_that_is_not_what_it_should_be_is_not_published(
    pushed: Path, wrong: dict[str, str], message: str
) -> None:
    push(pushed, "toolbox", **wrong)
    done = publish(pushed)
    assert done.status == 1
    assert message in done.output
    assert done.registry["tags"] == {}


def test_a_build_that_did_not_run_is_named(pushed: Path) -> None:
    (pushed / "project" / ".buildyard" / "toolbox-amd64.json").unlink()
    done = publish(pushed)
    assert done.status == 1
    assert "build-toolbox:amd64 left no digest" in done.output
    assert done.registry["tags"] == {}


@pytest.mark.parametrize(
    "error",
    [
        "GET https://r/v2/404/manifests/v1: DENIED: User is not authorized to perform ecr:BatchGetImage",
        "GET https://r/v2/x/manifests/latest: unexpected status code 404 Not Found: proxy",
        "Get https://r/v2/: dial tcp 127.0.0.1:443: connect: connection refused",
        "GET https://r/v2/: UNAUTHORIZED: the tag MANIFEST_UNKNOWN",
    ],
)
def test_only_the_registrys_own_word_means_that_a_tag_is_free(pushed: Path, error: str) -> None:
    change(pushed, errors=[error])
    done = run(JOB, pushed, CI_COMMIT_TAG="v1.0")
    assert done.status == 1, "latest would move back, or a release be overwritten"
    assert error in done.output
    assert "crane config failed" in done.output
    assert done.registry["tags"] == {}
    assert "IMAGE_DIGEST" not in done.dotenv


@pytest.mark.parametrize(
    "error",
    [
        "GET https://r/v2/x: TOOMANYREQUESTS: Rate exceeded",
        "GET https://r/v2/x: unexpected status code 503 Service Unavailable",
        "PUT https://r/v2/x: unexpected status code 500 Internal Server Error",
        "Get https://r/v2/x: net/http: TLS handshake timeout",
        "Get https://r/v2/x: read tcp 10.0.0.1:443: read: connection reset by peer",
        "Get https://r/v2/x: EOF",
    ],
)
def test_a_busy_registry_is_waited_for(pushed: Path, error: str) -> None:
    change(pushed, errors=[error] * 7)
    done = publish(pushed)
    assert done.status == 0, done.output
    assert done.waited == 120
    change(pushed, errors=[error] * 8)
    done = publish(pushed)
    assert done.status == 1, "a job would wait for ever"
    assert error in done.output


@pytest.mark.parametrize(
    ("logged", "waits"),
    [
        ("GetAuthorizationToken, https response error StatusCode: 400, ThrottlingException: Rate exceeded", True),
        ("GetAuthorizationToken, https response error StatusCode: 503, api error: ServiceUnavailable", True),
        ("GetAuthorizationToken, https response error StatusCode: 400, api error AccessDeniedException", False),
    ],
)
def test_a_login_that_aws_throttled_is_waited_for(pushed: Path, logged: str, waits: bool) -> None:
    """The credential helper tells crane only that it has no credentials."""
    log = pushed / "ecr" / "log" / "ecr-login.log"
    log.parent.mkdir(parents=True)
    log.write_text(f'time="2026-01-02" level=error msg="Error retrieving credentials" error="{logged}"\n')
    change(pushed, errors=["GET https://r/v2/x: unexpected status code 401 Unauthorized: Not Authorized"] * 2)
    done = publish(pushed, CI_COMMIT_TAG="v1.0", CI_COMMIT_BRANCH="", AWS_ECR_CACHE_DIR=str(pushed / "ecr"))
    assert (done.status == 0) is waits, done.output
    assert done.waited == (3 if waits else 0)


def test_a_repository_that_is_gone_is_no_free_tag(pushed: Path) -> None:
    change(pushed, errors=["GET https://r/v2/x: NAME_UNKNOWN: The repository with name 'x' does not exist"])
    done = publish(pushed)
    assert done.status == 1
    assert "deploy the stack, then retry this job" in done.output
