"""Markdown in which foreign text stays text: it forms no markup, mentions nobody and gives GitLab no command."""

import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LONGEST = 300


def code(text: str) -> str:
    """The text on one line, as inline code that also fits into a table cell. GitLab finds no references in code."""
    line = _CONTROL.sub("", re.sub(r"\s+", " ", text)).strip()
    if len(line) > _LONGEST:
        line = line[: _LONGEST - 1] + "…"
    if not line:
        return "(empty)"
    if not re.search(r"[`|\\]", line):
        return f"`{line}`"
    # In a table, no code span can contain every mix of these. Markdown does not interpret character references.
    return "<code>" + re.sub(r"[^\w .:-]|_", lambda found: f"&#{ord(found[0])};", line) + "</code>"


def fence(text: str, language: str = "") -> str:
    """The text as a code block that the text itself cannot end."""
    lines = "\n".join(_CONTROL.sub("", line) for line in re.split(r"\r\n?|\n", text))
    longest = max((len(run) for run in re.findall(r"`+", lines)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{lines}\n{ticks}"


def details(summary: str, body: str) -> str:
    """A section that is folded until somebody opens it. `summary` is one line of our own markup."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def row(cells: Iterable[str]) -> str:
    """A table row of finished cells."""
    return f"| {' | '.join(cells)} |"


def table_head(titles: Sequence[str]) -> str:
    return f"{row(titles)}\n{row('---' for _ in titles)}"


def some(items: Sequence[str], most: int) -> str:
    """The first `most` items, joined by commas, and the number of those that are left out."""
    left_out = len(items) - most
    return ", ".join(items[:most]) + (f" and {left_out:,} more" if left_out > 0 else "")


def count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
