"""How a step changes a resource, property by property, as lines to read. Secrets stay hidden."""

import difflib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from sandbox.engine.properties import diff_inputs, parse_path
from sandbox.engine.steps import Operation, Step
from sandbox.values import UNKNOWN_SENTINEL, Properties, Secret, mask, reveal

_CONTEXT_LINES = 2
_MISSING = object()


class Line(NamedTuple):
    """A line to show; its mark (`+`, `-`, `~` or anything else) tells how the line is meant."""

    mark: str
    text: str


def changed_properties(step: Step) -> list[str]:
    """The top-level properties that a step changes, marked `+`, `-` or `~`."""
    if step.old is None or step.new is None:
        return []
    old, new = step.old.inputs, step.new.inputs
    names = step.diff.changed_keys if step.diff else ()
    return [f"{'+' if name not in old else '-' if name not in new else '~'}{name}" for name in names]


def property_lines(step: Step) -> Iterator[Line]:
    """A line for every property that a step sets or changes, and a text diff for values of several lines."""
    if step.operation is Operation.SAME or step.new is None:
        return
    old, new = step.old.inputs if step.old else {}, step.new.inputs
    replaced = set(step.diff.replace_keys) if step.diff else set()
    for path in diff_inputs(reveal(old), reveal(new)):
        before, after = _at(old, path), _at(new, path)
        note = "  (replaces)" if str(parse_path(path)[0]) in replaced else ""
        if before is _MISSING:
            yield from _whole("+", path, after, note)
        elif after is _MISSING:
            yield from _whole("-", path, before, note)
        elif isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
            yield Line("~", f"~ {path}:{note}")
            yield from _text_difference(before, after)
        else:
            yield Line("~", f"~ {path}: {show_value(before)} => {show_value(after)}{note}")


def _whole(mark: str, path: str, value: Any, note: str) -> Iterator[Line]:
    if isinstance(value, str) and "\n" in value:
        yield Line(mark, f"{mark} {path}:{note}")
        yield from (Line(mark, f"    {line}") for line in value.splitlines())
    else:
        yield Line(mark, f"{mark} {path}: {show_value(value)}{note}")


def _text_difference(before: str, after: str) -> Iterator[Line]:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT_LINES))
    for line in lines[2:]:  # the first two are for file names
        yield Line(line[:1], f"    {line}")


def _at(properties: Properties, path: str) -> Any:
    """The value at a path, wrapped as secret if anything on the way is."""
    value: Any = properties
    for key in parse_path(path):
        if isinstance(value, Secret):
            return value
        if isinstance(value, dict):
            value = value.get(str(key), _MISSING)
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key] if key < len(value) else _MISSING
        else:
            return _MISSING
    return value


def show_value(value: Any) -> str:
    """A value on one line: secrets masked, and what only the cloud will know said in words."""
    masked = mask(value)
    text = masked if isinstance(value, Secret) else json.dumps(masked, ensure_ascii=False)
    return text.replace(f'"{UNKNOWN_SENTINEL}"', "(known once deployed)").replace('"[secret]"', "[secret]")
