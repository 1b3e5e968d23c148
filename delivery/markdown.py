"""Markdown in which foreign text stays text: it forms no markup, mentions nobody and gives GitLab no command."""

import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(
    # Besides control characters: what turns or hides text, and halves of characters, which no file can contain.
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_LONGEST = 300
_COMMAND = re.compile(r"^(?=[^\S\n]*/)", re.MULTILINE)
_NO_COMMAND = "\N{ZERO WIDTH SPACE}"


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
    """The text as a code block that the text itself cannot end, and of which no line begins with a slash.

    GitLab searches a note for quick actions with a pattern that does not know all of Markdown's code blocks: not one
    that is indented, or has more than three ticks.
    Source: https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/quick_actions/extractor.rb
    """
    plain = "\n".join(_CONTROL.sub("", line) for line in re.split(r"\r\n?|\n", text))
    lines = _COMMAND.sub(_NO_COMMAND, plain)
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
