"""Tests of what is proposed between images and projects, and of the command."""

from pathlib import Path

import pytest

from stacks.architecture import Architecture
from stacks.documents import read_yaml
from stacks.propose.__main__ import MISUSE, NOTHING, main
from tests.stacks.propose.repositories import images_of, project_of, proposed_text, repository, settings_of

DOCKERFILE = {"Dockerfile": "FROM debian\n"}


@pytest.mark.parametrize(
    ("remote", "path"),
    [
        ("https://oauth2:token@gitlab.example.com/Platform/sub/web.git", "Platform/sub/web"),
        ("git@gitlab.example.com:platform/web.git", "platform/web"),
        ("ssh://git@gitlab.example.com:2222/platform/web/", "platform/web"),
    ],
)
def test_the_projects_path_is_that_of_its_remote(tmp_path: Path, remote: str, path: str) -> None:
    root = repository(tmp_path, DOCKERFILE, remote=remote)
    assert project_of(root).path == path
    assert "token" not in proposed_text(root), "a token of the clone is printed"


def test_a_project_without_a_remote_is_in_the_group_that_is_given(tmp_path: Path) -> None:
    root = repository(tmp_path / "toolbox", DOCKERFILE, remote=None)
    assert project_of(root).path == "CHANGE-ME/toolbox"
    [project] = settings_of(proposed_text(root, group="platform/images")).projects
    assert project.path == "platform/images/toolbox"


def test_projects_of_several_groups_share_the_runners_of_the_group_around_them(tmp_path: Path) -> None:
    roots = [
        repository(tmp_path / name, DOCKERFILE, remote=f"https://gitlab.example.com/platform/{name}.git")
        for name in ("a/one", "b/two")
    ]
    assert settings_of(proposed_text(*roots)).runners.group == "platform"


def test_projects_of_several_top_level_groups_are_several_stacks(tmp_path: Path) -> None:
    roots = [
        repository(tmp_path / name, DOCKERFILE, remote=f"https://gitlab.example.com/{name}/web.git")
        for name in ("a", "b")
    ]
    first, second = proposed_text(*roots).split("---\n")
    assert settings_of(first).projects[0].path == "a/web"
    assert settings_of(second).projects[0].path == "b/web"


def test_the_default_branch_is_that_of_the_remote(tmp_path: Path) -> None:
    root = repository(tmp_path, {**DOCKERFILE, ".git/refs/remotes/origin/HEAD": "ref: refs/remotes/origin/trunk\n"})
    assert project_of(root).default_branch == "trunk"


def test_images_that_are_built_on_each_other_in_a_circle_lose_one_of_the_edges(tmp_path: Path) -> None:
    root = repository(
        tmp_path,
        {"a/Dockerfile": "FROM example/b\n", "b/Dockerfile": "FROM example/c\n", "c/Dockerfile": "FROM example/a\n"},
    )
    assert sum(len(image.depends_on) for image in images_of(root).values()) == 2
    assert "are built on each other" in proposed_text(root)


def test_an_image_of_another_is_no_dependency_because_of_its_name(tmp_path: Path) -> None:
    root = repository(
        tmp_path,
        {
            "python/Dockerfile": "FROM python:3.13\n",
            "web/Dockerfile": "FROM docker.io/library/python:3.13\nCOPY --from=python /a /a\n",
        },
    )
    assert images_of(root)["web"].depends_on == ()


def test_an_image_is_built_for_no_architecture_that_its_base_lacks(tmp_path: Path) -> None:
    root = repository(
        tmp_path, {"base/Dockerfile": "FROM --platform=linux/amd64 debian\n", "web/Dockerfile": "FROM example/base\n"}
    )
    assert images_of(root)["web"].architectures == (Architecture.AMD64,)


def test_a_stage_with_the_name_of_a_dependency_must_be_renamed(tmp_path: Path) -> None:
    root = repository(
        tmp_path, {"base/Dockerfile": "FROM debian\n", "web/Dockerfile": "FROM example/base AS base\nFROM base\n"}
    )
    assert "rename the stage base in web/Dockerfile" in proposed_text(root)


def test_what_our_settings_refuse_is_left_out_with_their_words(tmp_path: Path) -> None:
    pipeline = """
web:
  variables: {KUBERNETES_CPU_LIMIT: much}
  script: [docker build --target A/B --build-arg AWS_PROFILE --build-arg MODE=fast --build-arg 1X=2 -t example/web .]
"""
    root = repository(tmp_path, {".gitlab-ci.yml": pipeline, **DOCKERFILE})
    text = proposed_text(root)
    assert images_of(root)["web"].build_args == {"MODE": "fast"}
    assert "target is left out: 'A/B' has the wrong format" in text
    assert "every job unsets AWS_PROFILE" in text
    assert "KUBERNETES_CPU_LIMIT is no quantity: much" in text


def test_names_stay_apart_in_the_variables_that_they_report(tmp_path: Path) -> None:
    files = {f"{folder}/Dockerfile": "FROM debian\n" for folder in ("a-b", "a.b", "x/a_b", "A B")}
    assert len(images_of(repository(tmp_path, files))) == 4


def test_every_comment_is_a_note_a_decision_or_the_origin_of_an_image(tmp_path: Path) -> None:
    text = proposed_text(repository(tmp_path, DOCKERFILE))
    assert text.startswith("# Proposed by")
    assert read_yaml(text.encode())["config"].keys() == {"buildyard:projects"}


def test_the_command_prints_a_stacks_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(repository(tmp_path, DOCKERFILE))]) == 0
    assert settings_of(capsys.readouterr().out).projects[0].path == "platform/web"


def test_the_command_says_what_it_did_not_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(repository(tmp_path, {".gitlab-ci.yml": "a: [\n"}))]) == NOTHING
    assert ".gitlab-ci.yml was not read" in capsys.readouterr().err
    assert main([str(tmp_path / "missing")]) == MISUSE
    assert "is not a folder" in capsys.readouterr().err
