"""A resource as the state records it, and its form in Pulumi's deployment JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from sandbox.values import SECRET_SIGNATURE, SIGNATURE, Properties, PropertyValue, Secret, mask, reveal

Seal = Callable[[PropertyValue], str]
Unseal = Callable[[str], PropertyValue]

BEFORE_DELETE = "BeforeDelete"
"""When a resource hook runs; Pulumi's word in the state."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ResourceState:
    """One resource: what the program wanted, what the cloud answered, and what it hangs on.

    Instances are immutable and compared by identity: a change is a new instance, so the text of an unchanged one can be
    kept. `created` and `modified` are RFC 3339 times in UTC.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    init_errors: tuple[str, ...] = ()  # why it is not as it should be, although it exists
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: tuple[str, ...] = ()
    provider: str = ""
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delete: bool = False
    pending_replacement: bool = False
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: Mapping[str, float] = field(default_factory=dict)
    retain_on_delete: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    resource_hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    created: str = ""
    modified: str = ""
    source_position: str = ""

    def depends_on(self) -> frozenset[str]:
        """The URNs of everything that must exist while this resource exists."""
        provider = self.provider.rpartition("::")[0]
        urns = {self.parent, provider, *self.dependencies}
        for dependencies in self.property_dependencies.values():
            urns.update(dependencies)
        return frozenset(urns - {""})


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


# State attribute -> key in the deployment's JSON, in the order in which Pulumi writes them. Empty values are left out.
_FIELDS = {
    "delete": "delete",
    "id": "id",
    "type": "type",
    "inputs": "inputs",
    "outputs": "outputs",
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "dependencies": "dependencies",
    "init_errors": "initErrors",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "pending_replacement": "pendingReplacement",
    "additional_secret_outputs": "additionalSecretOutputs",
    "aliases": "aliases",
    "custom_timeouts": "customTimeouts",
    "retain_on_delete": "retainOnDelete",
    "created": "created",
    "modified": "modified",
    "source_position": "sourcePosition",
    "ignore_changes": "ignoreChanges",
    "replace_on_changes": "replaceOnChanges",
    "resource_hooks": "resourceHooks",
}
# Keys that Pulumi may write and that change what an operation must do: a state with one is refused, not misread.
_UNSUPPORTED_KEYS = ("taint", "deletedWith", "replaceWith", "viewOf", "extensionRef")


def to_json(state: ResourceState, seal: Seal) -> dict[str, Any]:
    """Write a resource for a deployment; `seal` turns a secret's plain value into ciphertext."""
    data: dict[str, Any] = {"urn": state.urn, "custom": state.custom}
    for attribute, key in _FIELDS.items():
        value = getattr(state, attribute)
        if not value:
            continue
        if attribute in ("inputs", "outputs"):
            value = _write_properties(value, seal)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = {name: list(item) if isinstance(item, tuple) else item for name, item in value.items()}
        data[key] = value
    return data


def to_masked_json(state: ResourceState) -> dict[str, Any]:
    """Write a resource for showing: secrets as `[secret]`."""
    return to_json(replace(state, inputs=mask(state.inputs), outputs=mask(state.outputs)), seal=str)


def from_json(data: Mapping[str, Any], unseal: Unseal) -> ResourceState:
    """Read a resource from a deployment. Raises ValueError for one that needs a feature that is not supported."""
    for key in _UNSUPPORTED_KEYS:
        if data.get(key):
            raise ValueError(f"{data.get('urn')} uses {key!r}, which the sandbox's engine does not support")
    values = {attribute: data[key] for attribute, key in _FIELDS.items() if key in data}
    for attribute, value in values.items():
        if attribute in ("inputs", "outputs"):
            values[attribute] = _read_properties(value, unseal)
        elif attribute == "dependencies":
            values[attribute] = tuple(sorted(value))  # a set: its order tells nothing, and the pulumi CLI's is random
        elif attribute == "property_dependencies":
            values[attribute] = {name: tuple(sorted(items or ())) for name, items in value.items()}
        elif attribute == "resource_hooks":
            values[attribute] = {name: tuple(items) for name, items in value.items()}
        elif isinstance(value, list):
            values[attribute] = tuple(value)
    return ResourceState(urn=data["urn"], custom=data["custom"], **values)


def _write_properties(value: PropertyValue, seal: Seal) -> Any:
    """Keys are sorted, since the wire has no order and equal properties are to be written alike."""
    if isinstance(value, dict):
        return {key: _write_properties(value[key], seal) for key in sorted(value)}
    if isinstance(value, list):
        return [_write_properties(item, seal) for item in value]
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET_SIGNATURE, "ciphertext": seal(mask(reveal(value.value)))}
    return mask(value)


def _read_properties(data: Any, unseal: Unseal) -> Any:
    if isinstance(data, dict):
        if data.get(SIGNATURE) == SECRET_SIGNATURE:
            return Secret(unseal(data["ciphertext"]))
        return {key: _read_properties(value, unseal) for key, value in data.items()}
    if isinstance(data, list):
        return [_read_properties(item, unseal) for item in data]
    return data
