"""Refused settings of an image: build arguments, contexts, watched paths, tests."""

from typing import Any

import pytest

from stacks.projects import FromVariable
from tests.stacks.stack_settings import problems, project, settings

IMAGE = "buildyard:projects[0].images[0]"
DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("keys", "path", "message", "hint"),
    [
        ({"build-args": "V"}, "build-args", "'V' is not a mapping", "Use a mapping."),
        ({"build-args": {"V": {"frm": "X"}}}, "build-args.V.frm", "there is no such key", "Did you mean from?"),
        ({"build-args": {"V": {"from": "A-B"}}}, "build-args.V.from", "'A-B' has the wrong format", "Use letters"),
        ({"build-args": {"V": 1.10}}, "build-args.V", "1.1 is not a string", 'Write it in quotes: "1.1".'),
        ({"build-args": {"V": None}}, "build-args.V", "None is not a string", "Use a string."),
        ({"build-args": {"V": ["x"]}}, "build-args.V", "['x'] is not a mapping", "with these keys: from."),
        (
            {"build-args": {"V": {"from": "AWS_PROFILE"}}},
            "build-args.V.from",
            "every job unsets AWS_PROFILE",
            "another name",
        ),
        ({"contexts": {"a": "../x"}}, "contexts.a", "'../x' is outside the repository", "the repository's root"),
        ({"contexts": {"a": "/x"}}, "contexts.a", "'/x' is outside the repository", "the repository's root"),
        ({"contexts": {"a": "docker-image://alpine:3"}}, "contexts.a", "not an image with a digest", "@sha256:DIGEST"),
        ({"contexts": {"a": "https://x/y.git"}}, "contexts.a", "neither a folder nor an image", "docker-image://"),
        ({"contexts": {"context": "x"}}, "contexts.context", "a meaning of its own for context", "another name"),
        ({"contexts": {"scratch": "x"}}, "contexts.scratch", "a meaning of its own for scratch", "another name"),
        ({"contexts": {"base": "x"}}, "contexts.base", "a also depends on an image called base", "another name"),
        ({"contexts": {"A": "x"}}, "contexts.A", "'A' has the wrong format", "lower-case"),
        ({"watch": []}, "watch", "is empty", "Add at least one item"),
        ({"watch": "app"}, "watch", "'app' is not a list", "[...]"),
        ({"watch": ["../x"]}, "watch[0]", "'../x' is outside the repository", "the repository's root"),
        ({"test": ""}, "test", "'' is too short", "at least 1"),
        ({"test": []}, "test", "is empty", "Add at least one item"),
        ({"test": ["x", 1]}, "test[1]", "1 is not a string", "in quotes"),
        ({"test": {"x": 1}}, "test", "{'x': 1} is not a list", "[...]"),
    ],
)
def test_a_wrong_option_is_named_by_its_key(keys: dict[str, Any], path: str, message: str, hint: str) -> None:
    found = problems(projects=[project({"name": "a", "depends-on": ["base"], **keys}, {"name": "base"})])
    problem = found[f"{IMAGE}.{path}"]
    assert message in problem.message
    assert hint in problem.hint


def test_the_options_are_read() -> None:
    image = {
        "name": "a",
        "build-args": {"VERSION": {"from": "CI_COMMIT_TAG"}, "LITERAL": "x"},
        "contexts": {"assets": "./assets/", "tools": f"docker-image://registry.example.com:5000/a/b:1@{DIGEST}"},
        "watch": ["./app/", "lib/*.go"],
        "test": ["true"],
        "target": "Run_time",
        "secrets": {"SEL_PASSWD": "A", ".npmrc": "B", "GIT_AUTH_TOKEN.gitlab.example.com": "C"},
    }
    read = settings(projects=[project(image)]).projects[0].images[0]
    assert read.build_args == {"VERSION": FromVariable.model_validate({"from": "CI_COMMIT_TAG"}), "LITERAL": "x"}
    assert read.contexts["assets"] == "assets"
    assert read.folders == (read.context, "assets"), "an image would be looked for among the repository's folders"
    assert read.watch == ("app", "lib/*.go")
    assert read.test == ("true",)
    assert read.target == "Run_time"
    assert set(read.secrets) == {"SEL_PASSWD", ".npmrc", "GIT_AUTH_TOKEN.gitlab.example.com"}


def test_problems_of_other_keys_are_found_beside_a_wrong_option() -> None:
    image = {"name": "a", "build-args": {"V": 1, "W": {"from": "A-B"}}, "test": [1], "timeout-minutes": 500}
    assert list(problems(projects=[project(image)])) == [
        f"{IMAGE}.build-args.V",
        f"{IMAGE}.build-args.W.from",
        f"{IMAGE}.test[0]",
        f"{IMAGE}.timeout-minutes",
    ]
