"""The report as text: aligned, and safe to print whatever AWS, GitLab and jobs said."""

import re
from dataclasses import replace

import pytest

from delivery.doctor.report import Check, Finding, Report, Result, Section, failed, passed, skipped
from delivery.doctor.terminal import clean, last_lines, table

REPORT = Report(
    stack="prod",
    deployed=True,
    sections=(
        Section(title="Before a deployment", checks=(passed("AWS account", "123456789012, eu-central-1"),)),
        Section(
            title="After the deployment",
            checks=(
                passed("Runner protected arm64", "runner 3 is online"),
                failed(
                    "Runner protected amd64",
                    "runner 1 is paused, so it takes no jobs",
                    "Run `pulumi up -s prod`, which resumes it.",
                ),
                Check(
                    title="Git tags",
                    result=Result.NOTICE,
                    findings=(Finding(message="no Git tags are protected", hint="Protect those of releases."),),
                ),
                skipped("Test builds", "nobody asked for them: --build"),
            ),
        ),
    ),
)


def test_people_read_a_table() -> None:
    assert table(REPORT, color=False) == (
        "Before a deployment\n"
        "  ✓ ok       AWS account             123456789012, eu-central-1\n"
        "\n"
        "After the deployment\n"
        "  ✓ ok       Runner protected arm64  runner 3 is online\n"
        "  ✗ failed   Runner protected amd64\n"
        "             runner 1 is paused, so it takes no jobs\n"
        "             → Run `pulumi up -s prod`, which resumes it.\n"
        "  ! notice   Git tags\n"
        "             no Git tags are protected\n"
        "             → Protect those of releases.\n"
        "  - skipped  Test builds             nobody asked for them: --build\n"
        "\n"
        "5 checks: 2 ok, 1 notice, 1 failed, 1 skipped.\n"
    )


def test_people_read_what_the_stack_costs() -> None:
    costly = replace(
        REPORT, cost=("all nodes at once: $9.54 an hour\x1b[31m; idle: $0", "images in ECR: $0.10 a GB-month")
    )
    expected = "Cost\n  all nodes at once: $9.54 an hour; idle: $0\n  images in ECR: $0.10 a GB-month\n\n5 checks: "
    assert expected in table(costly, color=False)
    assert costly.as_json()["cost"] == list(costly.cost)


def test_colors_add_nothing_but_colors() -> None:
    colored = table(REPORT, color=True)
    assert "\x1b[31m✗ failed" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == table(REPORT, color=False)


def test_the_exit_code_says_whether_a_check_failed() -> None:
    assert REPORT.exit_code == 1
    before, _ = REPORT.sections
    assert replace(REPORT, sections=(before,)).exit_code == 0


def test_programs_read_json() -> None:
    report = REPORT.as_json()
    assert (report["stack"], report["result"], report["deployed"]) == ("prod", "failed", True)
    [paused] = [check for check in report["checks"] if check["result"] == "failed"]
    assert paused == {
        "section": "After the deployment",
        "title": "Runner protected amd64",
        "result": "failed",
        "found": "",
        "findings": [
            {
                "message": "runner 1 is paused, so it takes no jobs",
                "hint": "Run `pulumi up -s prod`, which resumes it.",
            }
        ],
    }


HOSTILE = [
    "\x1b[2J\x1b[Hwiped",
    "\x1b]0;title\x07text",
    "\x1b]8;;https://evil.example\x1b\\link",
    "line\r\x1b[Kother",
    "\x9b31mred",
    "back\x08\x08\x08\x08gone",
    "\u202egnp.exe",
    "a\u2028b",
    "bell\x07",
    "\x1b(0shift",
    "nul\x00",
    "\x1bc reset",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_others_said_controls_the_terminal(text: str) -> None:
    check = Check(title=text, result=Result.FAILED, found=text, findings=(Finding(message=text, hint=text),))
    printed = table(Report(stack="prod", deployed=True, sections=(Section(title=text, checks=(check,)),)), color=False)
    assert all(each.isprintable() for line in printed.split("\n") for each in line), repr(printed)
    assert all(each.isprintable() for line in last_lines(text, 5) for each in line)


def test_a_name_that_is_only_colored_stays_readable() -> None:
    assert clean("\x1b[1;31mplatform/images\x1b[0m é 日本") == "platform/images é 日本"


def test_a_credential_in_what_others_said_is_withheld() -> None:
    assert "glpat-" not in clean("refused: token glpat-0123456789abcdefghij")
    assert last_lines("login with AKIAIOSFODNN7EXAMPLE\n", 3) == ["login with [secret]"]


def test_the_end_of_a_log_is_what_a_person_would_see_of_it() -> None:
    log = (
        "section_start:1700000000:build[collapsed=true]\r\x1b[0K\x1b[32;1mBuilding\x1b[0;m\r\n"
        "10 %\r50 %\r100 %\n"
        "\n"
        "   \n"
        "ERROR: failed to solve\n"
        "section_end:1700000001:build\r\x1b[0K"
    )
    assert last_lines(log, 10) == ["Building", "100 %", "ERROR: failed to solve"]
    assert last_lines(log, 1) == ["ERROR: failed to solve"]


def test_a_very_long_line_is_cut() -> None:
    assert len(clean("x" * 100_000)) < 3000


def test_a_command_is_never_broken_in_two() -> None:
    command = "kubectl -n buildyard-prod-unprotected get pods --selector app=buildyard-prod-unprotected-arm64"
    report = Report(
        stack="prod",
        deployed=True,
        sections=(
            Section(title="After", checks=(failed("A", f"see https://gitlab.example.com/{'a' * 90}", command),)),
        ),
    )
    printed = table(report, color=False, width=40)
    assert f"https://gitlab.example.com/{'a' * 90}" in printed.split()
    assert " ".join(printed.split()).count(command) == 1
