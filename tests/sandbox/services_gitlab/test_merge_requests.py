"""Merge requests and their notes, with GitLab's limits and messages."""

from pathlib import Path
from typing import Any

import gitlab
import pytest

from sandbox.services.gitlab import access_token
from tests.sandbox.services_gitlab.conftest import serving

CHANGE = {"source_branch": "change", "target_branch": "master", "title": "Change"}


@pytest.fixture
def project(client: gitlab.Gitlab) -> Any:
    """`platform/images` with a second branch, `change`."""
    project = client.projects.get("platform/images")
    file = {"file_path": "a", "content": "a", "branch": "change", "start_branch": "master", "commit_message": "Add a"}
    project.files.create(file)
    return project


def test_a_merge_request_is_found_again(project: Any, client: gitlab.Gitlab) -> None:
    made = project.mergerequests.create(CHANGE)
    assert (made.iid, made.state) == (1, "opened")
    assert made.web_url == f"{client.url}/platform/images/-/merge_requests/1"
    assert made.sha == project.branches.get("change").commit["id"]
    assert [found.title for found in project.mergerequests.list(state="opened")] == ["Change"]
    assert project.mergerequests.list(state="merged") == []


@pytest.mark.parametrize(
    ("request_body", "refusal"),
    [
        ({**CHANGE, "source_branch": "master"}, "same project/branch"),
        ({**CHANGE, "source_branch": "nowhere"}, "does not exist"),
        ({**CHANGE, "title": " "}, "can't be blank"),
        ({**CHANGE, "title": "x" * 256}, "too long"),
    ],
)
def test_what_gitlab_does_not_take_is_refused(project: Any, request_body: dict[str, str], refusal: str) -> None:
    with pytest.raises(gitlab.GitlabCreateError, match=refusal):
        project.mergerequests.create(request_body)


def test_one_branch_has_one_open_merge_request(project: Any) -> None:
    project.mergerequests.create(CHANGE)
    with pytest.raises(gitlab.GitlabCreateError, match="already exists for this source branch: !1"):
        project.mergerequests.create(CHANGE)


def test_notes_are_listed_changed_and_deleted(project: Any, tmp_path: Path) -> None:
    notes = project.mergerequests.create(CHANGE).notes
    first, second = notes.create({"body": "first"}), notes.create({"body": "second"})
    assert [note.body for note in notes.list()] == ["second", "first"], "GitLab lists the newest first"
    first.body = "changed"
    first.save()
    second.delete()
    with serving(tmp_path) as url:  # started again, on the same data
        again = gitlab.Gitlab(url, private_token=access_token(tmp_path)).projects.get("platform/images")
        [kept] = again.mergerequests.get(1).notes.list()
    assert (kept.body, kept.author["username"], kept.system) == ("changed", "root", False)


@pytest.mark.parametrize(("body", "refusal"), [("", "can't be blank"), ("x" * 1_000_001, "too long")])
def test_a_note_has_a_length(project: Any, body: str, refusal: str) -> None:
    with pytest.raises(gitlab.GitlabCreateError, match=refusal):
        project.mergerequests.create(CHANGE).notes.create({"body": body})


def test_a_note_belongs_to_its_merge_request_alone(project: Any) -> None:
    note = project.mergerequests.create(CHANGE).notes.create({"body": "here"})
    back = project.mergerequests.create({"source_branch": "master", "target_branch": "change", "title": "Back"})
    with pytest.raises(gitlab.GitlabGetError, match="404 Note Not Found"):
        back.notes.get(note.id)
    with pytest.raises(gitlab.GitlabGetError, match="404 Merge Request Not Found"):
        project.mergerequests.get(9)
