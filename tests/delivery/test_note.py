"""Tests of the note that reviewers read."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.note import LIMIT, Origin, marker, note
from delivery.preview import parse
from tests.delivery.conftest import Golden
from tests.delivery.previews import Step, preview, read, real, step

REPOSITORY = "aws:ecr/repository:Repository"


def table_of(html: str) -> list[list[str]]:
    """The cells of the note's table, as HTML."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [re.findall(r"<td>(.*?)</td>", found, re.DOTALL) for found in rows[1:]]


@pytest.mark.parametrize("name", ["changed", "drift", "empty", "failed-program", "failed-provider", "first", "minimal"])
def test_real_previews_give_these_notes(name: str, golden: Golden) -> None:
    origin = Origin(commit="0ff1ce5", job_url="https://gitlab.example.com/platform/buildyard/-/jobs/7")
    golden(f"{name}.md", note("dev", parse(real(name)), origin, region="eu-central-1"))


def test_dangers_come_before_everything_else() -> None:
    text = note("dev", parse(real("changed")))
    order = [text.index(heading) for heading in ("### Look at this first", "### What is affected", "### What changes")]
    assert order == sorted(order)
    assert "All images in it are lost" in text


def test_each_resource_has_one_row_below_its_component() -> None:
    found = parse(real("changed"))
    rows = table_of(read(note("dev", found)))
    assert len(rows) == len(found.changes), "a reviewer does not see every change"
    assert {row[0] for row in rows} == {
        "",
        "<code>BuildNodes</code> <code>buildyard-dev-arm64</code>",
        "<code>ImageRegistry</code> <code>buildyard-dev</code>",
        "<code>PublishedPipeline</code> <code>buildyard-dev-platform/images</code>",
        "<code>PushIdentity</code> <code>buildyard-dev</code>",
        "<code>Runners</code> <code>buildyard-dev</code>",
    }


def test_nothing_is_said_twice_when_nothing_changes() -> None:
    assert note("dev", parse(real("empty"))).splitlines() == [marker("dev"), "", "## Preview of `dev`: no changes"]


def test_a_failed_preview_tells_why_and_shows_no_half_truth() -> None:
    text = note("dev", parse(real("failed-provider")))
    assert "**failed**" in text
    assert "property compat" in text
    assert "found 5 changes before it failed" in text
    assert "### What changes" not in text


def test_notes_of_two_environments_are_told_apart() -> None:
    assert marker("dev") not in note("dev-2", preview())


def test_no_secret_and_no_state_is_in_the_note() -> None:
    secret = {"stringData": {"runner-token": "hunter2"}, "metadata": {"name": "t"}}
    steps = [
        step(
            "update",
            "kubernetes:core/v1:Secret",
            "token",
            secret,
            {**secret, "stringData": {"runner-token": "hunter3"}},
        ),
        step("update", REPOSITORY, "a", {"name": "a"}, {"name": "b"}, outputs={"arn": "state-of-the-cloud"}),
    ]
    text = note("dev", preview(*steps))
    assert "hunter" not in text
    assert "state-of-the-cloud" not in text


def large(number: int, name: str = "image") -> list[Step]:
    return [step("delete", REPOSITORY, f"{name}-{index}", {"name": f"{name}-{index}"}) for index in range(number)]


def test_five_thousand_changes_fit_and_what_is_left_out_is_counted() -> None:
    attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    text = note("dev", preview(*(step("create", attachment, f"a{n}", new={"policyArn": f"{n}"}) for n in range(5_000))))
    assert len(text) <= LIMIT
    assert "5,000 to create" in text
    assert "_4,800 more dangers are not shown here; `pulumi preview` shows all._" in text
    assert "_4,000 more changes are not shown here; `pulumi preview` shows all._" in text
    assert len(table_of(read(text))) == 1_000


def test_five_thousand_changes_take_moments() -> None:
    digest = json.dumps({"steps": large(5_000)})
    start = time.process_time()
    note("dev", parse(digest))
    assert time.process_time() - start < 5, "a large merge request waits for its note"


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(700, 60_000), name=st.text(min_size=1, max_size=40))
def test_a_note_keeps_within_any_limit_and_stays_whole(limit: int, name: str) -> None:
    new = {"filePath": name, "content": "x: ```\n" * 50}
    steps = [*large(60, name), step("create", "gitlab:index/repositoryFile:RepositoryFile", name, new=new)]
    text = note("dev", preview(*steps), limit=limit)
    assert len(text) <= limit
    html = read(text)
    assert html.count("<details>") == html.count("</details>"), "the rest of the note is folded away"
    assert all(len(row) == 4 for row in table_of(html)), "a row is cut"


foreign = st.text(st.sampled_from("ab`|\\<>&*_[]()#!@~$:/\"'\n\r\t-+{}é\u2028\u202e "), min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(name=foreign, before=foreign, after=foreign)
def test_foreign_text_stays_text(name: str, before: str, after: str) -> None:
    changed = step("update", REPOSITORY, name, {"a": before}, {"a": after}, details={"a": "update"})
    html = read(note("dev", preview(changed)))
    [row] = table_of(html)
    assert len(row) == 4, "a name breaks the table"
    outside = re.sub(r"<code>.*?</code>", "", row[2] + row[3])
    assert not re.search(r"[<>@`]", outside), "a name becomes markup, or mentions somebody"


def test_no_line_can_be_a_command_to_gitlab() -> None:
    changed = step("update", REPOSITORY, "a\n/close\n", {"a": "\n/merge"}, {"a": "/approve"}, details={"a": "update"})
    failed = json.dumps({"steps": [], "diagnostics": [{"severity": "error", "message": "x\n/close"}]})
    for text in (note("dev", preview(changed)), note("dev", parse(failed))):
        unfenced = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^\s*/", unfenced, re.MULTILINE), "GitLab runs a name as a quick action"
