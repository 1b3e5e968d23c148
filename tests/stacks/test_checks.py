"""Checks that concern several keys of a stack's settings."""

import pytest

from stacks.problems import Problem, SettingsError
from stacks.projects import common_group
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


@pytest.mark.parametrize(
    ("paths", "advice"),
    [
        (["platform/images", "other/images"], "Use one stack per top-level group, and name the group."),
        (["platform/images", "platform/data/etl"], "Name the group, such as platform."),
        (["platform/data/images", "platform/data/x/etl"], "Name the group, such as platform/data."),
        (["images"], "Use one stack per top-level group, and name the group."),
    ],
)
def test_a_group_with_more_than_the_projects_must_be_named(paths: list[str], advice: str) -> None:
    [problem] = problems(projects=[project({"name": f"a{path.count('/')}"}, path=path) for path in paths]).values()
    assert problem == Problem(
        path="buildyard:runners.group",
        message="is missing, and the projects do not all lie directly in one group",
        hint=f"{advice} Every project of that group and its subgroups can then start build jobs. "
        "Or set buildyard:runners.projects-only: true.",
    )


def test_a_named_group_may_be_further_up() -> None:
    projects = [project({"name": "a"}, path="platform/images"), project({"name": "b"}, path="platform/data/etl")]
    assert settings(runners={"group": "platform"}, projects=projects).runner_group == "platform"


def test_the_runners_default_to_the_group_in_which_all_projects_lie() -> None:
    projects = [project({"name": "a"}, path="platform/ci/a"), project({"name": "b"}, path="platform/ci/b")]
    assert settings(projects=projects).runner_group == "platform/ci"


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


def test_a_dockerfile_outside_the_context_may_be_anywhere_in_the_repository() -> None:
    for dockerfile in ("../Dockerfile", "../../Dockerfile"):
        settings(projects=[project({"name": "a", "context": "images/a", "dockerfile": dockerfile})])


def test_a_timeout_may_be_the_runners_limit() -> None:
    settings(
        runners={"maximum-timeout-minutes": 90},
        projects=[project({"name": "a", "timeout-minutes": 90})],
    )


@pytest.mark.parametrize(
    ("paths", "group"),
    [
        (["a/b/c"], "a/b"),
        (["a/b/c/d", "a/b/x/d"], "a/b"),
        (["a/b/c", "a/b/c/d"], "a/b"),
        (["a/x/c", "a/y/c"], "a"),
        (["a/x", "b/x"], None),
        (["ab/x", "a/x"], None),
        (["x"], None),
    ],
)
def test_a_common_group_is_the_innermost_that_contains_all_projects(paths: list[str], group: str | None) -> None:
    assert common_group(paths) == group


def test_every_dependency_is_checked() -> None:
    found = problems(
        projects=[
            project(
                {"name": "base", "architectures": ["arm64"]},
                {"name": "web", "depends-on": ["unknown", "base"]},
            )
        ]
    )
    assert list(found) == [
        "buildyard:projects[0].images[1].depends-on[0]",
        "buildyard:projects[0].images[1].depends-on[1]",
    ]


def test_all_problems_are_reported_with_message_and_hint() -> None:
    with pytest.raises(SettingsError) as caught:
        settings(
            nodes={"arm64": {"instance-types": ["m7g.large"]}},
            runners={
                "group": "platform",
                "ceilings": {"cpu": "3"},
                "helper": {"memory": {"request": "2Gi", "limit": "1Gi"}},
                "maximum-timeout-minutes": 60,
            },
            projects=[
                project(
                    {"name": "a", "resources": {"cpu": {"request": "4", "limit": "4"}}, "architectures": ["amd64"]},
                    {"name": "b", "dockerfile": "../../../Dockerfile", "timeout-minutes": 90, "depends-on": ["d"]},
                    {"name": "c", "secrets": {"aws": "AWS_ACCESS_KEY_ID"}, "depends-on": ["a", "x"]},
                    {"name": "d", "resources": {"memory": {"request": "9Gi"}}, "depends-on": ["b"]},
                    {"name": "e", "repository": "platform/images/d"},
                ),
                project({"name": "a"}, path="other/images"),
            ],
        )
    assert str(caught.value) == (
        "stacks/Pulumi.test.yaml has 14 problems; nothing was changed.\n"
        "  1. buildyard:projects[1].path: other/images cannot use the runners, which belong to the group platform\n"
        "      Give them to a group that contains all projects, with buildyard:runners.group.\n"
        "  2. buildyard:runners.ceilings.cpu: 3 is below the default limit of CPU, 4\n"
        "      Raise it to at least 4, or lower buildyard:runners.defaults.cpu.limit.\n"
        "  3. buildyard:runners.helper.memory.request: the request of 2Gi is above the limit of 1Gi\n"
        "      Lower it to at most 1Gi, or raise the limit.\n"
        "  4. buildyard:projects[0].images[4].repository: the repository platform/images/d already exists, at "
        "buildyard:projects[0].images[3].name\n"
        "      Rename one of the two.\n"
        "  5. buildyard:projects[0].images[2].depends-on[0]: c is built for arm64, but a is not\n"
        "      Add it to the architectures of a, or remove it from those of c.\n"
        "  6. buildyard:projects[0].images[2].depends-on[1]: the project platform/images has no image x\n"
        "      Known: a, b, c, d, e.\n"
        "  7. buildyard:projects[0].images: images depend on each other in a cycle: b -> d -> b\n"
        "      Remove one of these from the other's depends-on.\n"
        "  8. buildyard:projects[0].images[0].resources.cpu.request: 4 of CPU is above the ceiling of 3\n"
        "      Lower it to at most 3, or raise buildyard:runners.ceilings.cpu.\n"
        "  9. buildyard:projects[0].images[0].resources.cpu.limit: 4 of CPU is above the ceiling of 3\n"
        "      Lower it to at most 3, or raise buildyard:runners.ceilings.cpu.\n"
        "  10. buildyard:projects[0].images[0].architectures[0]: the stack has no amd64 nodes\n"
        "      Add buildyard:nodes.amd64, or remove amd64 here.\n"
        "  11. buildyard:projects[0].images[1].dockerfile: '../../../Dockerfile', seen from images/b, is outside the "
        "repository\n"
        "      Use a path relative to the context that stays inside the repository.\n"
        "  12. buildyard:projects[0].images[1].timeout-minutes: 90 is longer than the runners' limit\n"
        "      Lower it to at most 60, or raise buildyard:runners.maximum-timeout-minutes.\n"
        "  13. buildyard:projects[0].images[2].secrets.aws: every job unsets AWS_ACCESS_KEY_ID, so that it logs in "
        "with the pod's role\n"
        "      Use another name for the variable with these credentials.\n"
        "  14. buildyard:projects[0].images[3].resources.memory.request: the request of 9Gi is above the limit of 8Gi, "
        "and one of them is from buildyard:runners.defaults\n"
        "      Lower it to at most 8Gi, or raise the limit."
    )


@pytest.mark.parametrize(
    ("runners", "problem"),
    [
        (
            {"group": "platform", "project": "platform/images"},
            Problem(
                path="buildyard:runners.project",
                message="the runners belong to a group and to a project",
                hint="Remove group or project.",
            ),
        ),
        (
            {"project": "platform/other"},
            Problem(
                path="buildyard:projects[0].path",
                message="platform/images cannot use the runners, which belong to the project platform/other",
                hint="Give them to a group that contains both, with buildyard:runners.group.",
            ),
        ),
    ],
)
def test_runners_for_the_wrong_projects_are_reported(runners: dict[str, str], problem: Problem) -> None:
    assert list(problems(runners=runners).values()) == [problem]
