"""Property paths and differences between property values: pure functions.

A path reads like `tags.Name`, `rules[0].port`, `labels["a.b"]`, with `*` for all elements:
https://www.pulumi.com/docs/iac/concepts/options/ignorechanges/
"""

import copy
import re
from collections.abc import Sequence
from typing import Any

from sandbox.engine.lifecycle import PropertyDiff
from sandbox.values import Properties, Secret, contains_secret

_STEP = re.compile(r'\.?(?:\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|\[(\*)\]|([^.\[\]]+))')
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")

PathKey = str | int
_MISSING = object()


def parse_path(path: str) -> list[PathKey]:
    """Take a path apart. Raises ValueError when it is not one."""
    keys: list[PathKey] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is not a property path")
        index, quoted, star, key = match.groups()
        if index is not None:
            keys.append(int(index))
        elif quoted is not None:
            keys.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            keys.append(star or key)
        position = match.end()
    return keys


def write_path(keys: Sequence[PathKey]) -> str:
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        elif not _PLAIN_KEY.fullmatch(key):
            text += '["{}"]'.format(key.replace("\\", "\\\\").replace('"', '\\"'))
        else:
            text += f".{key}" if text else key
    return text


def path_covers(pattern: Sequence[PathKey], path: Sequence[PathKey]) -> bool:
    """Whether a path lies at or under a pattern."""
    return len(pattern) <= len(path) and all(
        wanted in ("*", key) for wanted, key in zip(pattern, path, strict=False)
    )  # fmt: skip


def reset_ignored(inputs: Properties, old_inputs: Properties, paths: Sequence[str]) -> Properties:
    """The inputs, with whatever lies at the ignored paths taken from the old inputs."""
    result = copy.deepcopy(inputs) if paths else inputs
    for path in paths:
        result = _reset(result, old_inputs, parse_path(path))
    return result


def diff_inputs(old: Properties, new: Properties) -> dict[str, PropertyDiff]:
    """Every path at which two plain values differ, down to single leaves."""
    found: dict[str, PropertyDiff] = {}
    _collect(old, new, [], found)
    return found


def keep_secrets(values: Any, like: Any) -> Any:
    """The values, with everything secret that is secret in the other values."""
    if isinstance(values, Secret):
        return values
    if isinstance(like, Secret):
        return Secret(values)
    if isinstance(values, dict) and isinstance(like, dict):
        return {key: keep_secrets(value, like.get(key)) for key, value in values.items()}
    if isinstance(values, list) and isinstance(like, list):
        if len(values) == len(like):
            return [keep_secrets(value, other) for value, other in zip(values, like, strict=True)]
        return Secret(values) if contains_secret(like) else values
    return values


def mark_secret_keys(properties: Properties, keys: Sequence[str]) -> Properties:
    """The properties, with the named ones secret."""
    return {
        key: Secret(value) if key in keys and not isinstance(value, Secret) else value
        for key, value in properties.items()
    }


def _reset(value: Any, old: Any, keys: Sequence[PathKey]) -> Any:
    if not keys:
        return copy.deepcopy(old)
    if isinstance(value, Secret) or isinstance(old, Secret):
        inner = _reset(
            value.value if isinstance(value, Secret) else value, old.value if isinstance(old, Secret) else old, keys
        )
        return Secret(inner)
    key, rest = keys[0], keys[1:]
    if isinstance(value, dict) and isinstance(old, dict):
        names = {*value, *old} if key == "*" else {key}
        for name in sorted(str(name) for name in names):
            if name in old and (name in value or not rest):
                value[name] = _reset(value.get(name), old[name], rest)
            elif not rest:
                value.pop(name, None)
    elif isinstance(value, list) and isinstance(old, list):
        for index in range(min(len(value), len(old))) if key == "*" else [key]:
            if isinstance(index, int) and index < len(value) and index < len(old):
                value[index] = _reset(value[index], old[index], rest)
    return value


def _collect(old: Any, new: Any, path: list[PathKey], found: dict[str, PropertyDiff]) -> None:
    pairs: list[tuple[PathKey, Any, Any]]
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(key, old.get(key, _MISSING), new.get(key, _MISSING)) for key in sorted({*old, *new})]
    elif isinstance(old, list) and isinstance(new, list):
        longest = range(max(len(old), len(new)))
        pairs = [
            (index, old[index] if index < len(old) else _MISSING, new[index] if index < len(new) else _MISSING)
            for index in longest
        ]
    else:
        if old != new or isinstance(old, bool) != isinstance(new, bool):
            kind = "add" if old is _MISSING else "delete" if new is _MISSING else "update"
            found[write_path(path)] = PropertyDiff(kind, input_diff=True)
        return
    for key, old_item, new_item in pairs:
        _collect(old_item, new_item, [*path, key], found)
