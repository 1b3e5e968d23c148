"""Texts with variables, as GitLab and Dockerfiles expand them. What is not known stays, in one notation: `${NAME}`."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

MAX_TEXT = 10_000
"""Characters of an expanded text. Variables that contain each other would grow without end."""
_ROUNDS = 10
_LONGEST_CUT = 500
_VARIABLE = re.compile(
    r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)(?:(?P<operator>:?[-+]|%%?|##?)(?P<word>[^{}]*))?\})"
)
UNKNOWN = re.compile(r"\$[{(]")


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of the variables that have one, in turn expanded.

    It knows `$A`, `${A}`, `${A:-default}`, `${A:+word}`, and `${A%pattern}` and the others that cut off an end.
    """

    def value(found: re.Match[str]) -> str:
        name = found["plain"] or found["braced"]
        known, word = values.get(name), found["word"] or ""
        match found["operator"]:
            case ":-" | "-":
                return known or word
            case ":+" | "+":
                return word if known else ""
            case "%" | "%%" | "#" | "##" as operator if known is not None:
                return _cut(known[:_LONGEST_CUT], operator, word)
            case "%" | "%%" | "#" | "##":
                return found[0]
        return f"${{{name}}}" if known is None else known

    for _ in range(_ROUNDS):
        expanded = _VARIABLE.sub(value, text)
        if expanded == text or len(expanded) > MAX_TEXT:
            break
        text = expanded
    return text[:MAX_TEXT]


def _cut(text: str, operator: str, pattern: str) -> str:
    """The text without the shortest or longest end, `%`, or beginning, `#`, that matches the pattern."""
    ends = [text[:cut] for cut in range(len(text), -1, -1) if fnmatchcase(text[cut:], pattern)]
    beginnings = [text[cut:] for cut in range(len(text) + 1) if fnmatchcase(text[:cut], pattern)]
    left = ends if operator[0] == "%" else beginnings
    return (left[0] if len(operator) == 1 else left[-1]) if left else text


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
