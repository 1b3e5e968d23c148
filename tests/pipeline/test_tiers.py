"""The published pipeline follows the protection of its ref."""

import json
from pathlib import Path

import pytest

from sandbox.builds.selection import expanded
from stacks.architecture import Architecture
from stacks.runners import Tags
from stacks.trust import TIER_VARIABLE, Trust
from tests.pipeline import events
from tests.pipeline.published import HOST, SEVERAL_IMAGES, files, jobs
from tests.pipeline.runner import run
from tests.stacks.stack_settings import problems, settings

ISOLATED = jobs(files(SEVERAL_IMAGES + "trust: isolated\n"))
SHARED = jobs(files(SEVERAL_IMAGES + "trust: shared\n"))
PROTECTED_ONLY = jobs(files(SEVERAL_IMAGES + "trust: protected-only\n"))
BASE = f"{HOST}/platform/images/base"
REVIEW = f"{BASE}/review"


def refs(options: list[str]) -> list[str]:
    return [option.split("ref=")[1].split(",")[0].rsplit(":", 1)[0] for option in options]


def test_every_job_asks_for_its_tiers_runner() -> None:
    for name, job in ISOLATED.items():
        assert f"${TIER_VARIABLE}" in job["tags"], f"{name} could run on either runner"
        assert job["variables"][TIER_VARIABLE] == "unprotected", "only GitLab's protected variable may say otherwise"
    assert ISOLATED["build-base:arm64"]["tags"] == ["arm64", "linux", f"${TIER_VARIABLE}"]


def test_shared_jobs_have_the_tags_of_the_one_runner() -> None:
    assert SHARED["build-base:arm64"]["tags"] == ["arm64", "linux"]
    assert all(TIER_VARIABLE not in job["variables"] for job in SHARED.values())


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize("prefix", ["builds", "Team_A.eu-1"])
def test_jobs_and_runners_have_the_same_tags_with_a_prefix(trust: Trust, prefix: str) -> None:
    keys = f"trust: {trust}\nrunners: {{group: platform, tags: {{prefix: {prefix}}}}}\n"
    tags = settings(SEVERAL_IMAGES + keys).runners.tags
    for name, job in jobs(files(SEVERAL_IMAGES + keys)).items():
        for tier in trust.tiers:
            asked = set(expanded(job["tags"], {TIER_VARIABLE: str(tier)}))
            takers = [
                (other, architecture)
                for other in trust.tiers
                for architecture in Architecture
                if asked <= set(tags.named(trust.runner_tags(other, architecture)))
            ]
            assert takers, f"{name} of the tier {tier} would wait for ever"
            assert {other for other, _ in takers} == {tier}
            if name.startswith("build-") and not name.endswith((":manifest", ":manifest:manual")):
                assert [str(architecture) for _, architecture in takers] == [name.rpartition(":")[2]]
            assert all(tag.startswith(f"{prefix}-") for tag in asked), "runners of other pipelines would take the job"


@pytest.mark.parametrize("asked", [{"arm64", "linux"}, {"arm64"}, {"linux"}, {"protected"}, {"amd64", "unprotected"}])
def test_runners_with_a_prefix_take_no_job_of_another_pipeline(asked: set[str]) -> None:
    tags = Tags(prefix="builds")
    for trust in Trust:
        for tier in trust.tiers:
            for architecture in Architecture:
                assert not asked <= set(tags.named(trust.runner_tags(tier, architecture)))


@pytest.mark.parametrize("prefix", ["", "a b", "a,b", "$TEAM", "-a", "a-", "é", "a\n", "x" * 64])
def test_prefixes_that_a_tag_cannot_have(prefix: str) -> None:
    assert "buildyard:runners.tags.prefix" in problems(runners={"tags": {"prefix": prefix}})


def test_jobs_have_the_same_names_needs_and_rules_in_both() -> None:
    for key in ("needs", "rules"):
        assert {name: job.get(key) for name, job in ISOLATED.items()} == {
            name: job.get(key) for name, job in SHARED.items()
        }


def test_protected_only_builds_nothing_for_other_refs() -> None:
    for event in (events.merge_request("images/base/x"), events.push("images/base/x"), events.tag()):
        assert events.selected(PROTECTED_ONLY, event) == {}, "its jobs would wait for a runner for ever"
    event = events.push("images/base/x", **{TIER_VARIABLE: "protected"})
    assert events.selected(PROTECTED_ONLY, event) == events.selected(SHARED, events.push("images/base/x"))
    assert {tuple(job["tags"][-1:]) for job in PROTECTED_ONLY.values()} == {("protected",)}


def test_an_unprotected_ref_pushes_and_caches_only_in_its_own_repository(tmp_path: Path) -> None:
    done = run(ISOLATED["build-base:arm64"], tmp_path, BUILDYARD_TIER="unprotected")
    [output] = done.options("--output")
    assert f"name={REVIEW}," in output
    assert refs(done.options("--export-cache")) == [REVIEW]
    assert refs(done.options("--import-cache")) == [REVIEW, BASE], "its own cache first, then that of the releases"
    assert f"feature/one is not protected: its images and caches go to {REVIEW}." in done.output


@pytest.mark.parametrize(("ref", "tag"), [("v1", "v1"), ("master", ""), ("feature/one", "")])
def test_a_protected_ref_touches_no_review_repository(tmp_path: Path, ref: str, tag: str) -> None:
    done = run(
        ISOLATED["build-base:arm64"], tmp_path, CI_COMMIT_REF_NAME=ref, CI_COMMIT_TAG=tag, BUILDYARD_TIER="protected"
    )
    assert done.buildctl
    assert not [argument for argument in done.buildctl if REVIEW in argument], (
        "a release would contain what a merge request wrote"
    )
    assert "not protected" not in done.output


def test_an_unprotected_default_branch_still_reads_the_releases_cache(tmp_path: Path) -> None:
    done = run(ISOLATED["build-base:arm64"], tmp_path, CI_COMMIT_REF_NAME="master", BUILDYARD_TIER="unprotected")
    assert refs(done.options("--import-cache")) == [REVIEW, BASE]


@pytest.mark.parametrize(("tier", "repository"), [("unprotected", REVIEW), ("protected", BASE)])
def test_from_base_is_this_pipelines_own_image_else_the_released_one(
    tmp_path: Path, tier: str, repository: str
) -> None:
    released = run(ISOLATED["build-web:arm64"], tmp_path, BUILDYARD_TIER=tier, NPM_TOKEN="token")
    assert f"context:base=docker-image://{BASE}:latest" in released.options("--opt")
    handed_over = tmp_path / "project" / ".buildyard"
    (handed_over / "base.digest").write_text("sha256:base\n")
    built = run(ISOLATED["build-web:arm64"], tmp_path, BUILDYARD_TIER=tier, NPM_TOKEN="token")
    assert f"context:base=docker-image://{repository}@sha256:base" in built.options("--opt")


@pytest.mark.parametrize(("tier", "repository"), [("unprotected", REVIEW), ("protected", BASE)])
def test_the_manifest_job_publishes_where_the_builds_pushed(tmp_path: Path, tier: str, repository: str) -> None:
    image = {"config": {"os": "linux", "architecture": "arm64"}}
    other = {"config": {"os": "linux", "architecture": "amd64"}}
    for folder in ("project/.buildyard", "record"):
        (tmp_path / folder).mkdir(parents=True)
    registry = {"manifests": {"sha256:a": image, "sha256:b": other}, "tags": {}, "calls": []}
    (tmp_path / "record" / "registry.json").write_text(json.dumps(registry))
    for architecture, digest in (("arm64", "a"), ("amd64", "b")):
        metadata = tmp_path / "project" / ".buildyard" / f"base-{architecture}.json"
        metadata.write_text(json.dumps({"containerimage.digest": f"sha256:{digest}"}))
    done = run(ISOLATED["build-base:manifest"], tmp_path, CI_COMMIT_TAG="v1", BUILDYARD_TIER=tier)
    assert done.status == 0, done.output
    assert done.dotenv["IMAGE_URL"] == repository


def test_a_stack_with_one_tier_has_one_repository(tmp_path: Path) -> None:
    for shared in (SHARED, PROTECTED_ONLY):
        done = run(shared["build-base:arm64"], tmp_path, BUILDYARD_TIER="unprotected")
        assert set(refs(done.options("--import-cache"))) == {BASE}
