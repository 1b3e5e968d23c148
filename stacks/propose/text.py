"""Texts with variables, as GitLab and Dockerfiles expand them. What is not known stays, in one notation: `${NAME}`."""

import re
from collections.abc import Mapping, Sequence

MAX_TEXT = 10_000
"""Characters of an expanded text. Variables that contain each other would grow without end."""
_ROUNDS = 10
_VARIABLE = re.compile(
    r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\})"
)
UNKNOWN = re.compile(r"\$[{(]")


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of the variables that have one, in turn expanded.

    It knows `$A`, `${A}`, `${A:-default}` and `${A:+word}`.
    """

    def value(found: re.Match[str]) -> str:
        name = found["plain"] or found["braced"]
        known, word = values.get(name), found["word"] or ""
        match found["operator"]:
            case ":-" | "-":
                return known or word
            case ":+" | "+":
                return word if known else ""
        return f"${{{name}}}" if known is None else known

    for _ in range(_ROUNDS):
        expanded = _VARIABLE.sub(value, text)
        if expanded == text or len(expanded) > MAX_TEXT:
            break
        text = expanded
    return text[:MAX_TEXT]


def is_known(text: str) -> bool:
    """Whether nothing in the text depends on the run of a job."""
    return UNKNOWN.search(text) is None


def only_variable(text: str) -> str | None:
    """The variable's name, if the text is one variable that is not known."""
    found = re.fullmatch(r"\$\{([A-Za-z_]\w*)\}", text)
    return found[1] if found else None


def plain(text: str, longest: int = 200) -> str:
    """Foreign text on one line, for a comment: without control characters, and short."""
    line = "".join(sign if sign.isprintable() else " " for sign in text[: longest + 1])
    line = " ".join(line.split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def some(texts: Sequence[str], most: int = 3) -> str:
    """The first texts, and how many more there are."""
    left = len(texts) - most
    return ", ".join(plain(text, 100) for text in texts[:most]) + (f" and {left:,} more" if left > 0 else "")


def repository(reference: str) -> str:
    """An image's name without tag and digest."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    # A colon may also be in `${A:-b}`, and in a registry's port, which comes before a slash.
    untagged = re.match(r"(?:\$\{[^}]*\}|[^:])*", last)
    return f"{head}{slash}{untagged[0] if untagged else last}"
