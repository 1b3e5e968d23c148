"""Two stacks cannot both have the same names: a preview says so, before AWS or GitLab does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks import config
from stacks.neighbours import Collisions, collisions
from stacks.parsing import parse

ACCOUNT = "123456789012"
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a stack's file."""
    monkeypatch.setattr(config, "DIRECTORY", tmp_path)

    def write(name: str, *, region: str = "eu-central-1", gitlab: str | None = None, **keys: Any) -> None:
        values = {
            "cluster": {"name": "ci"},
            "registry": {"account": ACCOUNT},
            "projects": [{"path": f"{name}/images", "images": [{"name": "web", "context": "."}]}],
            **keys,
        }
        content = {f"buildyard:{key}": value for key, value in values.items()}
        content |= {"aws:region": region} | ({"gitlab:baseUrl": gitlab} if gitlab else {})
        (tmp_path / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": content}))

    return write


def found(name: str = "us") -> Collisions:
    return collisions(name, config.read_file(name))


def problems(name: str = "us") -> dict[str, str]:
    result = found(name)
    assert not result.notices
    return {each.path: each.message for each in result.problems}


def prefix(name: str) -> dict[str, str]:
    return {"account": ACCOUNT, "prefix": name}


def test_stacks_of_other_groups_with_prefixes_have_nothing_in_common(write: Write) -> None:
    write("eu", registry=prefix("eu"))
    write("us", registry=prefix("us"))
    assert problems() == {}


def test_the_builders_repository_is_one_of_a_region(write: Write) -> None:
    write("eu")
    write("us")
    assert problems() == {
        "buildyard:registry.prefix": "stacks/Pulumi.eu.yaml has the repository buildyard/builder, too"
    }
    write("us", region="us-east-1")
    assert problems() == {}, "each region has a registry of its own"
    write("us", runners={"builder-image": f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/buildyard/builder:1"})
    assert problems() == {}, "the builder of the other stack serves both"


def test_the_repositories_of_images_are_one_of_a_region(write: Write) -> None:
    keys = {
        "projects": [{"path": "platform/images", "images": [{"name": "web", "context": "."}]}],
        "runners": {"builder-image": "example.com/builder:1"},
    }
    write("eu", gitlab="https://gitlab.example.com/api/v4", **keys)
    write("us", **keys)
    assert problems() == {
        "buildyard:registry.prefix": "stacks/Pulumi.eu.yaml has the repository platform/images/web and 1 more, too"
    }


def test_accounts_are_apart_but_an_unknown_one_is_only_a_notice(write: Write) -> None:
    write("eu")
    write("us", registry={"account": "210987654321"})
    assert problems() == {}
    write("us", registry={})
    assert found().problems == []
    [notice] = map(str, found().notices)
    assert "the repository buildyard/builder, too, if both stacks are in one AWS account" in notice
    assert "buildyard:registry.account" in notice, "nobody knows how to make it go away"


def test_caches_of_a_region_have_prefixes_of_their_own(write: Write) -> None:
    registry = {"account": ACCOUNT, "pull-through": {"quay": {}}}
    builder = {"builder-image": "example.com/builder:1"}
    write("eu", registry=registry, runners=builder)
    write("us", registry=registry, runners=builder)
    [message] = problems().values()
    assert message == "stacks/Pulumi.eu.yaml has the pull-through cache cache/quay and 1 more, too"
    write("us", registry={**registry, "prefix": "us"}, runners=builder)
    assert problems() == {}


def test_a_namespace_is_one_of_a_cluster(write: Write) -> None:
    write("eu", registry=prefix("eu"), runners={"namespace": "builds"})
    write("us", registry=prefix("us"), runners={"namespace": "builds-unprotected"})
    assert problems() == {
        "buildyard:runners.namespace": "stacks/Pulumi.eu.yaml has the namespace builds-unprotected in the cluster ci, "
        "too"
    }
    write("us", registry=prefix("us"), runners={"namespace": "builds"}, cluster={"name": "other"})
    assert problems() == {}
    write("us", registry=prefix("us"), runners={"namespace": "builds"}, region="us-east-1")
    assert problems() == {}, "a cluster of the same name in another region is another one"


def test_a_stack_cannot_be_called_like_anothers_tier(write: Write) -> None:
    write("us", registry=prefix("us"), region="us-east-1")
    write("us-unprotected", registry=prefix("other"))
    message = "stacks/Pulumi.us.yaml has roles named buildyard-us-unprotected-..., too, for the tier unprotected of one"
    assert problems("us-unprotected")["stacks/Pulumi.us-unprotected.yaml"].startswith(message), (
        "IAM's names are one for all regions"
    )


def test_a_gitlab_project_has_one_stack(write: Write) -> None:
    projects = [{"path": "platform/images", "images": [{"name": "web", "context": "."}]}]
    write("eu", registry={"account": "210987654321"}, projects=projects)
    tags = {"tags": {"prefix": "us"}}
    write("us", projects=projects, runners=tags)
    message = "platform/images is in stacks/Pulumi.eu.yaml, too, and both would publish its pipeline"
    assert problems() == {"buildyard:projects[0].path": message}
    write("us", projects=projects, runners=tags, gitlab="https://gitlab.example.com/api/v4/")
    assert problems() == {}, "another GitLab's project"
    write("eu", registry={}, projects=projects, gitlab="https://gitlab.example.com/api/v4")
    assert "buildyard:projects[0].path" in {each.path for each in found().problems}, "the same, in other letters"


@pytest.mark.parametrize(
    ("eu", "us", "meet"),
    [
        ({"group": "a"}, {"group": "a"}, True),
        ({"group": "a"}, {"group": "a/b"}, True),
        ({"group": "a/b"}, {"group": "a"}, True),
        ({"group": "a"}, {"project": "a/us/images"}, True),
        ({"group": "a/eu"}, {"group": "a/us"}, False),
        ({"project": "a/eu/images"}, {"project": "a/us/images"}, False),
        ({"projects-only": True}, {"projects-only": True}, False),
        ({"projects-only": True}, {"group": "a"}, True),
        ({"group": "a"}, {"group": "a", "tags": {"prefix": "us"}}, False),
        ({"group": "a", "tags": {"prefix": "eu"}}, {"group": "a", "tags": {"prefix": "us"}}, False),
        ({"group": "a", "tags": {"prefix": "us"}}, {"group": "a", "tags": {"prefix": "us"}}, True),
    ],
)
def test_runners_that_a_project_sees_have_tags_of_their_own(
    write: Write, eu: dict[str, Any], us: dict[str, Any], meet: bool
) -> None:
    for name, runners in (("eu", eu), ("us", us)):
        scope = "a/b" if "a/b" in (eu.get("group"), us.get("group")) else f"a/{name}"
        projects = [
            {"path": f"{scope}/{'images' if scope != 'a/b' else name}", "images": [{"name": "web", "context": "."}]}
        ]
        write(name, registry=prefix(name), runners=runners, projects=projects)
    expected = {"buildyard:runners.tags.prefix"} if meet else set()
    assert problems().keys() == expected, "jobs would run with the other stack's role"


def test_tiers_that_share_tags_with_another_trust_meet(write: Write) -> None:
    def projects(name: str) -> list[dict[str, Any]]:
        return [{"path": f"a/{name}", "images": [{"name": "web", "context": "."}]}]

    write("eu", registry=prefix("eu"), projects=projects("eu"), trust="shared")
    write("us", registry=prefix("us"), projects=projects("us"), trust="protected-only")
    assert "arm64, linux, protected" in problems()["buildyard:runners.tags.prefix"], (
        "a job that asks for arm64 and linux runs on either runner"
    )


def test_the_sandbox_has_no_neighbours_and_files_with_mistakes_are_left_to_their_own_preview(write: Write) -> None:
    write("sandbox")
    write("broken", cluster={"nome": "ci"})
    write("us")
    assert problems() == {}
    write("broken")
    assert problems()
    settings = parse(
        {"cluster": {"name": "ci"}, "projects": [{"path": "us/images", "images": [{"name": "web", "context": "."}]}]},
        source="",
    )
    assert collisions("sandbox", settings) == collisions("nofile", settings) == Collisions(problems=[], notices=[])


def test_one_stack_of_an_account_and_region_owns_blob_mounting(write: Write) -> None:
    write("eu", registry={**prefix("eu"), "blob-mounting": True})
    write("us", registry={**prefix("us"), "blob-mounting": True})
    assert problems() == {
        "buildyard:registry.blob-mounting": "stacks/Pulumi.eu.yaml turns it on, too, and it is one setting of the "
        "account and region"
    }
    write("us", registry={**prefix("us"), "blob-mounting": True}, region="us-east-1")
    assert problems() == {}, "each region has a setting of its own"
    write("us", registry={**prefix("us"), "blob-mounting": "elsewhere"})
    assert problems() == {}, "the builds of only one stack could use it"
