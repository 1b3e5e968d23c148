"""The text of a proposal: a stack's file in YAML, with comments for what a person decides."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stacks.propose.images import Draft
from stacks.propose.proposal import Proposed, Stack, image
from stacks.propose.text import plain

_PLAIN = re.compile(r"[A-Za-z./_][\w./-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan")
_WIDTH = 120


def text(stacks: Sequence[Stack]) -> str:
    """The files of all stacks, as YAML documents."""
    return "---\n".join("\n".join(_stack(stack)) + "\n" for stack in stacks)


def _stack(stack: Stack) -> Iterator[str]:
    yield "# Proposed by `python -m stacks.propose`. Each comment with DECIDE needs a person; then remove the comments."
    yield "config:"
    yield "  # DECIDE: aws:region, gitlab:baseUrl, buildyard:cluster"
    yield from _decisions(stack.decisions, "  ")
    if stack.runners:
        yield f"  buildyard:runners: {flow(stack.runners)}"
    yield "  buildyard:projects:"
    for project in stack.projects:
        yield from _project(project)


def _project(project: Proposed) -> Iterator[str]:
    yield from _comments((f"note: {note}" for note in dict.fromkeys(project.notes)), "    ")
    yield from _decisions(project.decisions, "    ")
    yield from _mapping(project.settings, "    ")
    yield "      images:"
    for draft in project.drafts:
        yield from _image(draft)


def _image(draft: Draft) -> Iterator[str]:
    jobs = dict.fromkeys(build.job.name for build in draft.builds)
    by = f", built by {', '.join(jobs)}" if jobs else ""
    yield from _comments([f"{draft.dockerfile.path}{by}"], "        ")
    yield from _decisions(draft.decisions, "        ")
    settings = image(draft)
    line = f"        - {flow(settings)}"
    yield from [line] if len(line) <= _WIDTH else _mapping(settings, "        ")


def _mapping(settings: Mapping[str, Any], indent: str) -> Iterator[str]:
    for number, (key, value) in enumerate(settings.items()):
        yield f"{indent}{'  ' if number else '- '}{scalar(key)}: {flow(value)}"


def _decisions(texts: Iterable[str], indent: str) -> Iterator[str]:
    return _comments((f"DECIDE: {each}" for each in dict.fromkeys(texts)), indent)


def _comments(texts: Iterable[str], indent: str) -> Iterator[str]:
    return (f"{indent}# {plain(each, 400)}" for each in texts)


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value) if isinstance(value, int) else scalar(value)


def scalar(value: str) -> str:
    """A text, in quotes unless it can only be a text. What is not printable is escaped."""
    if (
        _PLAIN.fullmatch(value)
        and value.isascii()
        and value.lower() not in _WORDS
        and not value[:2].strip(".").isdigit()
    ):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"
