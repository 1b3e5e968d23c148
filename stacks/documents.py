"""Strict reading of YAML and JSON that people wrote: a document has one meaning, and reading it takes bounded time.

Scalars are read as the pulumi CLI reads them (YAML 1.2, with octal numbers such as 017), so that a stack's file means
the same with and without the CLI.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Location = tuple[str | int, ...]

MAX_DEPTH = 50
"""Levels of nesting. A stack's settings need 9."""

MAX_VALUES = 250_000
"""Values in a document, with each alias as large as the value that it stands for. 2,000 images have about 50,000."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A part of a document that is refused: where it is, what is wrong, and what to do."""

    location: Location
    message: str
    hint: str


class DocumentError(Exception):
    """All faults of a document. The messages contain none of its values, which may be secret."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A value with a tag of its own, such as GitLab's `!reference`."""

    tag: str
    value: Any


def read_yaml(data: bytes, *, tags: Sequence[str] = ()) -> Any:
    """The document's value. Its mappings have only strings as keys. Raises `DocumentError`.

    A list or mapping with one of `tags` is read as `Tagged`; all other tags are refused or, on lists, ignored.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(f"is not UTF-8, in line {line}", "Save the file as UTF-8.") from None
    try:
        _check_size(text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _refused(f"is not YAML: {error.problem}{_at(error.problem_mark)}", "Fix the file's syntax.") from None
    except yaml.YAMLError as error:
        raise _refused(f"is not YAML: {str(error).splitlines()[0]}", "Fix the file's syntax.") from None
    builder = _Builder(tags=tags)
    value = builder.value(node, ()) if node else None
    return _checked(value, builder.faults)


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises `DocumentError`."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _refused(f"is not JSON: {error.msg}, {place}", "Fix the syntax, or write the value as YAML.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # an integer of thousands of digits
        raise _refused("contains a number that is too long", "Write it in quotes, or shorten it.") from None
    _check_depth(value)
    return _checked(value)


def encrypted(value: Any, location: Location = ()) -> Iterator[Location]:
    """The locations of encrypted values: Pulumi writes each as a mapping with the only key `secure`."""
    if isinstance(value, Mapping):
        if value.keys() == {"secure"}:
            yield location
            return
        for key, item in value.items():
            yield from encrypted(item, (*location, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from encrypted(item, (*location, position))


def _refused(message: str, hint: str) -> DocumentError:
    return DocumentError(Fault(location=(), message=message, hint=hint))


def _too_deep() -> DocumentError:
    return _refused(f"is nested deeper than {MAX_DEPTH} levels", "Remove the surplus brackets or indentation.")


def _at(mark: Any) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _check_size(text: str) -> None:
    """Refuse a document that is too deep or too large, before anything is built from it."""
    sizes: dict[str, int] = {}  # of the values that have an anchor
    open_anchors: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in open_anchors):
                message = f"contains the alias *{event.anchor} within its own anchor{_at(event.start_mark)}"
                raise _refused(message, "Write the value out.")
            total += sizes.get(event.anchor or "", 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_anchors.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_anchors.append((event.anchor, total - 1))
            elif event.anchor:
                sizes[event.anchor] = 1
        if len(open_anchors) > MAX_DEPTH:
            raise _too_deep()
        if total > MAX_VALUES:
            raise _refused(
                f"has more than {MAX_VALUES:,} values, aliases written out", "Divide it into several stacks."
            )


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]


def _checked(value: Any, faults: Sequence[Fault] = ()) -> Any:
    found = [*faults, *_unreadable(value, ())]
    if found:
        raise DocumentError(*found)
    return value


def _unreadable(value: Any, location: Location) -> Iterator[Fault]:
    """Find texts that cannot be passed on: no argument of a program contains NUL, and no file half a character."""
    if isinstance(value, str):
        if re.search("[\0\ud800-\udfff]", value):
            yield Fault(location=location, message="contains NUL or half a character", hint="Remove it.")
    elif isinstance(value, Tagged):
        yield from _unreadable(value.value, location)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unreadable(key, location)
            yield from _unreadable(item, (*location, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _unreadable(item, (*location, position))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _refused(f"contains a mapping with two keys {key[:40]!r}", "Remove one of them.")
        value[key] = item
    return value


def _constant(name: str) -> Any:
    raise _refused(f"contains {name}, which is not a number in JSON", "Use a number.")


class _Loader(yaml.CSafeLoader):
    """Resolves scalars as the pulumi CLI does: `on`, `1:30` are strings, `017` is 15."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's attribute)


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first))


_resolve("null", "~|null|Null|NULL|", "~nN\0")
_Loader.yaml_implicit_resolvers[""] = _Loader.yaml_implicit_resolvers.pop("\0")
_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", r"[-+]?(?:0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789")
_resolve("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")
_resolve("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.")
_resolve("timestamp", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9].*)?", "0123456789")
_resolve("merge", "<<", "<")


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    legacy = re.fullmatch("([-+]?)0([0-7]+)", digits)
    number = int(f"{legacy[1]}0o{legacy[2]}" if legacy else digits, 0)
    if abs(number) >= 2**63:  # the CLI would round it
        raise ValueError
    return number


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:null": lambda text: None,  # noqa: ARG005
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": _integer,
    "tag:yaml.org,2002:float": _float,
}


@dataclass
class _Builder:
    """Plain values from YAML's nodes. It collects the faults, and goes on after each."""

    tags: Sequence[str] = ()
    faults: list[Fault] = field(default_factory=list)

    def value(self, node: yaml.Node, location: Location) -> Any:
        value = self._plain(node, location)
        return Tagged(tag=node.tag, value=value) if node.tag in self.tags else value

    def _plain(self, node: yaml.Node, location: Location) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, location)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        merged: dict[str, Any] | None = None
        own: dict[str, Any] = {}
        for key, item in node.value:
            if key.tag == "tag:yaml.org,2002:merge" and merged is None:
                merged = self._merged(item, location)
            elif key.tag == "tag:yaml.org,2002:merge":
                self._fault((*location, "<<"), f"is there twice{_at(key.start_mark)}", "Merge a list: <<: [*a, *b].")
            elif key.tag != "tag:yaml.org,2002:str":
                self._refuse_key(key, location)
            elif key.value in own:
                self._fault((*location, key.value), f"is there twice{_at(key.start_mark)}", "Remove one of them.")
            else:
                own[key.value] = self.value(item, (*location, key.value))
        return {**(merged or {}), **own}

    def _merged(self, node: yaml.Node, location: Location) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for item in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            value = self.value(item, location)
            if isinstance(value, dict):
                merged |= value
            else:
                self._fault((*location, "<<"), "does not merge a mapping", "Use the alias of a mapping.")
        return merged

    def _refuse_key(self, key: yaml.Node, location: Location) -> None:
        if isinstance(key, yaml.ScalarNode):
            text = key.value or "an empty key"
            message = f"has a key that is not a string: {text[:40]}{_at(key.start_mark)}"
            self._fault(location, message, f'Write it in quotes, "{text[:40]}", or remove it.')
        else:
            message = f"has a key that is a list or a mapping{_at(key.start_mark)}"
            self._fault(location, message, "Use a string.")

    def _scalar(self, node: yaml.Node, location: Location) -> Any:
        kind = node.tag.rpartition(":")[2]
        if node.tag not in _SCALARS:
            if kind == "timestamp":
                self._fault(location, "is a date, which settings cannot contain", "Write it in quotes.")
            else:
                self._fault(location, f"is tagged {kind}, which settings cannot contain", "Remove the tag.")
            return None
        try:
            return _SCALARS[node.tag](node.value)
        except ValueError:
            self._fault(location, f"cannot be read as {kind}{_at(node.start_mark)}", "Write it in quotes.")
            return None

    def _fault(self, location: Location, message: str, hint: str) -> None:
        self.faults.append(Fault(location=location, message=message, hint=hint))
