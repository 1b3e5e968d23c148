"""Pipelines of protected refs, and what they get that others do not."""

import pytest

from sandbox.builds.events import Event, Trigger
from stacks.trust import TIER_VARIABLE, Trust
from tests.sandbox.builds.environments import Environment

pytestmark = pytest.mark.builds


@pytest.mark.parametrize(
    ("trigger", "ref", "protected"),
    [
        (Trigger.SCHEDULE, "master", True),
        (Trigger.PUSH, "master", True),
        (Trigger.PUSH, "release/1", True),
        (Trigger.PUSH, "feature", False),
        (Trigger.WEB, "feature", False),
        (Trigger.TAG, "v1.0", True),
        (Trigger.TAG, "nightly", False),
        (Trigger.MERGE_REQUEST, "feature", False),
        (Trigger.MERGE_REQUEST, "release/1", True),
    ],
)
def test_protected_variables_are_for_protected_refs(
    environment: Environment, trigger: Trigger, ref: str, protected: bool
) -> None:
    project = environment.project()
    environment.group.api.projects.get(project.path).protectedbranches.create({"name": "release/*"})
    if trigger is Trigger.TAG:
        commit = project.repository.commit_id("master")
        assert commit
        project.tag(ref, commit)
    elif ref != "master":
        project.commit({"README.md": "A branch\n"}, branch=ref, start="master")
    checkout = environment.check_out(project, Event(trigger=trigger, ref=ref))
    assert checkout.protected is protected
    assert checkout.variables["CI_COMMIT_REF_PROTECTED"] == str(protected).lower()
    assert checkout.variables.get(TIER_VARIABLE) == ("protected" if protected else None)


def test_a_project_has_its_groups_runners_and_no_others(environment: Environment) -> None:
    for trust in (Trust.ISOLATED, Trust.SHARED):
        checkout = environment.check_out(environment.project(trust=trust))
        levels = {runner.name: runner.only_protected for runner in checkout.runners if "amd64" in runner.tags}
        expected = {
            Trust.ISOLATED: {"buildyard-platform-amd64": True, "buildyard-platform-unprotected-amd64": False},
            Trust.SHARED: {"buildyard-together-amd64": False},
        }
        assert levels == expected[trust]


def test_a_pipeline_waits_whose_runner_is_paused(environment: Environment) -> None:
    project = environment.project()
    api = environment.group.api
    paused = [each.id for each in api.runners_all.list(get_all=True) if each.description == "buildyard-platform-amd64"]
    api.runners.update(paused[0], {"paused": True})
    try:
        result = environment.build(project)
    finally:
        api.runners.update(paused[0], {"paused": False})
    assert not result.passed
    assert result.stuck["build-app:amd64"] == ["amd64", "linux", "protected"]
    assert not any(":manifest" in job.name for job in result.jobs), "it ran without the build that it needs"
