"""Images with `semver: true`: a Git tag also moves the tags of its minor and major version."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, Done, run
from tests.stacks.stack_settings import project

IMAGES: list[dict[str, Any]] = [{"name": "web", "semver": True, "architectures": ["arm64"]}, {"name": "other"}]
JOBS = jobs(files(projects=[project(*IMAGES)], trust="isolated"))
URL = f"{HOST}/platform/images/web"


def release(folder: Path, tag: str, tier: str = "protected") -> Done:
    """Publish an image that was built for a Git tag."""
    handed_over, record = folder / "project" / ".buildyard", folder / "record"
    for each in (handed_over, record):
        each.mkdir(parents=True, exist_ok=True)
    file, digest = record / "registry.json", f"sha256:{tag.rpartition('/')[2]}"
    registry = json.loads(file.read_text()) if file.exists() else {"manifests": {}, "tags": {}, "calls": []}
    labels = {"org.opencontainers.image.version": tag.rpartition("/")[2]}
    registry["manifests"][digest] = {"config": {"os": "linux", "architecture": "arm64", "config": {"Labels": labels}}}
    file.write_text(json.dumps(registry))
    (handed_over / "web-arm64.json").write_text(json.dumps({"containerimage.digest": digest}))
    return run(JOBS["build-web:manifest"], folder, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="", BUILDYARD_TIER=tier)


def tags(folder: Path, *releases: str) -> dict[str, str]:
    """The tags of minor and major versions, after these releases."""
    for tag in releases:
        done = release(folder, tag)
        assert done.status == 0, done.output
    return {tag: held.removeprefix("sha256:") for tag, held in done.registry["tags"].items() if tag not in releases}


@pytest.mark.parametrize(
    ("releases", "moved"),
    [
        (["v1.4.2"], {"1.4": "v1.4.2", "1": "v1.4.2"}),
        (["v1.4.1", "v1.4.2"], {"1.4": "v1.4.2", "1": "v1.4.2"}),
        (["v1.4.2", "v1.4.1"], {"1.4": "v1.4.2", "1": "v1.4.2"}),
        (["v1.4.9", "v1.4.10"], {"1.4": "v1.4.10", "1": "v1.4.10"}),
        (["v1.5.0", "v1.4.3"], {"1.5": "v1.5.0", "1.4": "v1.4.3", "1": "v1.5.0"}),
        (["v1.4.2", "v2.0.0", "v1.4.3"], {"1.4": "v1.4.3", "1": "v1.4.3", "2.0": "v2.0.0", "2": "v2.0.0"}),
        (["v1.4.2", "v1.5.0-rc.1"], {"1.4": "v1.4.2", "1": "v1.4.2"}),
        (["v0.1.0"], {"0.1": "v0.1.0", "0": "v0.1.0"}),
        (["v1.4.2", "v1.4.2"], {"1.4": "v1.4.2", "1": "v1.4.2"}),
    ],
)
def test_minor_and_major_are_the_newest_version(tmp_path: Path, releases: list[str], moved: dict[str, str]) -> None:
    assert tags(tmp_path, *releases) == moved


def test_an_older_version_says_why_nothing_moved(tmp_path: Path) -> None:
    release(tmp_path, "v1.4.2")
    assert f"{URL}:1.4 is v1.4.2 and stays, since that is newer than v1.4.1." in release(tmp_path, "v1.4.1").output


def test_an_image_without_a_version_is_older(tmp_path: Path) -> None:
    release(tmp_path, "v1.4.2")
    file = tmp_path / "record" / "registry.json"
    registry = json.loads(file.read_text())
    registry["manifests"]["sha256:v1.4.2"]["config"]["config"]["Labels"] = {"a": "b"}
    file.write_text(json.dumps(registry))
    done = release(tmp_path, "v1.4.1")
    assert "does not say its version, and counts as older" in done.output
    assert done.registry["tags"]["1.4"] == "sha256:v1.4.1"


def test_a_git_tag_that_is_not_protected_moves_nothing(tmp_path: Path) -> None:
    done = release(tmp_path, "v1.4.2", "unprotected")
    assert done.status == 0, done.output
    assert done.registry["tags"].keys() == {"v1.4.2"}
    shared = jobs(files(projects=[project(*IMAGES)], trust="shared"))
    done = run(shared["build-web:manifest"], tmp_path, CI_COMMIT_TAG="v1.4.2", CI_COMMIT_BRANCH="", BUILDYARD_TIER="")
    assert {"1.4", "1"} <= done.registry["tags"].keys(), "with one tier, every Git tag is a release"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("tag", ["1.4.2", "v1.4", "v1", "v1.4.2.3", "v01.4.2", "release", "v1.4.2-", "v1.4.x"])
def test_a_git_tag_that_is_no_version_is_refused_before_the_build(tmp_path: Path, tag: str, shell: list[str]) -> None:
    done = run(JOBS["build-web:arm64"], tmp_path, shell=shell, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="")
    assert done.status == 1
    assert f"The Git tag {tag} is no version of an image" in done.output
    assert not (done.record / "buildctl").exists()
    assert run(JOBS["build-other:arm64"], tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="").status == 0


@pytest.mark.parametrize("tag", ["v1.4.2", "v1.4.2-rc.1", ""])
def test_versions_and_branches_are_built(tmp_path: Path, tag: str) -> None:
    done = run(JOBS["build-web:arm64"], tmp_path, CI_COMMIT_TAG=tag)
    assert done.status == 0, done.output
    versions = [option for option in done.options("--opt") if "image.version" in option]
    assert versions == ([f"label:org.opencontainers.image.version={tag}"] if tag else [])


def test_a_branch_moves_no_version(tmp_path: Path) -> None:
    release(tmp_path, "v1.4.2")
    done = run(JOBS["build-web:manifest"], tmp_path, CI_COMMIT_BRANCH="main", CI_COMMIT_REF_NAME="main")
    assert done.status == 0, done.output
    assert done.registry["tags"]["1.4"] == "sha256:v1.4.2"


def test_two_versions_are_not_published_at_once() -> None:
    assert JOBS["build-web:manifest"]["resource_group"] == "build-web", "each would see the other's tags move"
    assert JOBS["build-other:manifest"]["resource_group"] == "build-other/$CI_COMMIT_REF_SLUG"


def test_a_pipeline_without_such_images_has_no_script_for_them() -> None:
    assert "release_version" not in files(projects=[project({"name": "web"})])[0].text
