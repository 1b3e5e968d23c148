"""The names of tags have one owner. Scripts, tag filter and lifecycle policy follow a rename."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from stacks import tags
from tests.components.mocks import NAME, Declared, declare
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import run
from tests.stacks.stack_settings import project, settings

IMAGES = project({"name": "base"}, {"name": "web", "depends-on": ["base"]})
RENAMED = ("newest", "layers.")


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of tags, and the jobs and resources made of them."""

    latest: str
    cache_prefix: str
    jobs: dict[str, dict[str, Any]]
    declared: Declared

    def movable(self, tag: str) -> bool:
        """Whether the repositories let a build overwrite the tag."""
        [answer] = {
            any(fnmatchcase(tag, each["filter"]) for each in repository.inputs["imageTagMutabilityExclusionFilters"])
            for repository in self.declared.of("ecr:Repository").values()
        }
        return answer

    def expires(self, tag: str) -> bool:
        """Whether ECR deletes an image with the tag after some time."""
        policies = self.declared.of("ecr:LifecyclePolicy")
        selections = [
            rule["selection"]
            for rule in policies[f"{NAME}-platform/images/web"].document("policy")["rules"]
            if rule["selection"]["tagStatus"] == "tagged"
        ]
        matching = (each for each in selections if fnmatchcase(tag, each["tagPatternList"][0]))
        return next((each["countNumber"] != 1 for each in matching), False)


@pytest.fixture(params=[None, RENAMED], ids=["as they are", "renamed"])
def names(request: pytest.FixtureRequest) -> Iterator[Names]:
    """The names as they are, and renamed in `stacks/tags.py`."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(tags, "LATEST", request.param[0])
            patch.setattr(tags, "CACHE_PREFIX", request.param[1])
        yield Names(
            latest=tags.LATEST,
            cache_prefix=tags.CACHE_PREFIX,
            jobs=jobs(files(projects=[IMAGES])),
            declared=declare(settings(projects=[IMAGES])),
        )


@pytest.mark.parametrize(
    ("branch", "prefix"),
    [
        ("main", "main-"),
        ("Feature/A_1", "feature-a-1-"),
        ("/release/", "release-"),
        ("x" * 70, "x" * 63 + "-"),
        ("主干", "default-"),
        ("buildcache", "default-"),
        ("buildcache-2", "default-"),
        ("buildcaches", "buildcaches-"),
    ],
)
def test_versions_begin_with_the_slug_of_their_branch_and_never_like_a_cache(branch: str, prefix: str) -> None:
    assert tags.version_prefix(branch) == prefix
    assert not fnmatchcase(f"{prefix}260103_003000-01234567", tags.cache_pattern()), "versions would expire as caches"


def cache_tags(options: list[str]) -> list[str]:
    return [option.split("ref=")[1].split(",")[0].rsplit(":", 1)[1] for option in options]


def test_a_builds_cache_can_be_overwritten_and_expires(names: Names, tmp_path: Path) -> None:
    done = run(names.jobs["build-web:arm64"], tmp_path)
    [written] = cache_tags(done.options("--export-cache"))
    read = cache_tags(done.options("--import-cache"))
    assert written.startswith(names.cache_prefix)
    for cache in (written, *read):
        assert names.movable(cache), "the second build of a branch could not write its cache"
        assert names.expires(cache), "caches of deleted branches would stay for ever"


def test_a_build_uses_the_platform_and_the_published_base(names: Names, tmp_path: Path) -> None:
    done = run(names.jobs["build-web:arm64"], tmp_path)
    assert "platform=linux/arm64" in done.options("--opt")
    assert any(each.endswith(f"/base:{names.latest}") for each in done.options("--opt")), (
        "an image would be built on a tag that nobody publishes"
    )


def test_the_default_branchs_tag_can_be_moved_and_stays(names: Names, tmp_path: Path) -> None:
    tag = run(names.jobs["container-get-tag"], tmp_path, CI_COMMIT_BRANCH="main").dotenv["IMAGE_TAG"]
    assert tag == names.latest
    assert names.movable(tag), "the second pipeline of the default branch could not publish"
    assert not names.expires(tag), "ECR would delete what people deploy"


@pytest.mark.parametrize(("git_tag", "branch"), [("", "feature"), ("v1.0", ""), ("", "main")])
def test_every_version_is_immutable_and_only_git_tags_stay_for_ever(
    names: Names, tmp_path: Path, git_tag: str, branch: str
) -> None:
    done = run(names.jobs["container-get-tag"], tmp_path, CI_COMMIT_TAG=git_tag, CI_COMMIT_BRANCH=branch)
    version = done.dotenv["IMAGE_VERSION"]
    assert not names.movable(version)
    assert names.expires(version) is (not git_tag)


def test_a_git_tag_cannot_be_a_name_that_the_pipeline_uses(names: Names, tmp_path: Path) -> None:
    for tag in (names.latest, f"{names.cache_prefix}main"):
        done = run(names.jobs["container-get-tag"], tmp_path, CI_COMMIT_TAG=tag, CI_COMMIT_BRANCH="")
        assert done.status == 1, f"the Git tag {tag} would overwrite what builds keep there"
        assert f"{names.latest}, {names.cache_prefix}*" in done.output


def test_a_manifest_job_moves_only_the_default_branchs_tag(names: Names, tmp_path: Path) -> None:
    job = jobs(files(projects=[project({"name": "web", "architectures": ["arm64"]})]))["build-web:manifest"]
    image = {"config": {"os": "linux", "architecture": "arm64"}}
    for folder in ("project/.buildyard", "record"):
        (tmp_path / folder).mkdir(parents=True)
    tagged = {"v1.0": "sha256:old", names.latest: "sha256:old"}
    registry = {"manifests": {"sha256:old": image, "sha256:new": image}, "tags": tagged, "calls": []}
    (tmp_path / "record" / "registry.json").write_text(json.dumps(registry))
    (tmp_path / "project" / ".buildyard" / "web-arm64.json").write_text('{"containerimage.digest": "sha256:new"}')
    moved = run(job, tmp_path, CI_COMMIT_BRANCH="main")
    assert moved.status == 0, moved.output
    version = moved.dotenv["IMAGE_VERSION"]
    refused = run(job, tmp_path, CI_COMMIT_TAG="v1.0", CI_COMMIT_BRANCH="")
    assert refused.status == 1
    assert refused.registry["tags"] == {"v1.0": "sha256:old", names.latest: "sha256:new", version: "sha256:new"}
