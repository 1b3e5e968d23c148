"""The values of the Helm chart `gitlab-runner`, and the keys of GitLab Runner's `config.toml`.

`stacks/charts/` has both as data. Helm ignores a value that the chart does not know, and the runner such a key.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stacks.problems import nearest

_DATA = Path(__file__).parent / "charts"
# The chart passes them to Kubernetes unchanged: its defaults have only some of their fields.
_TAKEN_WHOLE = frozenset({"securityContext", "podSecurityContext"})
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict, list),  # the chart's empty defaults are objects, even for lists
    "duration": (str, int),
}
Location = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class KeyFault:
    """A value that would be ignored, or not be understood."""

    location: Location
    message: str
    hint: str


def chart_version() -> str:
    """The version of the chart in the data."""
    return str(_chart()["version"])


def app_version() -> str:
    """The version of GitLab Runner that the chart deploys unless its values name another."""
    return str(_chart()["appVersion"])


def faults_in_values(
    values: Mapping[str, Any],
    is_unknown: Callable[[Any], bool] = lambda value: False,  # noqa: ARG005
) -> Iterator[KeyFault]:
    """Everything in the values that the chart does not know. `is_unknown` is whether a preview lacks a value."""
    return _value_faults(values, known_values(), (), is_unknown)


def _value_faults(
    values: Mapping[str, Any], known: Mapping[str, Any], parents: Location, is_unknown: Callable[[Any], bool]
) -> Iterator[KeyFault]:
    for key, value in values.items():
        here = (*parents, key)
        if key not in known:
            yield _unknown(here, "the chart gitlab-runner knows no value", known)
            continue
        declared = known[key]
        if value is None or is_unknown(value):
            continue
        if isinstance(declared, dict) and isinstance(value, dict):
            yield from _value_faults(value, declared, here, is_unknown)
        elif isinstance(declared, dict):
            hint = f"Use a mapping, with keys such as {', '.join(sorted(declared)[:3])}."
            yield KeyFault(location=here, message=f"{name_of(here)} holds further values", hint=hint)
        elif not _is_a(value, declared):
            yield _wrong_type(here, value, f"the chart takes {declared}")


def faults_in_runner(runner: Mapping[str, Any]) -> Iterator[KeyFault]:
    """Everything in a section `[[runners]]` that GitLab Runner would refuse or ignore."""
    return _config_faults(runner, known_config(), ())


def _config_faults(value: Any, known: Any, here: Location) -> Iterator[KeyFault]:
    if isinstance(known, list):
        if not isinstance(value, list):
            yield _wrong_type(here, value, "GitLab Runner takes a list")
            return
        for position, item in enumerate(value):
            yield from _config_faults(item, known[0], (*here, position))
    elif isinstance(known, dict):
        if not isinstance(value, dict):
            yield _wrong_type(here, value, "GitLab Runner takes a table")
            return
        for key, item in value.items():
            if "*" in known or key in known:
                yield from _config_faults(item, known["*" if "*" in known else key], (*here, key))
            else:
                yield _unknown((*here, key), "GitLab Runner knows no key", known)
    elif not _is_a(value, known):
        yield _wrong_type(here, value, f"GitLab Runner takes {known}")


def name_of(location: Location) -> str:
    """A location as people write it: `volumes.empty_dir[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _unknown(location: Location, message: str, known: Mapping[str, Any]) -> KeyFault:
    hint = nearest(str(location[-1]), tuple(known))
    return KeyFault(location=location, message=f"{message} {name_of(location)[:200]}", hint=hint)


def _wrong_type(location: Location, value: Any, takes: str) -> KeyFault:
    message = f"{name_of(location)[:200]} is {_type_name(value)}"
    return KeyFault(location=location, message=message, hint=f"{takes[0].upper()}{takes[1:]}.")


def _is_a(value: Any, declared: str) -> bool:
    """Whether a value has the declared type. Go types of Runner's own are not checked."""
    if isinstance(value, bool) and declared in ("integer", "number", "duration"):
        return False
    return isinstance(value, _TYPES.get(declared, (object,)))


def _type_name(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "table"}
    return f"a {names.get(type(value), type(value).__name__)}".replace("a integer", "an integer")


@cache
def known_values() -> Mapping[str, Any]:
    """The chart's values as a tree: an object for a value that holds others, else the name of a type or `any`."""
    data = _chart()
    known: dict[str, Any] = json.loads(json.dumps(data["values"]))
    for path in data["readByTemplates"]:
        *parents, name = path.split(".")
        place = known
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                place[parent] = {}
            place = place[parent]
        place.setdefault(name, "any")
    return {key: "object" if key in _TAKEN_WHOLE else value for key, value in known.items()}


@cache
def known_config() -> Mapping[str, Any]:
    """The keys of a section `[[runners]]` as a tree. A list has the type of its items, `*` stands for free keys."""
    keys: dict[str, Any] = _read("gitlab-runner-config-keys.json")["runners"]
    return keys


@cache
def _chart() -> dict[str, Any]:
    return _read("gitlab-runner-chart-values.json")


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_DATA / name).read_text(encoding="utf-8"))
    return content
