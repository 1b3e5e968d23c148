"""A published pipeline is a commit that can be cloned."""

import http.client
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gitlab
import pytest

ODD_PATH = "ci/ü 100%2F.yml"


@pytest.fixture
def project(client: gitlab.Gitlab) -> Any:
    return client.projects.get("platform/images")


def commit(project: Any, path: str, content: str = "one\n", **options: Any) -> Any:
    message = options.pop("commit_message", "Change a file")
    return project.files.create(
        {"file_path": path, "content": content, "branch": "master", "commit_message": message, **options}
    )


def test_a_clone_over_http_holds_the_published_file(project: Any, tmp_path: Path) -> None:
    commit(project, ".gitlab-ci.yml", "build: {}\n")
    subprocess.run(["git", "clone", "-q", project.http_url_to_repo, tmp_path / "clone"], check=True)
    assert (tmp_path / "clone" / ".gitlab-ci.yml").read_text() == "build: {}\n"
    assert (tmp_path / "clone" / "images" / "web" / "Dockerfile").exists(), "the clone lacks the seeded contexts"


def test_pushes_over_http_are_refused(project: Any, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", project.http_url_to_repo, tmp_path / "clone"], check=True)
    push = ["git", "push", "origin", "HEAD:other"]
    refused = subprocess.run(push, cwd=tmp_path / "clone", capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "403" in refused.stderr


def test_the_commit_has_the_given_author_and_message(project: Any) -> None:
    commit(project, "a.txt", commit_message="Publish [skip ci]\n\nWhy", author_name="Buildyard", author_email="b@x.org")
    newest = project.commits.list(per_page=1, get_all=False)[0]
    assert (newest.author_name, newest.author_email) == ("Buildyard", "b@x.org")
    assert newest.title == "Publish [skip ci]"
    assert newest.committer_name == "Administrator"


def test_a_path_of_odd_characters_survives_the_way_through_the_url(project: Any) -> None:
    commit(project, ODD_PATH, "grün\n")
    file = project.files.get(ODD_PATH, ref="master")
    assert file.decode() == "grün\n".encode()
    assert file.file_path == ODD_PATH
    commits = project.commits.list(query_parameters={"path": ODD_PATH}, get_all=True)
    assert [found.id for found in commits] == [file.last_commit_id]


@pytest.mark.parametrize("content", ["", "no newline", "\r\n\t\x7f\n", "a" * 300_000])
def test_content_comes_back_as_it_went_in(project: Any, content: str) -> None:
    commit(project, "content.txt", content)
    assert project.files.get("content.txt", ref="master").decode() == content.encode()


def test_a_base64_file_may_hold_any_bytes(project: Any) -> None:
    commit(project, "binary", "AP/+AQ==", encoding="base64")
    assert project.files.raw("binary", ref="master") == b"\x00\xff\xfe\x01"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"file_path": "README.md"}, "A file with this name already exists"),
        ({"file_path": "README.md/below"}, "A file with this name already exists"),
        ({"file_path": "images"}, "A directory with this name already exists"),
        ({"file_path": "../outside"}, "file_path should be a valid file path"),
        ({"file_path": ".git/hooks/post-update"}, "file_path should be a valid file path"),
        ({"file_path": ".GIT/config"}, "invalid path: '.GIT/config'"),
        ({"branch": "nowhere"}, "You can only create or edit files when you are on a branch"),
        ({"branch": "", "commit_message": ""}, "branch is empty, commit_message is empty"),
        ({"encoding": "latin1"}, "encoding does not have a valid value"),
        ({"encoding": "base64", "content": "?"}, "content is not valid base64"),
    ],
)
def test_a_wrong_new_file_is_refused_in_gitlabs_words(project: Any, wrong: dict[str, str], message: str) -> None:
    before = project.branches.get("master").commit["id"]
    with pytest.raises(gitlab.GitlabCreateError, match=message) as refused:
        commit(project, **{"path": wrong.pop("file_path", "new.txt"), **wrong})
    assert refused.value.response_code == 400
    assert project.branches.get("master").commit["id"] == before, "a refused request moved the branch"


def test_a_request_that_is_too_large_is_refused_unread(client: gitlab.Gitlab, url: str) -> None:
    headers = {"PRIVATE-TOKEN": str(client.private_token), "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.putrequest("POST", "/api/v4/projects/1/repository/files/large")
    for name, value in {**headers, "Content-Length": str(300 * 1024 * 1024 + 1)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_an_update_of_a_missing_file_is_refused(project: Any) -> None:
    with pytest.raises(gitlab.GitlabUpdateError, match="A file with this name doesn't exist"):
        project.files.update("none.txt", {"branch": "master", "content": "x", "commit_message": "m"})


def test_an_update_on_top_of_an_edit_by_somebody_else_is_refused(project: Any) -> None:
    commit(project, "a.txt")
    seen = project.files.get("a.txt", ref="master").last_commit_id
    change = {"branch": "master", "commit_message": "m", "last_commit_id": seen}
    project.files.update("a.txt", {**change, "content": "theirs"})
    with pytest.raises(gitlab.GitlabUpdateError, match="has changed since you started editing it"):
        project.files.update("a.txt", {**change, "content": "mine"})
    assert project.files.get("a.txt", ref="master").decode() == b"theirs"


def test_a_deleted_file_is_gone_and_in_the_history(project: Any) -> None:
    commit(project, "a.txt")
    project.files.delete("a.txt", "master", "Remove it")
    with pytest.raises(gitlab.GitlabGetError, match="404 File Not Found"):
        project.files.get("a.txt", ref="master")
    assert project.commits.list(per_page=1, get_all=False)[0].title == "Remove it"


def test_a_file_keeps_its_mode_until_told_otherwise(project: Any) -> None:
    commit(project, "run.sh", execute_filemode=True)
    project.files.update("run.sh", {"branch": "master", "content": "two", "commit_message": "m"})
    assert project.files.get("run.sh", ref="master").execute_filemode is True


def test_a_start_branch_makes_a_new_branch(project: Any) -> None:
    commit(project, "a.txt", branch="topic", start_branch="master")
    assert [branch.name for branch in project.branches.list(get_all=True)] == ["master", "topic"]
    with pytest.raises(gitlab.GitlabCreateError, match="A branch called 'topic' already exists"):
        commit(project, "b.txt", branch="topic", start_branch="master")


def test_commits_at_the_same_time_fail_or_land_but_never_disappear(project: Any) -> None:
    def attempt(number: int) -> str:
        try:
            commit(project, f"race/{number}")
        except gitlab.GitlabCreateError as error:
            return str(error)
        return "landed"

    before = len(project.commits.list(get_all=True))
    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(attempt, range(16)))
    landed = outcomes.pop("landed")
    assert len(project.commits.list(get_all=True)) == before + landed, "a commit that was confirmed is lost"
    assert set(outcomes) <= {"400: Could not update refs/heads/master. Please refresh and try again."}
