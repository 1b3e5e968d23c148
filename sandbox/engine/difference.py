"""How a step changes a resource, property by property, as lines to read. Secrets stay hidden."""

import difflib
import json
from collections.abc import Iterator
from typing import Any

from sandbox.engine.properties import diff_inputs, parse_path
from sandbox.engine.steps import Operation, Step
from sandbox.values import UNKNOWN, Properties, Secret, mask, reveal

_CONTEXT_LINES = 2
_MISSING = object()


def changed_properties(step: Step) -> list[str]:
    """The top-level properties that a step changes, marked `+`, `-` or `~`."""
    if step.old is None or step.new is None:
        return []
    old, new = step.old.inputs, step.new.inputs
    names = step.diff.changed_keys if step.diff else ()
    return [f"{'+' if name not in old else '-' if name not in new else '~'}{name}" for name in names]


def property_lines(step: Step) -> Iterator[str]:
    """One line for every property that a step sets or changes, and a text diff for values of several lines."""
    old = step.old.inputs if step.old else {}
    new = step.new.inputs if step.new else {}
    if step.operation is Operation.SAME or step.new is None:
        return
    replaced = set(step.diff.replace_keys) if step.diff else set()
    for path in diff_inputs(reveal(old), reveal(new)):
        before, after = _at(old, path), _at(new, path)
        note = "  (replaces)" if str(parse_path(path)[0]) in replaced else ""
        if before is _MISSING:
            yield from _added("+", path, after, note)
        elif after is _MISSING:
            yield f"- {path}: {_show(before)}{note}"
        elif isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
            yield f"~ {path}:{note}"
            yield from _text_difference(before, after)
        else:
            yield f"~ {path}: {_show(before)} => {_show(after)}{note}"


def _added(mark: str, path: str, value: Any, note: str) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield f"{mark} {path}:{note}"
        yield from (f"    {line}" for line in value.splitlines())
    else:
        yield f"{mark} {path}: {_show(value)}{note}"


def _text_difference(before: str, after: str) -> Iterator[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT_LINES)
    next(lines, None), next(lines, None)  # the two file names
    yield from (f"    {line}" for line in lines)


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


def _show(value: Any) -> str:
    if value is UNKNOWN:
        return "[unknown until it is deployed]"
    if isinstance(value, Secret):
        return "[secret]"
    return json.dumps(mask(value), ensure_ascii=False)
