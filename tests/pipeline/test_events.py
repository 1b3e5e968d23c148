"""Tests of the rules: which images are built on which event."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.pipeline import events
from tests.pipeline.published import SEVERAL_IMAGES, files, jobs, loaded
from tests.stacks.stack_settings import project

JOBS = jobs(files())
WITH_OWN_JOBS = SEVERAL_IMAGES.replace("default-branch:", "pipeline-path: ci/images.yml\n    default-branch:")
INCLUDED = jobs(files(WITH_OWN_JOBS))
IMAGES = {"toolbox", "base", "web", "sensor"}


def built_by_themselves(event: events.Event) -> set[str]:
    """The images whose builds start automatically."""
    selected = events.selected(JOBS, event)
    return {
        name.split(":")[0].removeprefix("build-") for name, how in selected.items() if "64" in name and how != "manual"
    }


@pytest.mark.parametrize(
    ("changed", "images"),
    [
        ("images/toolbox/Dockerfile", {"toolbox"}),
        ("images/toolbox/deep/in/it/.hidden", {"toolbox"}),
        ("images/toolbox2/Dockerfile", set()),
        ("README.md", set()),
        ("images/docker/web.Dockerfile", {"web"}),
        ("images/base/Dockerfile", {"base", "web"}),
    ],
)
@pytest.mark.parametrize("event", [events.merge_request, events.push])
def test_a_change_builds_the_images_that_it_concerns(
    event: Callable[..., events.Event], changed: str, images: set[str]
) -> None:
    assert built_by_themselves(event(changed)) == images, (
        "a pipeline would run builds that the change does not need, or miss one"
    )


def test_every_change_builds_an_image_whose_context_is_the_repository() -> None:
    built = jobs(files(projects=[project({"name": "web", "context": "."})], runners={"group": "platform"}))
    for path in ("README.md", ".hidden", "deep/in/it/file"):
        assert events.selected(built, events.push(path, branch="main"))["build-web:arm64"] == "on_success"


@pytest.mark.parametrize("event", [events.tag(), events.started_by("schedule")])
def test_tags_and_schedules_build_everything(event: events.Event) -> None:
    assert built_by_themselves(event) == IMAGES


@pytest.mark.parametrize(
    "event",
    [
        events.started_by("web"),
        events.started_by("api"),
        events.push("images/toolbox/Dockerfile", branch="feature"),
        events.merge_request("images/toolbox/Dockerfile", target="other"),
    ],
)
def test_anything_else_builds_by_hand_and_blocks_nothing(event: events.Event) -> None:
    assert built_by_themselves(event) == set()
    selected = events.selected(JOBS, event)
    builds = [name for name in JOBS if "64" in name]
    assert all(selected[name] == "manual" for name in builds), "nobody could start the build of an image"
    assert all(JOBS[name]["rules"][-1]["allow_failure"] for name in builds), "the pipeline would wait for somebody"


def test_only_what_somebody_must_start_may_fail_without_failing_the_pipeline() -> None:
    rules = [rule for job in JOBS.values() for rule in job["rules"]]
    assert {rule.get("when") for rule in rules if rule.get("allow_failure")} == {"manual"}, (
        "an image that cannot be built would pass unseen"
    )
    assert all(rule["allow_failure"] for rule in rules if rule.get("when") == "manual"), (
        "the pipeline would wait for somebody"
    )


ANY_EVENT = [
    events.merge_request("README.md"),
    events.merge_request("images/base/x"),
    events.merge_request("images/web/x"),
    events.push("images/base/x"),
    events.push("images/web/x"),
    events.push("x", branch="feature"),
    events.tag(),
    events.started_by("schedule"),
    events.started_by("web"),
]


@pytest.mark.parametrize("event", ANY_EVENT)
def test_every_image_has_one_manifest_job_that_follows_its_builds(event: events.Event) -> None:
    selected = events.selected(JOBS, event)
    for image in IMAGES:
        manifests = [name for name in selected if name.startswith(f"build-{image}:manifest")]
        assert len(manifests) == 1, f"{image} would be published {len(manifests)} times"
        assert selected[manifests[0]] == "on_success", "the manifest would wait for a click after the builds"
        assert set(JOBS[manifests[0]]["needs"]) == {
            name for name in JOBS if name.startswith(f"build-{image}:") and "64" in name
        }


@pytest.mark.parametrize("event", ANY_EVENT)
def test_no_job_waits_for_one_that_only_a_person_can_start(event: events.Event) -> None:
    selected = events.selected(JOBS, event)
    for name, how in selected.items():
        for need in JOBS[name].get("needs", []):
            needed = need["job"] if isinstance(need, dict) else need
            if isinstance(need, dict) and need["optional"] and needed not in selected:
                continue
            assert needed in selected, f"GitLab refuses the pipeline: {name} needs {needed}, which is not in it"
            follows_own_build = needed.split(":")[0] == name.split(":")[0]
            assert selected[needed] != "manual" or follows_own_build, f"{name} would wait for a click on {needed}"
            if how == "on_success" and not follows_own_build:
                builds = [each for each in JOBS[needed]["needs"] if "64" in each]
                assert all(selected[each] == "on_success" for each in builds), f"{name} would wait for {builds}"


def test_an_image_waits_for_the_one_that_it_is_built_on_only_if_that_is_built_too() -> None:
    for changed, waits in [("images/base/x", True), ("images/web/x", False)]:
        assert ("build-base:manifest" in events.selected(JOBS, events.merge_request(changed))) is waits
    assert JOBS["build-web:arm64"]["needs"] == [{"job": "build-base:manifest", "optional": True}]


@pytest.mark.parametrize("event", ANY_EVENT)
def test_the_tags_are_told_only_if_something_is_built(event: events.Event) -> None:
    told = "container-get-tag" in events.selected(JOBS, event)
    assert told is bool(built_by_themselves(event)), "a push that touches no image would start a node"


def test_builds_do_not_wait_for_the_tag() -> None:
    assert JOBS["container-get-tag"]["needs"] == []
    assert JOBS["build-toolbox:arm64"]["needs"] == JOBS["build-toolbox:amd64"]["needs"] == []


def test_a_merge_request_is_compared_with_the_default_branch() -> None:
    by_request, by_push = (rule for rule in JOBS["build-toolbox:arm64"]["rules"] if "changes" in rule)
    assert by_request["changes"]["compare_to"] == "refs/heads/master"
    assert "compare_to" not in by_push["changes"], (
        "a branch compared with itself has no changes: nothing would be built"
    )


@pytest.mark.parametrize(
    ("event", "runs"),
    [
        (events.merge_request(), True),
        (events.push(branch="feature"), True),
        (events.push(branch="feature", CI_OPEN_MERGE_REQUESTS="platform/images!1"), False),
        (events.push(branch="master", CI_OPEN_MERGE_REQUESTS="platform/images!1"), True),
        (events.tag(), True),
        (events.started_by("web", branch="feature"), True),
    ],
)
def test_a_commit_has_one_pipeline(event: events.Event, runs: bool) -> None:
    rules = [{"when": "always", **rule} for rule in loaded(files()[0].text)["workflow"]["rules"]]
    assert (events.when(rules, event) != "never") is runs


def test_a_new_commit_cancels_only_merge_requests_pipelines() -> None:
    workflow = loaded(files()[0].text)["workflow"]
    assert workflow["auto_cancel"] == {"on_new_commit": "none"}, "a push would cancel the release before it"
    by_request = next(rule for rule in workflow["rules"] if "merge_request_event" in rule["if"])
    assert by_request["auto_cancel"] == {"on_new_commit": "interruptible"}


@pytest.mark.parametrize("built", [JOBS, INCLUDED])
@pytest.mark.parametrize("event", ANY_EVENT)
def test_jobs_are_interruptible_in_merge_requests_and_nowhere_else(
    event: events.Event, built: Mapping[str, Mapping[str, Any]]
) -> None:
    in_merge_request = event.variables["CI_PIPELINE_SOURCE"] == "merge_request_event"
    for name in events.selected(built, event):
        assert "interruptible" not in built[name]
        rule = events.matching(built[name]["rules"], event)
        assert rule is not None
        assert rule.get("interruptible", False) is in_merge_request, f"{name} of {event}"


@pytest.mark.parametrize("event", ANY_EVENT)
def test_an_included_file_has_the_same_jobs(event: events.Event) -> None:
    assert events.selected(INCLUDED, event) == events.selected(JOBS, event)


def test_an_included_file_leaves_a_branch_with_a_merge_request_to_the_merge_requests_pipeline() -> None:
    opened = {"CI_OPEN_MERGE_REQUESTS": "platform/images!1"}
    assert events.selected(INCLUDED, events.push(branch="feature")) != {}
    assert events.selected(INCLUDED, events.push(branch="feature", **opened)) == {}, "one commit, and two pipelines"
    assert events.selected(INCLUDED, events.push("images/base/x", branch="master", **opened)) != {}
    assert "workflow" not in loaded(files(WITH_OWN_JOBS)[0].text), "it would decide over the project's own jobs"


@pytest.mark.parametrize("context", ["a b", "it's", "50%off%", "pay$HOME", "[x]", "a*b", "{a,b}", "back\\slash", "ü"])
def test_a_folder_of_any_name_is_matched_and_no_other(context: str) -> None:
    text = SEVERAL_IMAGES.replace("context: images/toolbox", f"context: {context!r}".replace("\\\\", "\\"))
    rules = jobs(files(text))["build-toolbox:arm64"]["rules"]
    pattern = next(rule["changes"]["paths"][0] for rule in rules if "changes" in rule)
    assert events.matches(pattern, f"{context}/Dockerfile")
    assert not events.matches(pattern, "other/Dockerfile")
    assert not any(sign + "HOME" in pattern for sign in "$%"), "GitLab would replace it by a variable's value"
