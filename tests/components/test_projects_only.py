"""Runners for the projects of the settings, and for no other project of their group."""

from typing import Any

from tests.components.mocks import Declared, declare
from tests.components.test_lookups import refused
from tests.stacks.stack_settings import problems, project, settings

PATHS = ("platform/images", "platform/data/etl", "shop/web")


def projects(*paths: str) -> list[dict[str, Any]]:
    return [project({"name": f"web-{number}"}, path=path) for number, path in enumerate(paths)]


def stack(*paths: str) -> Declared:
    return declare(projects=projects(*paths), runners={"projects-only": True}, trust="isolated")


def test_runners_belong_to_the_first_project_and_are_enabled_for_the_others() -> None:
    declared = stack(*PATHS)
    runners = declared.of("index:UserRunner")
    assert len(runners) == 4
    for runner in runners.values():
        assert (runner.inputs["runnerType"], runner.inputs["projectId"]) == ("project_type", 42)
        assert "groupId" not in runner.inputs, "every project of the group could start build jobs"
        assert runner.inputs["locked"] is False, "GitLab enables a locked runner for no other project"
    enabled = declared.of("index:ProjectRunnerEnablement")
    assert {(name, each.inputs["project"]) for name, each in enabled.items()} == {
        (f"{runner}-{path}", path) for runner in runners for path in PATHS[1:]
    }
    for name, each in enabled.items():
        owner = name.removesuffix(f"-{each.inputs['project']}")
        assert f"gitlab:index/userRunner:UserRunner {owner}" in each.depends_on


def test_runners_of_a_single_project_are_locked_to_it() -> None:
    declared = stack("platform/images")
    assert all(runner.inputs["locked"] is True for runner in declared.of("index:UserRunner").values())
    assert not declared.of("index:ProjectRunnerEnablement")


def test_projects_of_different_groups_need_no_common_group() -> None:
    assert settings(projects=projects(*PATHS), runners={"projects-only": True}).runner_group is None
    hint = problems(projects=projects(*PATHS))["buildyard:runners.group"].hint
    assert "buildyard:runners.projects-only: true" in hint


def test_runners_cannot_also_belong_to_a_group_or_a_project() -> None:
    for key in ("group", "project"):
        found = problems(runners={"projects-only": True, key: "platform/images"})
        assert f"and to a {key}" in found["buildyard:runners.projects-only"].message


def test_a_project_that_does_not_exist_is_told_by_its_key() -> None:
    message = refused({"getProject": "404 Project Not Found"}, runners={"projects-only": True})
    assert "buildyard:projects[0].path: 404 Project Not Found" in message
