"""The hash of what an image is made from, and the rules that build it, agree on what that is."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.inputs import image_inputs
from pipeline.scripts.inputs import Image, expected_hashes
from tests.pipeline import events
from tests.pipeline.published import files, inputs, jobs
from tests.stacks.stack_settings import project

Hash = Callable[..., str]
PATHS = ("app/Dockerfile", "app/src/main.go", "app/other/main.go", "assets/logo", "go.mod", "README.md")


@pytest.fixture
def hash_of(tmp_path: Path) -> Hash:
    """`hash_of(image, changed="path")`: the image's hash after a change of this file in a repository of some files."""

    def commit(*, changed: str = "") -> None:
        for path in PATHS:
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
    """The image's facts, as scripts get them."""
    found = inputs(projects=[project(image)])
    text = image_inputs("function", found, found.project.images)
    told: Image = json.loads(shlex.split(text.replace("\\\n", ""))[1])
    return told


@pytest.mark.parametrize(
    ("image", "own"),
    [
        ({}, {"app/Dockerfile", "app/src/main.go", "app/other/main.go"}),
        ({"context": "."}, set(PATHS)),
        ({"context": "app/src", "dockerfile": "../Dockerfile"}, {"app/Dockerfile", "app/src/main.go"}),
        ({"context": "app/src", "dockerfile": "../Dockerfile", "contexts": {"all": "."}}, set(PATHS)),
        ({"context": "app/src", "contexts": {"assets": "assets"}}, {"app/src/main.go", "assets/logo"}),
        (
            {"context": ".", "dockerfile": "app/Dockerfile", "watch": ["app/src", "go.mod"]},
            {"app/Dockerfile", "app/src/main.go", "go.mod"},
        ),
        ({"watch": ["**/main.go", "a*s"]}, {"app/Dockerfile", "app/src/main.go", "app/other/main.go", "assets/logo"}),
        ({"watch": ["app/*/main.go"]}, {"app/Dockerfile", "app/src/main.go", "app/other/main.go"}),
        ({"watch": ["."]}, set(PATHS)),
    ],
)
def test_what_changes_the_hash_also_starts_a_build(hash_of: Hash, image: dict[str, Any], own: set[str]) -> None:
    before = hash_of(image)
    assert {path for path in PATHS if hash_of(image, path) != before} == own
    wanted = project({"name": "app", "context": "app", **image}, **{"default-branch": "master"})
    published = jobs(files(projects=[wanted]))
    started = {
        path for path in PATHS if events.selected(published, events.push(path))["build-app:arm64"] == "on_success"
    }
    assert started == own, "latest would be stale with every job green, or the check of it be red for ever"


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
