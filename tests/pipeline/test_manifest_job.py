"""Tests of the manifest jobs' script: what it publishes, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from stacks import tags
from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, Done, run

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


def publish(folder: Path, tag: str = "v1.0") -> Done:
    return run(JOB, folder, IMAGE_TAG=tag)


@pytest.mark.parametrize("shell", SHELLS)
def test_both_builds_are_joined_under_the_tag_and_reported(pushed: Path, shell: list[str]) -> None:
    done = run(JOB, pushed, shell=shell, IMAGE_TAG="v1.0")
    assert done.status == 0, done.output
    digest = done.registry["tags"]["v1.0"]
    index = done.registry["manifests"][digest]["manifests"]
    assert {each["platform"]["architecture"]: each["digest"] for each in index} == {
        "arm64": "sha256:arm",
        "amd64": "sha256:amd",
    }
    assert done.dotenv == {"IMAGE_TAG": "v1.0", "IMAGE_URL": URL, "IMAGE_DIGEST": digest}
    assert (done.project / ".buildyard" / "toolbox.digest").read_text() == f"{digest}\n", (
        "images that depend on it are built on this"
    )


def test_a_retry_succeeds_without_writing(pushed: Path) -> None:
    first = publish(pushed)
    again = publish(pushed)
    assert again.status == 0, again.output
    assert again.registry["calls"].count("index") == 1, (
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


def test_latest_moves(pushed: Path) -> None:
    before = publish(pushed, tag=tags.LATEST).registry["tags"]
    push(pushed, "toolbox", arm64="sha256:arm2")
    assert publish(pushed, tag=tags.LATEST).registry["tags"] != before


def built_at(folder: Path, digest: str, time: str) -> None:
    manifests = json.loads((folder / "record" / "registry.json").read_text())["manifests"]
    manifests[digest]["config"]["config"] = {"Labels": {"org.opencontainers.image.created": time}}
    change(folder, manifests=manifests)


@pytest.mark.parametrize(
    "time", ["2999-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "soon", "", "0001-01-01T00:00:00+14:00", "2026-01-02"]
)
def test_a_wrong_label_does_not_keep_latest_from_moving(pushed: Path, time: str) -> None:
    built_at(pushed, "sha256:arm", time)
    built_at(pushed, "sha256:arm2", "2026-01-02T16:30:00Z")
    before = publish(pushed, tag=tags.LATEST).registry["tags"]
    push(pushed, "toolbox", arm64="sha256:arm2")
    done = publish(pushed, tag=tags.LATEST)
    assert done.status == 0, done.output
    assert done.registry["tags"] != before, "one wrong label would end all publishing, with every job green"
    assert ("counts as older" in done.output) == (time != "2026-01-02"), "nobody would know that a label is wrong"


def test_latest_never_goes_back_to_an_older_pipeline(pushed: Path) -> None:
    built_at(pushed, "sha256:arm", "2026-01-02T16:30:00Z")
    built_at(pushed, "sha256:arm2", "2026-01-02T16:29:59Z")
    newer = publish(pushed, tag=tags.LATEST)
    push(pushed, "toolbox", arm64="sha256:arm2")
    late = publish(pushed, tag=tags.LATEST)
    assert late.status == 0, late.output
    assert "stays" in late.output
    assert late.registry["tags"] == newer.registry["tags"], "a slow pipeline would undo a newer one"
    assert late.dotenv == newer.dotenv, "the report must name the image that the tag points to"


def test_an_image_of_one_architecture_is_tagged_as_it_is(pushed: Path) -> None:
    push(pushed, "sensor", arm64="sha256:arm")
    done = run(JOBS["build-sensor:manifest"], pushed, IMAGE_TAG="v1.0")
    assert done.status == 0, done.output
    assert done.registry["tags"] == {"v1.0": "sha256:arm"}
    assert done.dotenv["IMAGE_DIGEST"] == "sha256:arm"
    assert run(JOBS["build-sensor:manifest"], pushed, IMAGE_TAG="v1.0").status == 0


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


def test_without_a_tag_nothing_is_published(pushed: Path) -> None:
    done = publish(pushed, tag="")
    assert done.status == 1
    assert "container-get-tag set no IMAGE_TAG" in done.output


def test_a_registry_that_is_down_is_no_reason_to_publish(pushed: Path) -> None:
    change(pushed, down=True)
    done = publish(pushed)
    assert done.status == 1
    assert "connection refused" in done.output
    assert "crane config failed" in done.output
    assert not (done.project / "build.env").exists()
