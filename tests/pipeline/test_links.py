"""Tests of the advice to use COPY --link: where it helps, and where it could change the image."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.scripts.links import RULE, advised, main
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import SHELLS, run
from tests.stacks.stack_settings import project


def lines(dockerfile: str, target: str = "") -> list[int]:
    return sorted(line for line, _ in advised(dockerfile, target))


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM alpine\nCOPY source /app/source\n", [2]),
        ("FROM alpine\n\n# the source\nCOPY a \\\n  b /app/\nCMD /app/a\n", [4]),
        ("FROM alpine\nWORKDIR /app\nRUN npm ci\nCOPY . .\nENV A=b\nUSER 1000\n", [4]),
        ("from alpine\ncopy a /app/a\nadd b /app/b\n", [2, 3]),
        ("FROM alpine\nCOPY a /app/a\nCOPY --link b /app/b\n", [2]),
        ("FROM alpine\nCOPY <<E /app/a\nRUN true\nE\n", [2]),
        ("FROM go AS made\nRUN go build\nFROM alpine\nCOPY --from=made --chmod=755 /web /app/web\n", [4]),
        ("FROM alpine AS base\nRUN apk add git\nFROM base\nCOPY a /app/a\n", [4]),
        ("# syntax=docker/dockerfile:1\nFROM alpine\nCOPY a /app/a\n", [3]),
        ("# syntax=docker/dockerfile:1.10@sha256:0\nFROM alpine\nCOPY a /app/a\n", [3]),
    ],
)
def test_the_last_steps_of_an_image_should_not_depend_on_those_before(dockerfile: str, expected: list[int]) -> None:
    assert lines(dockerfile) == expected


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        ("FROM alpine\nCOPY --link a /app/a\n", "it has --link"),
        ("FROM alpine\nCOPY a /app/a\nRUN cat /app/a\n", "a later step pulls the base"),
        ("FROM alpine\nCOPY a /app/a\nWORKDIR /app\n", "a later step pulls the base"),
        ("FROM scratch\nCOPY a /app/a\n", "nothing is under it"),
        ("FROM alpine\nCOPY a /usr/local/bin/\n", "it may go through a symbolic link"),
        ("FROM alpine\nCOPY a /tmp/a\n", "its mode would change"),
        ("FROM alpine\nCOPY a /\n", "it may go anywhere"),
        ("FROM alpine\nCOPY a app/\n", "the base image's folder is not known"),
        ("FROM alpine\nCOPY a $HOME/a\n", "the folder is not known"),
        ("FROM alpine\nCOPY a /app/../lib/a\n", "it may go through a symbolic link"),
        ('FROM alpine\nCOPY ["a", "/app/a"]\n', "paths with spaces are not read"),
        ("FROM alpine\nCOPY --chown=app a /app/a\n", "--link cannot look up a user"),
        ("FROM alpine\nCOPY --parents a /app/\n", "it has another flag"),
        ("FROM alpine\nUSER 1000\nWORKDIR /app\nCOPY . .\n", "the folder is a user's"),
        ("FROM alpine\nRUN mkdir /app && chown 1000 /app\nCOPY a /app/a\n", "the folder is a user's"),
        ("FROM alpine\nRUN ln -s /data /app\nCOPY a /app/a\n", "the folder is a symbolic link"),
        ("FROM alpine\nCOPY --chown=1 a /app/a\nCOPY b /app/b\n", "the folder is a user's"),
        ("FROM alpine AS base\nRUN install -d -o 1 /app\nFROM base\nCOPY a /app/a\n", "the folder is a user's"),
        ("FROM alpine AS base\nUSER 1\nWORKDIR /app\nFROM base\nCOPY a a\n", "the folder is a user's"),
        ("# syntax=docker/dockerfile:1.3\nFROM alpine\nCOPY a /app/a\n", "this syntax has no --link"),
        ("FROM alpine\nONBUILD COPY a /app/a\n", "it is another image's step"),
        ("", "there is no image"),
    ],
)
def test_no_advice_where_link_could_change_the_image_or_saves_nothing(dockerfile: str, why: str) -> None:
    assert lines(dockerfile) == [], why


def test_the_stage_that_is_built_is_read() -> None:
    dockerfile = "FROM alpine AS Runtime\nCOPY a /app/a\nFROM alpine\nRUN true\n"
    assert lines(dockerfile, "runtime") == [2]
    assert lines(dockerfile) == []
    assert lines(dockerfile, "other") == []


def test_the_report_keeps_what_is_in_it(tmp_path: Path) -> None:
    dockerfile, report = tmp_path / "Dockerfile", tmp_path / "report.json"
    dockerfile.write_text("FROM alpine\nCOPY a /app/a\nCOPY b /app/b\n")
    report.write_text('[{"check_name": "DL3006"}]')
    main(str(dockerfile), str(report))
    other, *own = json.loads(report.read_text())
    assert other == {"check_name": "DL3006"}
    assert [each["location"]["lines"]["begin"] for each in own] == [2, 3]
    assert {each["check_name"] for each in own} == {RULE}
    assert len({each["fingerprint"] for each in own}) == 2, "GitLab would show only one of them"


def job(**image: Any) -> dict[str, Any]:
    return jobs(files(projects=[project({"name": "web", "context": ".", **image})]))["build-web:arm64"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_job_advises_and_passes(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "Dockerfile").write_text("FROM alpine\nCOPY a /app/a\n")
    done = run(job(lint=True), tmp_path, shell=shell)
    assert done.status == 0, done.output
    assert "Dockerfile:2 copy-link info: with --link, this step pulls nothing" in done.output
    assert "no /app and sets no USER." in done.output
    assert len(json.loads((done.project / "gl-code-quality-report.json").read_text())) == 1
    assert "copy-link" not in run(job(), tmp_path, shell=shell).output


def test_a_dockerfile_that_cannot_be_read_fails_no_job(tmp_path: Path) -> None:
    done = run(job(lint=True), tmp_path)
    assert done.status == 0, done.output
    assert "Could not check Dockerfile for COPY --link" in done.output
