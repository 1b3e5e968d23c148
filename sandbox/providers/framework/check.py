"""Checks of inputs: they name every unknown property, with the nearest known one, and every missing property."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from sandbox.providers.framework.kind import Connection, Name, Property, ResourceKind
from sandbox.providers.framework.outputs import conceal
from sandbox.values import UNKNOWN, Properties, PropertyValue, Secret, reveal

Failure = tuple[str, str]  # property path, reason


def checked_inputs(
    kind: ResourceKind[Connection], name: Name, inputs: Properties, old_inputs: Properties
) -> tuple[Properties, list[Failure]]:
    """The inputs completed with defaults and an automatic name, and all failures of the checks."""
    given = {key: value for key, value in inputs.items() if value is not None}
    completed = kind.complete(name, with_defaults(given, kind.inputs), reveal(old_inputs))
    failures = [*failures_in(completed, kind.inputs, kind.type), *kind.validate(reveal(completed))]
    return conceal(completed, kind.secrets), failures


def failures_in(
    inputs: Mapping[str, PropertyValue], properties: Mapping[str, Property], owner: str, path: str = ""
) -> Iterator[Failure]:
    """Every unknown and every missing property of an object, and of the objects in it."""
    for key, value in inputs.items():
        if key not in properties:
            yield path + key, f"The sandbox knows no property '{path}{key}' of {owner}{suggestion(key, properties)}."
            continue
        fields = properties[key].fields
        if fields is not None:
            yield from _nested_failures(value, fields, owner, path + key)
    for key, declared in properties.items():
        if declared.required and inputs.get(key) is None:
            yield path + key, f"{owner} needs the property '{path}{key}'."


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: `; did you mean 'x'?`, or the known words."""
    choices = sorted(known)
    nearest = get_close_matches(word, choices, n=1)
    if nearest:
        return f"; did you mean '{nearest[0]}'?"
    return f"; it knows {', '.join(choices)}" if choices else ""


def with_defaults(inputs: Properties, properties: Mapping[str, Property]) -> Properties:
    defaults = {key: declared.default for key, declared in properties.items() if declared.default is not None}
    return {**defaults, **inputs}


def _nested_failures(value: PropertyValue, fields: Mapping[str, Property], owner: str, path: str) -> Iterator[Failure]:
    if isinstance(value, Secret):
        yield from _nested_failures(value.value, fields, owner, path)
    elif isinstance(value, dict):
        yield from failures_in(value, fields, owner, f"{path}.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nested_failures(item, fields, owner, f"{path}[{index}]")
    elif value is not UNKNOWN:
        yield path, f"'{path}' of {owner} must be an object with {', '.join(sorted(fields))}."
