"""Checks of GitLab before the first resource: its version, the projects, their branches, files and rights."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.render import source_of
from tests.components.mocks import declare
from tests.components.preflight import SOURCE, check, inspected, notices, problems
from tests.stacks.stack_settings import project

PATH = "buildyard:projects[0].path"
BRANCH = "buildyard:projects[0].default-branch"
PIPELINE = "buildyard:projects[0].pipeline-path"
PROJECT = "GitLab project platform/images"


def file(text: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The answer to the question for any file."""
    return lambda args: {"filePath": args["filePath"], "content": b64encode(text.encode()).decode()}


def test_a_usual_stack_passes_every_check_in_silence() -> None:
    found = inspected(trust="isolated", answers={"getProjectProtectedTags": {"protectedTags": [{"tag": "v*"}]}})
    assert problems(found) == {}
    assert notices(found) == [], "people stop reading previews that always warn"
    assert [each.title for each in found.checks if not each.found] == [], "a table would have empty rows"


def test_a_project_whose_images_are_all_retired_is_not_checked() -> None:
    old = project({"name": "old", "retired": True}, path="platform/old")
    found = inspected(projects=[project({"name": "web"}), old], runners={"group": "platform"})
    assert [each.title for each in found.checks if each.title.startswith("GitLab project")] == [PROJECT], (
        "nobody could delete the project of a retired image"
    )


def test_titles_are_unique() -> None:
    found = inspected(projects=[project({"name": "a"}), project({"name": "b"}, path="platform/b")])
    titles = [each.title for each in found.checks]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("version", "refused"),
    [("18.11.4-ee", True), ("19.1.9", True), ("19.2.0", False), ("19.10.0-ee", False), ("20.0.1", False)],
)
def test_a_gitlab_older_than_the_runner(version: str, refused: bool) -> None:
    said = problems(inspected(answers={"getMetadata": {"version": version}}))
    assert said.keys() == ({"stacks/versions.py: RUNNER_VERSION"} if refused else set())


def test_a_version_that_cannot_be_read_is_told_and_no_more() -> None:
    found = inspected(refusals={"getMetadata": "403 Forbidden"})
    assert problems(found) == {}
    [notice] = notices(found)
    assert "Could not check the version of https://gitlab.com/: 403 Forbidden" in notice


def test_a_project_that_does_not_exist() -> None:
    said = problems(inspected(refusals={"getProject": "404 Project Not Found"}))
    assert said == {PATH: "404 Project Not Found"}


@pytest.mark.parametrize(
    ("answer", "key", "message"),
    [
        ({"archived": True}, PATH, "is archived"),
        ({"markedForDeletionOn": "2026-12-01"}, PATH, "will be deleted on 2026-12-01"),
        ({"buildsAccessLevel": "disabled"}, PATH, "has CI/CD disabled"),
        ({"groupRunnersEnabled": False}, PATH, "does not use the runners of its groups"),
        ({"ciConfigPath": "ci/main.yml"}, PIPELINE, "from ci/main.yml, not from .gitlab-ci.yml"),
        ({"defaultBranch": "trunk"}, BRANCH, "is trunk, not main"),
    ],
)
def test_a_project_that_cannot_build(answer: dict[str, Any], key: str, message: str) -> None:
    said = problems(inspected(answers={"getProject": answer}))
    assert said.keys() == {key}
    assert message in said[key]
    assert "platform/images" in said[key]


def test_a_project_whose_pipelines_take_no_variables_is_told() -> None:
    found = inspected(answers={"getProject": {"ciPipelineVariablesMinimumOverrideRole": "no_one_allowed"}})
    assert not problems(found), "commits are built all the same"
    assert any("BUILDYARD_IMAGES or BUILDYARD_CACHE" in each.message for each in found.notices)
    assert not any("BUILDYARD_IMAGES" in each.message for each in inspected().notices)


def test_runners_whose_tokens_expire_are_told() -> None:
    expiring = {"getProject": {"runnerTokenExpirationInterval": 3600}}
    found = inspected(answers=expiring, runners={"project": "platform/images"})
    assert any("loses it when it restarts" in each.message for each in found.notices)
    assert not any("loses it" in each.message for each in inspected(answers=expiring).notices), "it is of other runners"


def test_a_project_that_is_not_a_problem() -> None:
    own = project({"name": "web"}, **{"pipeline-path": ".gitlab/buildyard.yml"})
    assert not problems(inspected(answers={"getProject": {"ciConfigPath": "ci/main.yml"}}, projects=[own]))
    only = {"project": "platform/images"}
    assert not problems(inspected(answers={"getProject": {"groupRunnersEnabled": False}}, runners=only))
    assert not problems(inspected(answers={"getProject": {"ciConfigPath": ".gitlab-ci.yml"}}))


def access(project: int | None, group: int | None) -> dict[str, Any]:
    levels = [{} if level is None else {"access_level": level, "notification_level": 3} for level in (project, group)]
    return {"permissions": [dict(zip(("projectAccess", "groupAccess"), levels, strict=True))]}


@pytest.mark.parametrize("levels", [(40, None), (None, 50), (30, 40)])
def test_a_maintainer_is_not_asked_again(levels: tuple[int | None, int | None]) -> None:
    found = inspected(answers={"getProject": access(*levels)}, refusals={"getProjectVariable": "403 Forbidden"})
    assert problems(found) == {}


@pytest.mark.parametrize("levels", [(30, None), (None, None)])
def test_a_token_that_may_not_set_variables(levels: tuple[int | None, int | None]) -> None:
    answers = {"getProject": access(*levels)}
    said = problems(inspected(answers=answers, refusals={"getProjectVariable": "403 Forbidden"}))
    assert "the token may not read the CI/CD variables of platform/images: 403 Forbidden" in said[PATH]
    assert not problems(inspected(answers=answers)), "an administrator, or a member of a group that it is shared with"


def test_a_token_that_may_not_push() -> None:
    said = problems(inspected(answers={"getBranch": {"canPush": False}}))
    assert "the token may not push to main of platform/images" in said[BRANCH]


def test_a_missing_branch_and_one_that_cannot_be_read() -> None:
    assert (
        problems(inspected(refusals={"getBranch": "404 Branch Not Found"}))[BRANCH]
        == "platform/images has no branch main"
    )
    assert problems(inspected(refusals={"getBranch": "403 Forbidden"}))[BRANCH] == "platform/images: 403 Forbidden"


def test_a_repository_without_a_commit_gets_its_branch_from_the_pipeline() -> None:
    found = inspected(answers={"getProject": {"emptyRepo": True}}, refusals={"getBranch": "404 Branch Not Found"})
    assert problems(found) == {}
    assert check(found, PROJECT).found == "no commit yet"


def test_the_published_file_of_this_stack_may_be_replaced() -> None:
    [published] = [each.inputs["content"] for each in declare().of("index:RepositoryFile").values()]
    assert source_of(published) == SOURCE
    assert not problems(inspected(answers={"getRepositoryFile": file(published)}))


def test_a_file_of_somebody_else() -> None:
    found = inspected(answers={"getRepositoryFile": file("stages: [build]\n")})
    assert "has a .gitlab-ci.yml of its own" in problems(found)[PIPELINE]
    assert "Set pipeline-path to .gitlab/buildyard.yml" in str(check(found, PROJECT).problems)


def test_a_file_of_another_stack() -> None:
    text = "# The pipeline of platform/images, generated by Buildyard from stacks/Pulumi.prod.yaml.\n"
    said = problems(inspected(answers={"getRepositoryFile": file(text)}))
    assert said[PIPELINE] == ".gitlab-ci.yml of platform/images is published from stacks/Pulumi.prod.yaml"


@pytest.mark.parametrize("text", ["", "\n", "# generated by Buildyard from stacks/Pulumi.test.yaml.\n", "\0\xff"])
def test_a_file_that_only_looks_like_ours(text: str) -> None:
    assert source_of(text) is None


def test_a_group_that_will_be_deleted() -> None:
    said = problems(inspected(answers={"getGroup": {"markedForDeletionOn": "2026-12-01"}}))
    assert said["buildyard:runners.group"] == "platform will be deleted on 2026-12-01"


FOLDERS = {
    "": ["images", "README.md"],
    "images": ["images/web", "images/toolbox"],
    "images/web": ["images/web/dockerfile"],
}


def tree(args: Mapping[str, Any]) -> dict[str, Any]:
    folder = args.get("path") or ""
    if folder not in FOLDERS:
        raise LookupError("404 invalid revision or path Not Found")
    return {"trees": [{"path": path} for path in FOLDERS[folder]]}


@pytest.mark.parametrize(
    ("context", "hint"),
    [
        ("images/wbe", "images/wbe/Dockerfile: Did you mean images/web?"),
        ("images/web", "images/web/Dockerfile: Did you mean images/web/dockerfile?"),
        ("imagse/web", "imagse/web/Dockerfile: Did you mean images?"),
        ("other", "other/Dockerfile: Known: README.md, images."),
    ],
)
def test_a_missing_dockerfile_is_told_with_the_nearest_path(context: str, hint: str) -> None:
    found = inspected(
        answers={"getRepositoryTree": tree},
        refusals={"getRepositoryFile": "404 File Not Found"},
        projects=[project({"name": "web", "context": context})],
    )
    assert problems(found) == {}, "it may come with the merge request"
    [notice] = notices(found)
    assert f"The branch main of platform/images has no {context}/Dockerfile" in notice
    assert hint in notice


def test_many_missing_files_are_one_notice_per_project() -> None:
    images = [{"name": f"i{number}"} for number in range(30)]
    found = inspected(
        refusals={"getRepositoryFile": "404 File Not Found"},
        projects=[project(*images), project({"name": "x"}, path="platform/b")],
    )
    first, second = notices(found)
    assert "and 25 more" in first
    assert "platform/b" in second
    assert check(found, "Contexts and Dockerfiles").found == "0 of 31 paths"


def test_folders_are_asked_for_where_no_dockerfile_shows_that_they_exist() -> None:
    image = {"name": "web", "context": "src", "dockerfile": "../docker/Dockerfile", "contexts": {"lib": "lib"}}
    found = inspected(answers={"getRepositoryTree": {"trees": []}}, projects=[project(image)])
    [notice] = notices(found)
    assert "has no src, lib, so" in notice
    assert "docker/Dockerfile" not in notice
    root = {"name": "web", "context": ".", "dockerfile": "docker/Dockerfile"}
    assert not notices(inspected(answers={"getRepositoryTree": {"trees": []}}, projects=[project(root)]))


def test_files_that_cannot_be_read_are_told() -> None:
    found = inspected(refusals={"getRepositoryFile": "500 Internal Server Error"})
    assert "500 Internal Server Error" in problems(found)[PIPELINE]
    assert any("Could not check images/toolbox/Dockerfile" in each for each in notices(found))


def test_nobody_looks_for_files_in_a_project_that_has_no_branch() -> None:
    found = inspected(refusals={"getBranch": "404 Branch Not Found", "getRepositoryFile": "404 File Not Found"})
    assert notices(found) == [], "the branch is what is missing, not its files"
