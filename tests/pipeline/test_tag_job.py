"""Tests of the tag job's script: the pipeline's image tag."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from stacks import tags
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import SHELLS, run
from tests.stacks.stack_settings import project

JOBS = jobs(files())
JOB = JOBS["container-get-tag"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_branch_has_the_pipelines_time_in_the_projects_time_zone_and_the_commit(
    tmp_path: Path, shell: list[str]
) -> None:
    tag = "260103_003000-01234567"
    assert run(JOB, tmp_path, shell=shell).dotenv == {"IMAGE_TAG": tag, "IMAGE_VERSION": tag}


def test_a_retry_has_the_same_tag(tmp_path: Path) -> None:
    assert run(JOB, tmp_path).dotenv == run(JOB, tmp_path).dotenv


def test_a_merge_request_is_not_latest_even_from_the_default_branch(tmp_path: Path) -> None:
    done = run(JOB, tmp_path, CI_COMMIT_BRANCH="", CI_COMMIT_REF_NAME="master")
    assert done.dotenv["IMAGE_TAG"].endswith("-01234567")


def test_the_default_branch_is_latest_and_has_a_version_that_stays(tmp_path: Path) -> None:
    version = "master-260103_003000-01234567"
    assert run(JOB, tmp_path, CI_COMMIT_BRANCH="master").dotenv == {"IMAGE_TAG": tags.LATEST, "IMAGE_VERSION": version}
    assert fnmatchcase(version, tags.version_pattern("master")), "versions would stay for ever"


@pytest.mark.parametrize("tag", ["v1.0", "1", "_x", "a" * 128, "V1.0-rc.1_2"])
def test_a_git_tag_is_the_images_tag(tmp_path: Path, tag: str) -> None:
    assert run(JOB, tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="").dotenv == {"IMAGE_TAG": tag, "IMAGE_VERSION": tag}


@pytest.mark.parametrize(
    "tag",
    [
        *("release/1.0", "v1+build", "-x", ".x", "a" * 129, "ü"),
        *(tags.LATEST, f"{tags.CACHE_PREFIX}x", "master-260103_003000-01234567", "260103_003000-01234567"),
    ],
)
def test_a_git_tag_that_no_image_can_have_is_refused(tmp_path: Path, tag: str) -> None:
    done = run(JOB, tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="")
    assert done.status == 1
    assert f"The Git tag {tag} " in done.output
    assert "Tag the commit again" in done.output
    assert (done.project / "build.env").read_text() == ""
    build = run(JOBS["build-toolbox:arm64"], tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="")
    assert build.status == 1
    assert not (build.record / "buildctl").exists(), "an image would be built that cannot be published"


@pytest.mark.parametrize("names", ["", "*", "base", "base,web", " base, web ,", "*,base"])
def test_images_of_the_project_can_be_asked_for(tmp_path: Path, names: str) -> None:
    assert run(JOB, tmp_path, BUILDYARD_IMAGES=names).status == 0


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("wbe", "names wbe, and the project has no such image. Did you mean web?"),
        ("base, Web", "names Web, and the project has no such image."),
        ("base web kit", "names kit, and the project has no such image."),
        ("**", "names **, and the project has no such image."),
    ],
)
def test_an_image_that_the_project_does_not_have_is_not_passed_over(tmp_path: Path, names: str, said: str) -> None:
    done = run(JOB, tmp_path, BUILDYARD_IMAGES=names)
    assert done.status == 1, "the pipeline would pass without the image"
    assert f"BUILDYARD_IMAGES {said}" in done.output


MONOREPO: list[dict[str, Any]] = [{"name": "web"}, {"name": "tools", "git-tags": ["tools/v*"]}]


@pytest.mark.parametrize(("tag", "expected"), [("tools/v1.0", "v1.0"), ("a/b/v1", "v1"), ("v2", "v2")])
def test_in_a_monorepo_the_images_tag_follows_the_last_slash(tmp_path: Path, tag: str, expected: str) -> None:
    job = jobs(files(projects=[project(*MONOREPO)]))["container-get-tag"]
    done = run(job, tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="")
    assert done.dotenv == {"IMAGE_TAG": expected, "IMAGE_VERSION": expected}


@pytest.mark.parametrize("tag", ["tools/", "tools/-v1", f"tools/{tags.LATEST}", f"tools/{tags.CACHE_PREFIX}x"])
def test_in_a_monorepo_the_part_after_the_slash_must_be_an_images_tag(tmp_path: Path, tag: str) -> None:
    job = jobs(files(projects=[project(*MONOREPO)]))["container-get-tag"]
    done = run(job, tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="")
    assert done.status == 1
    assert f"The Git tag {tag} " in done.output
