"""Checks that concern several keys of a stack's settings."""

import pytest

from tests.stacks.stack_settings import problems, project, settings

IMAGE = "buildyard:projects[0].images[0]"


def test_a_request_above_its_limit_is_refused() -> None:
    found = problems(projects=[project({"name": "a", "resources": {"cpu": {"request": "3", "limit": "2500m"}}})])
    assert "at most" in found[f"{IMAGE}.resources.cpu.request"].hint


def test_a_request_above_the_default_limit_says_where_the_limit_comes_from() -> None:
    found = problems(projects=[project({"name": "a", "resources": {"memory": {"request": "9Gi"}}})])
    assert "buildyard:runners.defaults" in found[f"{IMAGE}.resources.memory.request"].message


def test_a_limit_below_the_default_request_is_refused() -> None:
    assert f"{IMAGE}.resources.cpu.limit" in problems(
        projects=[project({"name": "a", "resources": {"cpu": {"limit": "1"}}})]
    )


@pytest.mark.parametrize(
    ("resource", "bounds", "bound"),
    [
        ("cpu", {"request": "4", "limit": "9"}, "limit"),
        ("memory", {"limit": "16Gi"}, "limit"),
        ("ephemeral-storage", {"request": "51Gi"}, "request"),
    ],
)
def test_an_image_above_a_ceiling_is_refused(resource: str, bounds: dict[str, str], bound: str) -> None:
    found = problems(projects=[project({"name": "a", "resources": {resource: bounds}})])
    assert f"buildyard:runners.ceilings.{resource}" in found[f"{IMAGE}.resources.{resource}.{bound}"].hint


def test_a_limit_at_the_ceiling_is_accepted_in_every_notation() -> None:
    resources = {"cpu": {"limit": "8000m"}, "memory": {"limit": "15360Mi"}}
    settings(projects=[project({"name": "a", "resources": resources})])


def test_a_ceiling_below_the_defaults_is_refused() -> None:
    assert "buildyard:runners.ceilings.memory" in problems(runners={"ceilings": {"memory": "2Gi"}})


def test_two_images_with_one_name_are_one_problem() -> None:
    assert list(problems(projects=[project({"name": "a"}, {"name": "a"})])) == ["buildyard:projects[0].images[1].name"]


def test_two_images_with_one_repository_are_refused_across_projects() -> None:
    other = project({"name": "b", "repository": "platform/images/a"}, path="platform/other")
    found = problems(projects=[project({"name": "a"}), other])
    assert "projects[0].images[0]" in found["buildyard:projects[1].images[0].repository"].message


def test_a_project_named_twice_is_refused() -> None:
    assert "buildyard:projects[1].path" in problems(projects=[project({"name": "a"}), project({"name": "b"})])


def test_a_cycle_names_the_images_in_it() -> None:
    circle = [{"name": name, "depends-on": [base]} for name, base in ("ac", "ba", "cb")]
    cycle = problems(projects=[project(*circle)])["buildyard:projects[0].images"].message
    assert any(way in cycle for way in ("a -> c -> b -> a", "c -> b -> a -> c", "b -> a -> c -> b")), cycle


def test_an_image_cannot_depend_on_itself() -> None:
    found = problems(projects=[project({"name": "a", "depends-on": ["a"]})])
    assert "a -> a" in found["buildyard:projects[0].images"].message


def test_the_hint_for_an_unknown_dependency_is_the_most_similar_image() -> None:
    found = problems(projects=[project({"name": "base"}, {"name": "web", "depends-on": ["bsae"]})])
    assert found["buildyard:projects[0].images[1].depends-on[0]"].hint == "Did you mean base?"


def test_an_image_cannot_be_built_for_an_architecture_that_its_base_lacks() -> None:
    found = problems(
        projects=[project({"name": "base", "architectures": ["amd64"]}, {"name": "web", "depends-on": ["base"]})]
    )
    assert "arm64" in found["buildyard:projects[0].images[1].depends-on[0]"].message


def test_an_architecture_without_nodes_is_refused() -> None:
    found = problems(
        nodes={"arm64": {"instance-types": ["m7g.large"]}},
        projects=[project({"name": "a", "architectures": ["arm64", "amd64"]})],
    )
    assert "buildyard:nodes.amd64" in found[f"{IMAGE}.architectures[1]"].hint


def test_runners_that_a_project_cannot_use_are_refused() -> None:
    assert "buildyard:projects[0].path" in problems(runners={"group": "plat"}), (
        "plat is not a parent of platform/images"
    )
    assert "buildyard:projects[0].path" in problems(runners={"project": "platform/other"})
    assert "buildyard:runners.project" in problems(runners={"group": "platform", "project": "platform/images"})


def test_projects_without_a_common_group_need_the_group_named() -> None:
    found = problems(projects=[project({"name": "a"}), project({"name": "b"}, path="other/images")])
    assert "buildyard:runners.group" in found


def test_a_timeout_beyond_the_runners_is_refused() -> None:
    assert f"{IMAGE}.timeout-minutes" in problems(projects=[project({"name": "a", "timeout-minutes": 500})])


def test_credentials_that_jobs_unset_cannot_be_secrets() -> None:
    found = problems(projects=[project({"name": "a", "secrets": {"aws": "AWS_SECRET_ACCESS_KEY"}})])
    assert f"{IMAGE}.secrets.aws" in found


def test_an_image_cannot_use_the_builders_repository() -> None:
    images = [{"name": "a", "repository": "buildyard/builder"}]
    found = problems(projects=[project(*images)])
    assert f"{IMAGE}.repository" in found, "its builds could change the image of all other jobs"
    settings(runners={"builder-image": "registry.example.com/builder:1"}, projects=[project(*images)])
