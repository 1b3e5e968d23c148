"""Tests of posting to GitLab: the sandbox's, and one that fails."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import gitlab
import pytest

from delivery.merge_request import MergeRequest, PostError, from_variables, post
from delivery.note import LIMIT, marker, note
from delivery.preview import parse
from sandbox.services.gitlab import access_token
from tests.delivery.previews import preview, read, real, step
from tests.sandbox.services_gitlab.conftest import serving

VARIABLES = {
    "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
    "CI_PROJECT_ID": "1",
    "CI_MERGE_REQUEST_IID": "7",
    "PREVIEW_NOTE_TOKEN": "glpat-the-note-token",
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[gitlab.Gitlab]:
    with serving(tmp_path) as url:
        yield gitlab.Gitlab(url, private_token=access_token(tmp_path))


@pytest.fixture
def target(client: gitlab.Gitlab) -> MergeRequest:
    """A merge request for the branch `bigger-nodes`."""
    project = client.projects.get("platform/images")
    project.files.create(
        {"file_path": "a", "content": "a", "branch": "bigger-nodes", "start_branch": "master", "commit_message": "Grow"}
    )
    made = project.mergerequests.create(
        {"source_branch": "bigger-nodes", "target_branch": "master", "title": "Bigger nodes"}
    )
    return from_variables(
        {
            **VARIABLES,
            "CI_API_V4_URL": f"{client.url}/api/v4",
            "CI_PROJECT_ID": str(project.id),
            "CI_MERGE_REQUEST_IID": str(made.iid),
            "PREVIEW_NOTE_TOKEN": str(client.private_token),
        }
    )


def notes(client: gitlab.Gitlab) -> list[str]:
    merge_request = client.projects.get("platform/images").mergerequests.get(1)
    return [str(found.body) for found in merge_request.notes.list(get_all=True, sort="asc")]


def test_a_second_preview_brings_the_note_up_to_date(client: gitlab.Gitlab, target: MergeRequest) -> None:
    first = post(target, marker("dev"), note("dev", parse(real("changed"))))
    second = post(target, marker("dev"), note("dev", parse(real("empty"))))
    post(target, marker("prod"), note("prod", parse(real("changed"))))
    assert first == second == f"{client.url}/platform/images/-/merge_requests/1#note_1"
    [dev, prod] = map(read, notes(client))
    assert "<h2>Preview of <code>dev</code>: no changes</h2>" in dev
    assert "<strong>All images in it are lost</strong>" in prod
    assert '<code class="language-diff">--- a/.gitlab-ci.yml' in prod
    assert '<code class="language-mermaid">%%{init' in prod


def test_a_note_that_was_left_twice_is_one_again(client: gitlab.Gitlab, target: MergeRequest) -> None:
    merge_request = client.projects.get("platform/images").mergerequests.get(1)
    for body in (f"{marker('dev')}\nold", "well done", f"{marker('dev')}\nolder"):
        merge_request.notes.create({"body": body})
    post(target, marker("dev"), f"{marker('dev')}\nnew")
    assert notes(client) == [f"{marker('dev')}\nnew", "well done"]


def test_the_largest_preview_is_taken(client: gitlab.Gitlab, target: MergeRequest) -> None:
    steps = [step("delete", "aws:ecr/repository:Repository", f"{'long-' * 60}{index}") for index in range(5000)]
    text = note("dev", preview(*steps))
    post(target, marker("dev"), text)
    assert notes(client) == [text]


def test_gitlab_refuses_a_longer_note_than_ours_can_be(target: MergeRequest) -> None:
    with pytest.raises(PostError, match="too long"):
        post(target, "x", "x" * (LIMIT + 1))


def test_a_wrong_token_is_told_and_not_shown(target: MergeRequest) -> None:
    wrong = MergeRequest(api_url=target.api_url, project=target.project, iid=target.iid, token="glpat-wrong-token")
    with pytest.raises(PostError, match="refuses the token in PREVIEW_NOTE_TOKEN") as error:
        post(wrong, "x", "x")
    assert "glpat-wrong-token" not in str(error.value) + repr(wrong)


def test_a_merge_request_that_is_not_there_is_named(target: MergeRequest) -> None:
    missing = MergeRequest(api_url=target.api_url, project=target.project, iid=99, token=target.token)
    with pytest.raises(PostError, match="merge request !99 of project 1: 404"):
        post(missing, "x", "x")


def test_a_gitlab_that_restarts_is_waited_for(target: MergeRequest, client: gitlab.Gitlab) -> None:
    """The first two requests get GitLab's maintenance page."""
    answers = iter([502, 503])

    class Flaky(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next(answers, None)
            self.send_response(status or 307)
            self.send_header("Location", f"{client.url}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the signature is http.server's)
            pass

    server = HTTPServer(("127.0.0.1", 0), Flaky)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/api/v4"
        flaky = MergeRequest(api_url=url, project=target.project, iid=99, token=target.token)
        with pytest.raises(PostError, match="404"):  # the answer of the GitLab behind it
            post(flaky, "x", "x")
        assert next(answers, None) is None, "a transient error fails the job"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("missing", "said"),
    [("CI_MERGE_REQUEST_IID", "no merge request"), ("PREVIEW_NOTE_TOKEN", "without PREVIEW_NOTE_TOKEN")],
)
def test_a_job_without_what_posting_needs_is_told(missing: str, said: str) -> None:
    with pytest.raises(PostError, match=said):
        from_variables({name: value for name, value in VARIABLES.items() if name != missing})
