"""Differences of properties, and their effect: none, an update, or a replacement."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pulumi.runtime.proto import provider_pb2

from sandbox.providers.framework.kind import Property
from sandbox.values import Properties, PropertyValue, contains_unknown

_ANY = Property()
_Step = str | int
_Path = tuple[_Step, ...]


@dataclass(frozen=True)
class Change:
    """One difference between old and new inputs, at the deepest property that differs."""

    path: _Path
    kind: str  # ADD, UPDATE or DELETE
    replaces: bool

    @property
    def property(self) -> str:
        return str(self.path[0])

    def to_detail(self) -> tuple[str, provider_pb2.PropertyDiff]:
        kind = provider_pb2.PropertyDiff.Kind.Value(f"{self.kind}_REPLACE" if self.replaces else self.kind)
        return _written(self.path), provider_pb2.PropertyDiff(kind=kind, inputDiff=True)


def changes(
    old: Properties, new: Properties, properties: Mapping[str, Property], ignored: Iterable[str] = ()
) -> list[Change]:
    """The differences that matter, except at and below the property paths in `ignored` (as in `ignore_changes`)."""
    ignored_paths = [_parsed(path) for path in ignored]
    return [
        change
        for change in _object_changes((), old, new, properties, replaces=False)
        if not any(_covers(path, change.path) for path in ignored_paths)
    ]


def to_response(found: list[Change], *, delete_before_replace: bool) -> provider_pb2.DiffResponse:
    """The protocol's form of these changes. `replaces` and `diffs` hold top-level properties."""
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=sorted({change.property for change in found if change.replaces}),
        diffs=sorted({change.property for change in found}),
        deleteBeforeReplace=delete_before_replace and any(change.replaces for change in found),
        detailedDiff=dict(change.to_detail() for change in found),
        hasDetailedDiff=True,
    )


def refreshed(
    old: Mapping[str, PropertyValue],
    recorded: Mapping[str, PropertyValue],
    live: Mapping[str, PropertyValue],
    properties: Mapping[str, Property] | None,
) -> Properties:
    """The inputs that would have led to the live outputs.

    A property that is live as recorded keeps its input; one that drifted gets the live value. So a value that the cloud
    set never becomes an input, while a manual edit does, and shows in the next diff. `recorded` and `live` are
    outputs; all three mappings hold plain values.
    """
    result = dict(old)
    for key in live if properties is None else [key for key in properties if key in live]:
        declared = _ANY if properties is None else properties[key]
        then, now = recorded.get(key), live[key]
        if _same(then, now, declared) or (declared.computed and key not in old):
            continue
        if isinstance(now, dict) and isinstance(old.get(key), dict):
            result[key] = refreshed(old[key], then if isinstance(then, dict) else {}, now, declared.fields)
        else:
            result[key] = now
    for key in [key for key in result if result[key] is None or (key in recorded and key not in live)]:
        del result[key]
    return result


def _object_changes(
    path: _Path,
    old: Mapping[str, PropertyValue],
    new: Mapping[str, PropertyValue],
    properties: Mapping[str, Property] | None,
    *,
    replaces: bool,
) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        declared = _ANY if properties is None else properties.get(key, _ANY)
        yield from _value_changes((*path, key), old.get(key), new.get(key), declared, replaces or declared.replaces)


def _value_changes(
    path: _Path, old: PropertyValue, new: PropertyValue, declared: Property, replaces: bool
) -> Iterator[Change]:
    if _same(old, new, declared) or (declared.computed and new is None):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _object_changes(path, old, new, declared.fields, replaces=replaces)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _value_changes(
                (*path, index), _item(old, index), _item(new, index), Property(fields=declared.fields), replaces
            )
    else:
        kind = "ADD" if _is_empty(old) else "DELETE" if _is_empty(new) else "UPDATE"
        yield Change(path, kind, replaces or _replaces_inside(old, declared) or _replaces_inside(new, declared))


def _same(old: PropertyValue, new: PropertyValue, declared: Property) -> bool:
    if old == new or (_is_empty(old) and _is_empty(new)):
        return True
    if declared.equal is None or old is None or new is None or contains_unknown([old, new]):
        return False
    return declared.equal(old, new)


def _replaces_inside(value: PropertyValue, declared: Property) -> bool:
    """Whether an object that is added or removed as a whole has fields that cannot change in place."""
    items = value if isinstance(value, list) else [value]
    fields = declared.fields or {}
    return any(isinstance(item, dict) and any(key in fields and fields[key].replaces for key in item) for item in items)


def _is_empty(value: PropertyValue) -> bool:
    """Whether a value is absent to a cloud, as are empty lists and objects."""
    return value is None or value == [] or value == {}


def _item(items: list[PropertyValue], index: int) -> PropertyValue:
    return items[index] if index < len(items) else None


def _written(path: _Path) -> str:
    """A path in Pulumi's notation: `tags["a.b"]`, `filters[0].name`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$-]*", step):
            text += f".{step}" if text else step
        else:
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def _parsed(text: str) -> _Path:
    steps: list[_Step] = []
    for quoted, index, plain in re.findall(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)', text):
        if index:
            steps.append("*" if index == "*" else int(index))
        else:
            steps.append(plain or quoted.replace('\\"', '"'))
    return tuple(steps)


def _covers(pattern: _Path, path: _Path) -> bool:
    return len(pattern) <= len(path) and all(wanted in ("*", step) for wanted, step in zip(pattern, path, strict=False))
