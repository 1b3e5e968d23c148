"""The settings of the bootstrap project: what is wrong in them, in words for the administrator."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from bootstrap.lookups import problems_of_provider
from bootstrap.settings import DIRECTORY, NAMESPACE, BootstrapSettings, parse
from stacks.problems import Problem, SettingsError

SMALLEST: dict[str, Any] = {
    "gitlab": {"url": "https://gitlab.example.com", "project": "platform/buildyard"},
    "bucket": "example-state",
    "stacks": ["prod"],
}


def problems(region: str = "eu-central-1", **keys: Any) -> dict[str, Problem]:
    with pytest.raises(SettingsError) as caught:
        parse({**SMALLEST, **keys}, region=region, source="bootstrap/Pulumi.prod.yaml")
    assert str(caught.value).startswith("bootstrap/Pulumi.prod.yaml has ")
    return {problem.path.removeprefix(f"{NAMESPACE}:"): problem for problem in caught.value.problems}


def test_the_smallest_settings_have_defaults() -> None:
    loaded = parse(SMALLEST, region="eu-west-1", source="x")
    assert loaded.bootstrap.gitlab.default_branch == "main"
    assert loaded.stacks["prod"].cluster.name == "ci"
    assert loaded.regions == {"prod": "eu-central-1"}, "the stack's own region, not that of the bucket"


def test_objects_may_be_json_as_pulumi_passes_them() -> None:
    loaded = parse({**SMALLEST, "stacks": '["dev"]', "tags": ""}, region="eu-central-1", source="x")
    assert loaded.bootstrap.stacks == ("dev",)


@pytest.mark.parametrize(
    ("keys", "path", "words"),
    [
        (
            {"gitlab": {**SMALLEST["gitlab"], "url": "https://gitlab.example.com/"}},
            "gitlab.url",
            "without a / at its end",
        ),
        ({"gitlab": {**SMALLEST["gitlab"], "url": "http://gitlab.example.com"}}, "gitlab.url", "with https://"),
        ({"gitlab": {**SMALLEST["gitlab"], "project": "platform/*"}}, "gitlab.project", "wrong format"),
        ({"gitlab": {**SMALLEST["gitlab"], "default-branch": "*"}}, "gitlab.default-branch", "wrong format"),
        ({"gitlab": {**SMALLEST["gitlab"], "thumbprints": ["AB:CD"]}}, "gitlab.thumbprints[0]", "hexadecimal"),
        ({"gitlab": {**SMALLEST["gitlab"], "projet": "x"}}, "gitlab.projet", "Did you mean project?"),
        ({"bucket": "Example.State"}, "bucket", "lower-case letters"),
        ({"stacks": []}, "stacks", "is empty"),
        ({"stacks": ["prod", "prod"]}, "stacks", "prod is there twice"),
        ({"stacks": ["prod", "prdo"]}, "stacks[1]", "Did you mean prod?"),
        ({"iam": {"path": "ci"}}, "iam.path", "Begin and end it with"),
        ({"iam": {"permissions-boundary": "boundary"}}, "iam.permissions-boundary", "the ARN of a policy"),
        ({"tags": {"aws:x": "y"}}, "tags.aws:x", "belong to AWS"),
        ({"tags": "[1,"}, "tags", "is not JSON"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(keys: dict[str, Any], path: str, words: str) -> None:
    assert words in str(problems(**keys)[path])


def test_all_mistakes_come_at_once() -> None:
    assert set(problems(region="", bucket="A", stacks=[], gitlab={})) >= {
        "aws:region",
        "bucket",
        "stacks",
        "gitlab.url",
    }


def test_a_wildcard_in_the_branch_would_give_the_deploy_role_to_every_branch() -> None:
    for branch in ("*", "ma?n", "main*"):
        assert "gitlab.default-branch" in problems(gitlab={**SMALLEST["gitlab"], "default-branch": branch})


def test_the_project_declares_the_keys_with_their_descriptions() -> None:
    declared = yaml.safe_load((DIRECTORY / "Pulumi.yaml").read_text())["config"]
    fields = {field.alias or name: field.description for name, field in BootstrapSettings.model_fields.items()}
    assert {key: value["description"] for key, value in declared.items()} == {
        f"{NAMESPACE}:{key}": description for key, description in fields.items()
    }


@pytest.mark.parametrize("name", ["prod", "sandbox"])
def test_the_committed_files_are_valid(name: str) -> None:
    config = yaml.safe_load((DIRECTORY / f"Pulumi.{name}.yaml").read_text())["config"]
    own = {key.removeprefix(f"{NAMESPACE}:"): value for key, value in config.items() if key.startswith(NAMESPACE)}
    assert parse(own, region=config["aws:region"], source=name).stacks.keys() == {name}


def test_the_readme_names_every_key() -> None:
    readme = (DIRECTORY / "README.md").read_text()
    keys = [*BootstrapSettings.model_fields, *(f"`{key}`" for key in ("url", "thumbprints", "existing-provider: true"))]
    assert all(key in readme for key in keys)


def test_the_program_finds_its_packages_as_pulumi_starts_it() -> None:
    """Pulumi's language host runs the project's folder, and nothing else is on Python's path."""
    start = "import runpy; runpy.run_path('.', run_name='__main__')"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", start], cwd=DIRECTORY, env=environment, capture_output=True, text=True
    )
    assert "buildyard-bootstrap:stacks: is missing" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("tags", "audiences", "said"),
    [
        ({}, ["sts.amazonaws.com"], ""),
        ({}, ["https://gitlab.com"], "does not take tokens for sts.amazonaws.com"),
        ({"buildyard:bootstrap": "prod"}, ["sts.amazonaws.com"], "would delete it now"),
    ],
)
def test_a_provider_that_exists_already_must_be_somebody_elses_and_take_our_tokens(
    tags: dict[str, str], audiences: list[str], said: str
) -> None:
    provider: Any = SimpleNamespace(arn="arn", url="gitlab.com", tags=tags, client_id_lists=audiences)
    found = [str(each) for each in problems_of_provider(provider)]
    assert len(found) == bool(said)
    assert said in "".join(found)
