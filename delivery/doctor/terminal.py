"""The report as text for a terminal, which nothing that AWS, GitLab or a job's log says can control."""

import re
import textwrap
from collections.abc import Iterator

from delivery.doctor.report import Check, Report, Result
from delivery.values import redacted

_SIGNS = {Result.OK: "✓", Result.NOTICE: "!", Result.FAILED: "✗", Result.SKIPPED: "-"}
_COLORS = {Result.OK: 32, Result.NOTICE: 33, Result.FAILED: 31, Result.SKIPPED: 2}
_LONGEST_TITLE = 44
_LONGEST_TEXT = 2000

# Colors and cursor movements, as in job logs: https://www.ecma-international.org/publications-and-standards/standards/ecma-48/
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
# GitLab's markers of foldable sections: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
_SECTION = re.compile(r"section_(?:start|end):\d+:[\w.\-]+(?:\[[^\]]*\])?\r?")


def clean(text: str) -> str:
    """One line without anything that a terminal would not print as it is, and without credentials.

    Escape sequences are dropped. Other control characters, and those that change the direction of text, are shown as
    their code.
    """
    shown = "".join(each if each.isprintable() else _visible(each) for each in _SEQUENCE.sub("", text))
    return redacted(shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}…")


def last_lines(log: str, count: int) -> list[str]:
    """The last lines of a job's log that contain something, cleaned."""
    # A line that was written over several times is what was written last.
    lines = (_SECTION.sub("", line).rstrip("\r\n").rpartition("\r")[2] for line in log.split("\n"))
    cleaned = [clean(line).rstrip() for line in lines]
    return [line for line in cleaned if line][-count:]


def table(report: Report, *, color: bool, width: int = 100) -> str:
    """The report as aligned lines of text; each finding has lines of its own under its check."""
    checks = [check for section in report.sections for check in section.checks]
    titles = min(max((len(clean(check.title)) for check in checks), default=0), _LONGEST_TITLE)
    lines: list[str] = []
    for section in report.sections:
        lines += [
            clean(section.title),
            *(line for check in section.checks for line in _rows(check, titles, color, width)),
            "",
        ]
    if report.cost:
        lines += [
            "Cost",
            *(line for each in report.cost for line in _wrapped(clean(each), "  ", width, following="    ")),
        ]
        lines.append("")
    return "\n".join([*lines, report.summary, ""])


def _rows(check: Check, titles: int, color: bool, width: int) -> Iterator[str]:
    mark = f"{_SIGNS[check.result]} {check.result!s:7}"
    shown = f"\x1b[{_COLORS[check.result]}m{mark}\x1b[0m" if color else mark
    place = 2 + len(mark) + 2 + max(titles, len(clean(check.title))) + 2
    first, *others = _wrapped(clean(check.found), " " * place, width) or [""]
    yield f"  {shown}  {clean(check.title):{titles}}  {first[place:]}".rstrip()
    yield from others
    for finding in check.findings:
        for line in finding.message.splitlines():
            yield from _wrapped(clean(line), " " * 13, width)
        if finding.hint:
            yield from _wrapped(f"→ {clean(finding.hint)}", " " * 13, width, following=" " * 15)


def _wrapped(text: str, indent: str, width: int, *, following: str | None = None) -> list[str]:
    # A URL or a command stays whole, so that it can be copied.
    return textwrap.wrap(
        text,
        max(width, 60),
        initial_indent=indent,
        subsequent_indent=following or indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _visible(character: str) -> str:
    return " " if character == "\t" else character.encode("unicode_escape").decode()
