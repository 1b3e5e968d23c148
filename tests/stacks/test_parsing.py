"""A stack's file becomes settings, or all problems in it at once."""

from typing import Any

import pytest

from stacks.architecture import Architecture
from stacks.names import default_namespace
from stacks.parsing import parse
from stacks.problems import Problem, SettingsError, nearest
from stacks.quantities import Quantity
from stacks.trust import Tier
from tests.stacks.stack_settings import SMALLEST, problems, project, raw, settings


def test_a_cluster_and_an_image_are_enough() -> None:
    smallest = settings()
    assert smallest.architectures == (Architecture.ARM64, Architecture.AMD64)
    assert smallest.runner_group == "platform", "the default is the group that contains the projects"
    (images,) = smallest.projects
    assert smallest.repository_of(images, images.images[0]) == "platform/images/toolbox"
    assert smallest.resources_of(images.images[0]).memory.limit == Quantity("8Gi")


def test_the_namespace_is_the_settings_or_the_stacks() -> None:
    assert settings().runners.namespace_of("dev", Tier.PROTECTED) == default_namespace("dev")
    assert settings(runners={"namespace": "builds"}).runners.namespace_of("dev", Tier.PROTECTED) == "builds"


def test_an_image_overrides_only_the_bounds_that_it_names() -> None:
    stack = settings(projects=[project({"name": "web", "resources": {"cpu": {"request": "3"}}})])
    resources = stack.resources_of(stack.projects[0].images[0])
    assert resources.cpu.request == Quantity("3")
    assert resources.cpu.limit == stack.runners.defaults.cpu.limit, "the limit is still the default"


def test_the_hint_for_a_misspelled_key_is_the_most_similar_key() -> None:
    found = problems(nodes={"arm64": {"instance-types": ["m7g.large"], "max-sise": 3}})
    assert "max-size" in found["buildyard:nodes.arm64.max-sise"].hint


def test_a_misspelled_top_level_key_is_refused() -> None:
    assert "registry" in problems(registy={"prefix": "x"})["buildyard:registy"].hint


def test_the_hint_for_an_unknown_architecture_names_the_known_ones() -> None:
    found = problems(nodes={"arm46": {"instance-types": ["m7g.large"]}})
    assert "arm64" in found["buildyard:nodes.arm46"].hint


@pytest.mark.parametrize(
    ("image", "key"),
    [
        ({"name": "web", "context": "../elsewhere"}, "context"),
        ({"name": "web", "context": "/etc"}, "context"),
        ({"name": "web", "context": "images/../../elsewhere"}, "context"),
        ({"name": "web", "dockerfile": "../../../Dockerfile"}, "dockerfile"),
        ({"name": "web", "dockerfile": "/Dockerfile"}, "dockerfile"),
        ({"name": "Web", "context": "web"}, "name"),
        ({"name": "web", "timeout-minutes": 5}, "timeout-minutes"),
        ({"name": "web", "build-args": {"1ST": "x"}}, "build-args.1ST"),
        ({"name": "web", "resources": {"cpu": {"request": "two"}}}, "resources.cpu.request"),
        ({"name": "web", "resources": {"cpu": {"request": True}}}, "resources.cpu.request"),
        ({"name": "web", "architectures": []}, "architectures"),
    ],
)
def test_a_wrong_value_is_refused_at_its_key(image: dict[str, object], key: str) -> None:
    found = problems(projects=[project(image)])
    assert list(found) == [f"buildyard:projects[0].images[0].{key}"]


@pytest.mark.parametrize(
    ("keys", "path", "message", "hint"),
    [
        ({"runners": {"concurrent": 0}}, "runners.concurrent", "0 is too small", "It must be at least 1."),
        ({"runners": {"concurrent": 1001}}, "runners.concurrent", "1001 is too large", "It must be at most 1000."),
        (
            {"runners": {"concurrent": "many"}},
            "runners.concurrent",
            "'many' is not a whole number",
            "Use a whole number",
        ),
        ({"runners": {"concurrent": [2]}}, "runners.concurrent", "[2] is not a whole number", "Use a whole number"),
        ({"runners": {"concurrent": 2.5}}, "runners.concurrent", "2.5 is not a whole number", "Use a whole number"),
        (
            {"registry": {"force-delete": "maybe"}},
            "registry.force-delete",
            "'maybe' is not a boolean",
            "Use true or false",
        ),
        ({"registry": {"force-delete": []}}, "registry.force-delete", "[] is not a boolean", "Use true or false"),
        ({"registry": {"prefix": "a"}}, "registry.prefix", "'a' is too short", "at least 2 characters"),
        ({"cluster": {"name": "a" * 101}}, "cluster.name", "… is too long", "at most 100 characters"),
        (
            {"cluster": "ci"},
            "cluster",
            "'ci' is not a mapping",
            "Use a mapping with these keys: name, subnet-ids, daemon-sets, cni-role.",
        ),
        ({"nodes": "x"}, "nodes", "'x' is not a mapping", "Use a mapping with these keys: arm64, amd64."),
        ({"cluster": {"name": ["ci"]}}, "cluster.name", "['ci'] is not a string", "Use a string."),
        ({"cluster": {"name": "ci", "subnet-ids": "a"}}, "cluster.subnet-ids", "'a' is not a list", "Use a list"),
        ({"cluster": {"name": "ci", "subnet-ids": []}}, "cluster.subnet-ids", "is empty", "Add at least one item"),
        (
            {"cluster": {}},
            "cluster.name",
            "is missing",
            "The key has no default. Known keys here: cni-role, daemon-sets, name, subnet-ids.",
        ),
        ({"cluster": {"name": "-"}}, "cluster.name", "'-' has the wrong format", "`aws eks list-clusters`"),
        (
            {"nodes": {"arm64": {"instance-types": ["m7g.large"] * 21}}},
            "nodes.arm64.instance-types",
            "has too many items",
            "It must have at most 20.",
        ),
    ],
)
def test_a_problem_says_what_is_wrong_and_what_to_do(keys: dict[str, Any], path: str, message: str, hint: str) -> None:
    [problem] = problems(**keys).values()
    assert problem.path == f"buildyard:{path}"
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize("disk", ["0", "0Gi", "50.5Gi", "100G", "1"])
def test_a_disk_is_a_whole_number_of_gibibytes(disk: str) -> None:
    [problem] = problems(nodes={"arm64": {"instance-types": ["m7g.large"], "disk": disk}}).values()
    assert problem.path == "buildyard:nodes.arm64.disk"
    assert problem.message.startswith(f"{disk} is not a whole number of GiB")
    assert problem.hint == "Use, for example, 200Gi."
    assert settings(nodes={"arm64": {"instance-types": ["m7g.large"], "disk": "51200Mi"}})


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"contxt": "."}, "Did you mean context?"),
        ({"resources": {"memry": {}}}, "Did you mean memory?"),
        ({"resources": {"memory": {"requst": "1Gi"}}}, "Did you mean request?"),
        ({"resources": {"memory": {"zzz": "1Gi"}}}, "Known: limit, request."),
    ],
)
def test_the_hint_for_an_unknown_key_knows_the_keys_of_its_place(wrong: dict[str, Any], hint: str) -> None:
    [problem] = problems(projects=[project({"name": "web", **wrong})]).values()
    assert problem.message == "there is no such key"
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Asia/Hongkong", "Did you mean Asia/Hong_Kong?"),
        ("UTCC", "Did you mean UTC?"),
        ("Xyz", "Use a name from the IANA database, such as Asia/Hong_Kong or UTC."),
        ("../etc/localtime", "Use a name from the IANA database, such as Asia/Hong_Kong or UTC."),
    ],
)
def test_the_hint_for_an_unknown_time_zone(zone: str, hint: str) -> None:
    [problem] = problems(projects=[project({"name": "web"}, **{"time-zone": zone})]).values()
    assert (problem.message, problem.hint) == (f"there is no time zone {zone!r}", hint)


def test_a_project_that_is_not_a_mapping_hides_no_other_problem() -> None:
    found = problems(projects=["platform/images", project({"name": "a"}, {"name": "a"})])
    assert list(found) == ["buildyard:projects[0]", "buildyard:projects[1].images[1].name"]


def test_a_missing_project_hides_no_other_problem() -> None:
    raw_settings = raw(runners={"ceilings": {"cpu": "3"}})
    del raw_settings["projects"], raw_settings["cluster"]
    with pytest.raises(SettingsError) as caught:
        parse(raw_settings, source="stacks/Pulumi.dev.yaml")
    assert {each.path for each in caught.value.problems} == {
        "buildyard:cluster",
        "buildyard:projects",
        "buildyard:runners.ceilings.cpu",
    }


def test_an_error_numbers_its_problems() -> None:
    found = [
        Problem(path="buildyard:a", message="is wrong", hint="Fix it."),
        Problem(path="b", message="too", hint="-"),
    ]
    assert str(SettingsError(found, source="stacks/Pulumi.dev.yaml")) == (
        "stacks/Pulumi.dev.yaml has 2 problems; nothing was changed.\n"
        "  1. buildyard:a: is wrong\n      Fix it.\n"
        "  2. b: too\n      -"
    )


def test_a_hint_is_the_most_similar_word_or_all_words() -> None:
    assert nearest("bsae", ["web", "base"]) == "Did you mean base?"
    assert nearest("xyz", ["web", "base"]) == "Known: base, web."
    assert nearest("xyz", []) == "Known: none."


def test_a_context_may_be_the_whole_repository() -> None:
    stack = settings(projects=[project({"name": "web", "context": ".", "dockerfile": "docker/web/Dockerfile"})])
    assert stack.projects[0].images[0].context == "."


def test_the_hint_for_an_account_without_quotes_has_quotes() -> None:
    assert '"123456789012"' in problems(registry={"account": 123456789012})["buildyard:registry.account"].hint


def test_wrong_values_do_not_hide_problems_between_keys() -> None:
    found = problems(
        cluster={"nme": "ci"},
        runners={"ceilings": {"cpu": "3"}},
        projects=[
            {
                "path": "platform/images",
                "images": [
                    "toolbox",
                    {"name": "a", "context": "a", "depends-on": ["b"]},
                    {"name": "b", "context": "b", "depends-on": ["a"], "resources": {"cpu": {"limit": "99"}}},
                ],
            }
        ],
    )
    assert set(found) == {
        "buildyard:cluster.name",
        "buildyard:cluster.nme",
        "buildyard:runners.ceilings.cpu",
        "buildyard:projects[0].images[0]",
        "buildyard:projects[0].images",
        "buildyard:projects[0].images[2].resources.cpu.limit",
    }


def test_the_error_lists_problems_and_hints() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(raw(identity="oidc"), source="stacks/Pulumi.dev.yaml")
    text = str(caught.value)
    assert text.startswith("stacks/Pulumi.dev.yaml has 1 problem; nothing was changed.")
    assert "buildyard:identity: 'oidc'" in text
    assert "'pod-identity' or 'irsa'" in text


@pytest.mark.parametrize("value", [None, [], "x", 3])
@pytest.mark.parametrize("key", ["cluster", "nodes", "runners", "registry", "projects", "tags"])
def test_a_top_level_key_of_the_wrong_type_is_refused_at_the_key(key: str, value: object) -> None:
    found = problems(SMALLEST, **{key: value})
    assert list(found) == [f"buildyard:{key}"]
