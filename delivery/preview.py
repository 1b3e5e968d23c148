"""The output of `pulumi preview --json`, as immutable values without secrets.

The file's format: https://github.com/pulumi/pulumi/blob/master/pkg/display/json.go (PreviewDigest).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from delivery.values import MAX_DEPTH, differing, find, is_confidential, is_deep, is_secret, redacted, shown


class PreviewError(Exception):
    """The file is not the output of `pulumi preview --json`. The message is for the pipeline's author."""


class Operation(str, Enum):
    """The operation of the update on one resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    """A new resource takes the place of the old one, which is deleted."""
    DELETE = "delete"
    IMPORT = "import"
    """The stack takes over a resource that exists. The properties are what it changes on it."""

    def __str__(self) -> str:
        return self.value


# The engine's operations that mean no change, or a part of a replacement that has its own step. Source:
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go (OpType)
_NO_CHANGE = frozenset(
    {
        "same",
        "refresh",
        "read",
        "read-replacement",
        "read-discard",
        "discard-replaced",
        "remove-pending-replace",
        "create-replacement",
        "delete-replaced",
    }
)
_LONGEST_ERROR = 300
_OPERATIONS = {**{str(operation): operation for operation in Operation}, "import-replacement": Operation.REPLACE}


@dataclass(frozen=True, kw_only=True)
class PropertyChange:
    """One property that differs.

    `path` is in Pulumi's notation, `tags["a.b"]`. `before` and `after` are values to show; None if the value is long,
    structured or confidential, so that only the path may be shown.
    """

    path: str
    before: str | None
    after: str | None
    secret: bool
    replaces: bool

    @property
    def top(self) -> str:
        """The top-level property of the path."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]


@dataclass(frozen=True, kw_only=True)
class Change:
    """The change of one resource.

    `old` and `new` are its inputs in the preview, with secrets masked by Pulumi. Compare them, but show only what
    `delivery.values` allows. `old_values` also contains what the cloud added.
    """

    operation: Operation
    urn: str
    parent: str | None
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    old_values: Mapping[str, Any]
    properties: tuple[PropertyChange, ...]
    dependencies: frozenset[str]
    is_component: bool
    retained: bool
    """Whether the state says that the resource stays when it leaves the stack."""
    waits: bool
    """Whether a hook of the program makes the deletion of the old resource wait, until no job needs it any more."""

    @property
    def type(self) -> str:
        return type_of(self.urn)

    @property
    def name(self) -> str:
        return name_of(self.urn)

    def changes(self, *properties: str) -> bool:
        """Whether any of these top-level properties differs."""
        return any(change.top in properties for change in self.properties)


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """A resource that stays as it is, with its inputs."""

    urn: str
    parent: str | None
    inputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The result of one preview. With `failures` it ended early, and `changes` are incomplete."""

    changes: tuple[Change, ...]
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    unchanged: tuple[Unchanged, ...] = ()


def type_of(urn: str) -> str:
    """The resource's own type, `aws:ecr/repository:Repository`."""
    return qualified_type_of(urn).rpartition("$")[2]


def qualified_type_of(urn: str) -> str:
    """The types of the resource's parents and its own, joined by `$`."""
    return urn.split("::", 3)[2]


def name_of(urn: str) -> str:
    """The resource's name in the program."""
    return urn.split("::", 3)[3]


def parse(text: str) -> Preview:
    """Parse the CLI's output.

    A CLI that stops before its engine runs writes nothing; this is a failed preview. Raises `PreviewError` for a text
    that the CLI never writes.
    """
    if not text.strip():
        return Preview(
            changes=(), failures=("Pulumi stopped before it had a preview; see the job's log.",), warnings=()
        )
    try:
        digest = json.loads(text)
        if is_deep(digest):
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        steps = list(digest.get("steps") or ())
        # A refresh within a preview is a step of its own. The resource's later step counts, which says what is done.
        changes: dict[str, Change] = {}
        for change in filter(None, map(_change, steps)):
            imported = change.urn in changes and changes[change.urn].operation is Operation.IMPORT
            changes[change.urn] = replace(change, operation=Operation.IMPORT) if imported else change
        unchanged = [_unchanged(step) for step in steps if step["op"] == "same"]
        said = [(entry["severity"], _gist(entry)) for entry in digest.get("diagnostics") or ()]
    except (ValueError, AttributeError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise PreviewError(f"This is not the output of `pulumi preview --json`: {_brief(repr(error))}") from error
    return Preview(
        # The engine works on several resources at once, in an order that differs from run to run.
        changes=tuple(changes[urn] for urn in sorted(changes)),
        failures=_unique(message for severity, message in said if severity == "error"),
        warnings=_unique(message for severity, message in said if severity == "warning"),
        unchanged=tuple(unchanged),
    )


def _unchanged(step: Mapping[str, Any]) -> Unchanged:
    state = _mapping(step, "newState") or _mapping(step, "oldState")
    parent = _urn(state["parent"]) if state.get("parent") else None
    return Unchanged(urn=_urn(step["urn"]), parent=parent, inputs=_mapping(state, "inputs"))


def _change(step: Mapping[str, Any]) -> Change | None:
    if step["op"] in _NO_CHANGE:
        return None
    if step["op"] not in _OPERATIONS:
        operation, resource = _brief(repr(step["op"])), _brief(str(step["urn"]))
        raise PreviewError(f"Unknown operation {operation} on {resource}. Add it to delivery/preview.py.")
    old, new = _mapping(step, "oldState"), _mapping(step, "newState")
    state = new or old
    return Change(
        operation=_OPERATIONS[step["op"]],
        urn=_urn(step["urn"]),
        parent=_urn(state["parent"]) if state.get("parent") else None,
        old=_mapping(old, "inputs"),
        new=_mapping(new, "inputs"),
        old_values={**_mapping(old, "inputs"), **_mapping(old, "outputs")},
        properties=tuple(_properties(step, old, new)) if old and new else (),
        dependencies=frozenset(_texts(state, "dependencies")),
        is_component=not state.get("custom", True),
        retained=old.get("retainOnDelete") is True,
        waits=bool(_mapping(old, "resourceHooks").get("BeforeDelete")),
    )


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key) or {}
    if not isinstance(found, Mapping):
        raise TypeError(f"{key} is not a mapping")
    return found


def _texts(value: Mapping[str, Any], key: str) -> list[str]:
    found = value.get(key) or []
    if not (isinstance(found, list) and all(isinstance(item, str) for item in found)):
        raise TypeError(f"{key} is not a list of strings")
    return found


def _urn(value: Any) -> str:
    if not isinstance(value, str) or value.count("::") < 3:
        raise ValueError(f"{value!r} is not the name of a resource")
    return value


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"


def _properties(step: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PropertyChange]:
    before, after = _mapping(old, "inputs"), _mapping(new, "inputs")
    confidential = frozenset(_texts(new, "additionalSecretOutputs"))
    replacing = frozenset(_texts(step, "replaceReasons"))
    # Some providers report differences in detail, some only which properties differ, some nothing.
    detail = _mapping(step, "detailedDiff")
    for path in sorted(detail or _texts(step, "diffReasons") or differing(before, after)):
        hidden = is_confidential(step["urn"], path, confidential)
        then, now = find(before, path), find(after, path)
        kind = str(_mapping(detail, path).get("kind", ""))
        yield PropertyChange(
            path=path,
            before=None if hidden else shown(then),
            after=None if hidden else shown(now),
            secret=is_secret(then) or is_secret(now),
            replaces=kind.endswith("-replace") or (not kind and path in replacing),
        )


def _gist(entry: Mapping[str, Any]) -> str:
    """A diagnostic without credentials. A Python traceback is reduced to its exception."""
    lines = str(entry.get("message", "")).strip().removeprefix("error: ").splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    if frames:
        exceptions = [number for number in range(frames[-1], len(lines)) if not lines[number].startswith(" ")]
        lines = lines[exceptions[0] :] if exceptions else lines
    text = redacted("\n".join(lines).strip())
    urn = _urn(entry["urn"]) if entry.get("urn") else None
    return f"{name_of(urn)} ({type_of(urn)}): {text}" if urn else text


def _unique(messages: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(message for message in messages if message))
