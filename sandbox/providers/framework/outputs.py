"""Outputs: their prediction in a preview, their completion from inputs, and their secrets."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.providers.framework.diff import changes
from sandbox.providers.framework.kind import Connection, Property, ResourceKind
from sandbox.values import UNKNOWN, Properties, PropertyValue, Secret, contains_secret, reveal


def predicted(kind: ResourceKind[Connection], connection: Connection, inputs: Properties) -> Properties:
    """The outputs of a resource before it is created."""
    unknown = dict.fromkeys(kind.computed, UNKNOWN)
    given = _with_the_clouds_choices(inputs, kind.inputs)
    return conceal({**unknown, **given, **kind.predict(connection, reveal(inputs))}, kind.secrets, like=inputs)


def predicted_update(
    kind: ResourceKind[Connection],
    connection: Connection,
    old_inputs: Properties,
    outputs: Properties,
    inputs: Properties,
    ignored: Iterable[str],
) -> Properties:
    """The outputs after an update, with the recorded ones where nothing changes."""
    found = changes(reveal(old_inputs), reveal(inputs), kind.inputs, ignored)
    changed = frozenset(change.property for change in found)
    kept = {key: value for key, value in outputs.items() if key not in changed}
    moved = dict.fromkeys(kind.outputs_changed_by(changed), UNKNOWN)
    given = _with_the_clouds_choices(
        {key: inputs[key] for key in changed if key in inputs},
        {key: kind.inputs[key] for key in changed & inputs.keys()},
    )
    return conceal({**kept, **moved, **given, **kind.predict(connection, reveal(inputs))}, kind.secrets, like=inputs)


def _with_the_clouds_choices(value: PropertyValue, properties: Mapping[str, Property]) -> PropertyValue:
    """The value with `UNKNOWN` for properties that the cloud sets, in nested objects too."""
    if isinstance(value, list):
        return [_with_the_clouds_choices(item, properties) for item in value]
    if not isinstance(value, dict):
        return value
    chosen = {key: UNKNOWN for key, declared in properties.items() if declared.computed and key not in value}
    fields = {key: declared.fields for key, declared in properties.items() if declared.fields}
    return chosen | {
        key: _with_the_clouds_choices(item, fields[key]) if key in fields else item for key, item in value.items()
    }


def merged(kind: ResourceKind[Any], inputs: Properties, outputs: Properties) -> Properties:
    """The outputs of a call, completed with the inputs."""
    return conceal(present({**inputs, **outputs}), kind.secrets, like=inputs)


def conceal(
    properties: Properties, secret: frozenset[str], like: Mapping[str, PropertyValue] | None = None
) -> Properties:
    """Mark as secret the properties of these names, and those that hold a secret in `like`."""
    secret = secret | {key for key, value in (like or {}).items() if contains_secret(value)}
    return {
        key: Secret(reveal(value)) if key in secret and not isinstance(value, Secret) else value
        for key, value in properties.items()
    }


def present(value: PropertyValue) -> PropertyValue:
    """The value without the properties that are None: on the wire, null and absent mean the same."""
    if isinstance(value, dict):
        return {key: present(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [present(item) for item in value]
    return value
