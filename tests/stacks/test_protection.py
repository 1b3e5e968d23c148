"""Protected branches and tags: which of them must be, and what a reviewer is told."""

from typing import Any

import pytest

from stacks.projects import Project
from stacks.protection import notices, problems, protects
from stacks.trust import Trust
from tests.stacks.stack_settings import project, settings

PATH = "buildyard:projects[0]"


def declared(**keys: object) -> Project:
    return settings(projects=[project({"name": "web"}, **keys)]).projects[0]


@pytest.mark.parametrize(
    ("names", "ref", "protected"),
    [
        (["main"], "main", True),
        (["main"], "maintenance", False),
        (["release/*"], "release/1", True),
        (["release/*"], "release", False),
        (["*-stable"], "a/b-stable", True),
        (["v*"], "v*", True),
        (["v*"], "v1.*", True),
        (["v1.*"], "v*", False),
        (["v1.0"], "v1x0", False),
        ([], "main", False),
    ],
)
def test_gitlabs_wildcards(names: list[str], ref: str, protected: bool) -> None:
    assert protects(names, ref) is protected


def test_an_unprotected_default_branch_is_refused_by_name() -> None:
    [problem] = problems(declared(), PATH, branches=["master"], tags=["v*"])
    assert problem.path == f"{PATH}.default-branch"
    assert "platform/images does not protect the branch main" in problem.message
    assert not list(problems(declared(), PATH, branches=["main"], tags=[]))


def test_each_unprotected_pattern_of_releases_is_refused_by_name() -> None:
    wanted = declared(**{"release-tags": ["v*", "release-*"]})
    [problem] = problems(wanted, PATH, branches=["main"], tags=["v*"])
    assert problem.path == f"{PATH}.release-tags[1]"
    assert "release-*" in problem.message


def test_an_images_own_git_tags_must_be_protected_too() -> None:
    images: list[dict[str, Any]] = [{"name": "web"}, {"name": "tools", "git-tags": ["tools/v*", "t-*"]}]
    wanted = settings(projects=[project(*images, **{"release-tags": ["v*"]})]).projects[0]
    [problem] = problems(wanted, PATH, branches=["main"], tags=["v*", "tools/*"])
    assert problem.path == f"{PATH}.images[1].git-tags[1]"
    assert "t-*" in problem.message


@pytest.mark.parametrize(("trust", "outcome"), [(Trust.ISOLATED, "expire"), (Trust.PROTECTED_ONLY, "build no images")])
def test_a_project_without_protected_tags_is_told_what_becomes_of_its_releases(trust: Trust, outcome: str) -> None:
    [notice] = notices(trust, declared(), branches=["main"], tags=[])
    assert "platform/images protects no Git tags" in notice.message
    assert outcome in notice.message


@pytest.mark.parametrize(("keys", "tags"), [({"release-tags": []}, []), ({}, ["v*"])])
def test_what_was_decided_is_not_told_again(keys: dict[str, object], tags: list[str]) -> None:
    assert not list(notices(Trust.ISOLATED, declared(**keys), branches=["main"], tags=tags))


def test_a_project_that_protects_everything_is_told_that_it_has_one_tier() -> None:
    [branch, tag] = notices(Trust.ISOLATED, declared(), branches=["main", "*"], tags=["*"])
    assert "all branches, by the name *" in branch.message
    assert "all tags, by the name *" in tag.message
