"""Property values as they travel between a program, the engine and the providers.

Pulumi's protocol carries properties as protobuf Structs in which a few kinds of value hide behind marker strings: a
secret is an object with a signature, a value that only the cloud will know is a fixed sentinel. An exported state has
others. This module is the one place that knows those markers; everyone else sees plain Python data, `UNKNOWN` and
`Secret`.

The markers are fixed by Pulumi: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/properties.go
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (a marker of the protocol, not a password)
UNKNOWN_SENTINEL = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

_UNSUPPORTED_SIGNATURES = {
    "c44067f5952c0a294b673a41bacd8c17": "an asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "an archive",
    "5cf8f73096256a8f31e491e813e4eb8e": "a resource reference",
    "d0e6a833031e9bbcd3f4e8bde6ca49a4": "an output value",
}
# Other spellings of the sentinel, for unknown values of a known type (boolean, number, array, asset, archive, object).
_TYPED_UNKNOWN_SENTINELS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class Unknown(Enum):
    """The value of a property that is known only once the cloud has been asked, so never in a preview."""

    UNKNOWN = UNKNOWN_SENTINEL

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that may be stored only encrypted and is never shown."""

    value: Any

    def __repr__(self) -> str:
        return "Secret([secret])"


# A property is None, bool, int, float, str, UNKNOWN, Secret, or a list or a dict (with str keys) of these.
PropertyValue: TypeAlias = Any
Properties: TypeAlias = dict[str, PropertyValue]


class UnsupportedValueError(ValueError):
    """A kind of property value that this sandbox does not carry, such as an asset."""


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Read properties off the wire. Whole numbers become `int`, since the wire has floating point only."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def to_struct(properties: Mapping[str, PropertyValue]) -> struct_pb2.Struct:
    """Write properties for the wire, secrets and unknown values with Pulumi's markers."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _fill(struct.fields[key], value)
    return struct


def from_exported(value: Any) -> PropertyValue:
    """Read properties of a state that was exported with its secrets in clear text."""
    if isinstance(value, dict):
        if SIGNATURE in value and "plaintext" in value:
            return Secret(json.loads(value["plaintext"]))
        return {key: from_exported(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_exported(item) for item in value]
    return value


def to_exported(value: PropertyValue) -> Any:
    """Write properties as in a state that was exported with its secrets in clear text; an import encrypts them."""
    return map_leaves(
        value,
        lambda leaf: (
            {SIGNATURE: SECRET_SIGNATURE, "plaintext": json.dumps(leaf.value)} if isinstance(leaf, Secret) else leaf
        ),
    )


def map_leaves(value: PropertyValue, leaf: Callable[[PropertyValue], PropertyValue]) -> PropertyValue:
    """Copy a value, with `leaf` applied to whatever is neither a list nor a dict. Secrets count as leaves."""
    if isinstance(value, dict):
        return {key: map_leaves(item, leaf) for key, item in value.items()}
    if isinstance(value, list):
        return [map_leaves(item, leaf) for item in value]
    return leaf(value)


def reveal(value: PropertyValue) -> PropertyValue:
    """The value with every `Secret` in it replaced by its plain value: for comparing and calling, never for showing."""
    return map_leaves(value, lambda leaf: reveal(leaf.value) if isinstance(leaf, Secret) else leaf)


def contains_unknown(value: PropertyValue) -> bool:
    return any(leaf is UNKNOWN for leaf in _leaves(value))


def contains_secret(value: PropertyValue) -> bool:
    if isinstance(value, dict):
        return any(contains_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_secret(item) for item in value)
    return isinstance(value, Secret)


def _leaves(value: PropertyValue) -> Iterable[PropertyValue]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, Secret):
        yield from _leaves(value.value)
    else:
        yield value


def _from_value(value: struct_pb2.Value) -> PropertyValue:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text == UNKNOWN_SENTINEL or text in _TYPED_UNKNOWN_SENTINELS else text
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_object(value.struct_value)
    return None


def _from_object(struct: struct_pb2.Struct) -> PropertyValue:
    fields = struct.fields
    if SIGNATURE not in fields:
        return {key: _from_value(value) for key, value in fields.items()}
    signature = fields[SIGNATURE].string_value
    if signature == SECRET_SIGNATURE:
        return Secret(_from_value(fields["value"]))
    kind = _UNSUPPORTED_SIGNATURES.get(signature, f"a value with the signature {signature}")
    raise UnsupportedValueError(f"The sandbox does not support {kind} as a property value.")


def _fill(target: struct_pb2.Value, value: PropertyValue) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, dict):
        fields = target.struct_value.fields
        target.struct_value.SetInParent()
        for key, item in value.items():
            _fill(fields[key], item)
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for item in value:
            _fill(target.list_value.values.add(), item)
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_SENTINEL
    elif isinstance(value, Secret):
        fields = target.struct_value.fields
        fields[SIGNATURE].string_value = SECRET_SIGNATURE
        _fill(fields["value"], value.value)
    else:
        raise UnsupportedValueError(f"The sandbox cannot send {type(value).__name__} as a property value.")
