"""The hash of what an image is made from changes with just what starts a build of it."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.inputs import image_inputs
from pipeline.scripts.inputs import Image, expected_hashes
from tests.pipeline.published import inputs
from tests.stacks.stack_settings import project

Hash = Callable[..., str]


@pytest.fixture
def hash_of(tmp_path: Path) -> Hash:
    """`hash_of(image, changed="path")`: the image's hash after a change of this file in a repository of some files."""

    def commit(*, changed: str = "") -> None:
        for path in ("app/Dockerfile", "app/src/main.go", "app/other/main.go", "assets/logo", "go.mod", "README.md"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("2" if path == changed else "1")
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "Change"]):
            user = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
            subprocess.run(["git", *user, *command], cwd=tmp_path, check=True)

    def hashed(image: dict[str, Any], changed: str = "") -> str:
        commit(changed=changed)
        return expected_hashes([facts({"name": "app", "context": "app", **image})], str(tmp_path), "HEAD")["app"]

    return hashed


def facts(image: dict[str, Any]) -> Image:
    """What scripts are told of the image."""
    found = inputs(projects=[project(image)])
    text = image_inputs("function", found, found.project.images)
    told: Image = json.loads(shlex.split(text.replace("\\\n", ""))[1])
    return told


@pytest.mark.parametrize(
    ("image", "own", "foreign"),
    [
        ({}, ["app/Dockerfile", "app/src/main.go"], ["go.mod", "assets/logo"]),
        ({"context": "."}, ["app/src/main.go", "go.mod", "README.md"], []),
        (
            {"context": "app/src", "dockerfile": "../Dockerfile"},
            ["app/Dockerfile", "app/src/main.go"],
            ["app/other/main.go"],
        ),
        ({"contexts": {"assets": "assets"}}, ["app/src/main.go", "assets/logo"], ["go.mod"]),
        (
            {"context": ".", "dockerfile": "app/Dockerfile", "watch": ["app/src", "go.mod"]},
            ["app/src/main.go", "go.mod", "app/Dockerfile"],
            ["app/other/main.go", "README.md"],
        ),
    ],
)
def test_the_hash_changes_with_what_starts_a_build(
    hash_of: Hash, image: dict[str, Any], own: list[str], foreign: list[str]
) -> None:
    before = hash_of(image)
    for path in own:
        assert hash_of(image, path) != before, f"latest would be stale after a change of {path}, and every job green"
    for path in foreign:
        assert hash_of(image, path) == before, f"latest would seem stale after a change of {path}, and the check be red"


@pytest.mark.parametrize(
    "changed",
    [
        {"build-args": {"A": "2"}},
        {"build-args": {"A": {"from": "A"}}},
        {"contexts": {"assets": "assets", "more": "app"}},
        {"target": "other"},
    ],
)
def test_the_hash_changes_with_the_options(hash_of: Hash, changed: dict[str, Any]) -> None:
    image = {"build-args": {"A": "1"}, "watch": ["app"]}
    assert hash_of({**image, **changed}) != hash_of(image)


def test_a_variables_value_is_not_in_the_hash(hash_of: Hash, monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"build-args": {"REVISION": {"from": "CI_COMMIT_SHA"}}}
    before = hash_of(image)
    monkeypatch.setenv("CI_COMMIT_SHA", "another")
    assert hash_of(image) == before, "an image would be stale with each commit that does not build it"
