# ruff: noqa: ARG002 (hooks that do nothing by default)
"""The interface for provider authors: resource kinds and functions as plain Python, without gRPC."""

import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from sandbox.values import Properties, PropertyValue

Connection = TypeVar("Connection")


@dataclass(frozen=True, kw_only=True)
class Property:
    """One input of a resource kind, of a function or of a provider's configuration.

    `fields` are the properties of an object, or of each object in a list; without them, any content is accepted.
    `equal` says when two differing values mean the same (the same JSON, the same set): such a difference is no change.
    """

    required: bool = False
    replaces: bool = False  # a change replaces the resource
    computed: bool = False  # the cloud sets a default; an absent input is no change
    default: PropertyValue = None
    fields: "Mapping[str, Property] | None" = None
    equal: Callable[[Any, Any], bool] | None = None


@dataclass(frozen=True)
class Name:
    """The logical name of a resource, from which the provider derives a unique physical one."""

    logical: str
    urn: str
    seed: bytes = b""  # from the engine: the same seed gives the same name; without one it is random

    def suffix(self, length: int) -> str:
        if not self.seed:
            return secrets.token_hex(length)[:length]
        return hashlib.sha256(self.seed + self.urn.encode()).hexdigest()[:length]


@dataclass(frozen=True, kw_only=True)
class Autoname:
    """A property that the provider sets to the logical name, `-` and seven hexadecimal digits, as Pulumi's do.

    Updates keep the name; a replacement gets a new one.
    """

    property: str
    limit: int = 255
    lowercase: bool = False
    unless: tuple[str, ...] = ()  # properties that name the resource in another way, such as a prefix

    def fill(self, name: Name, inputs: Properties, old_inputs: Properties) -> Properties:
        if any(inputs.get(given) is not None for given in (self.property, *self.unless)):
            return inputs
        old = old_inputs.get(self.property)
        if isinstance(old, str) and self.made(name, old):
            return {**inputs, self.property: old}
        return {**inputs, self.property: f"{self._stem(name)}-{name.suffix(7)}"}

    def made(self, name: Name, value: str) -> bool:
        """Whether `fill` made this name; otherwise the program did."""
        return re.fullmatch(re.escape(self._stem(name)) + "-[0-9a-f]{7}", value) is not None

    def _stem(self, name: Name) -> str:
        stem = name.logical.lower() if self.lowercase else name.logical
        return stem[: self.limit - 8]


class UnsupportedError(Exception):
    """A request for something that this provider does not support."""


@dataclass(eq=False)
class IncompleteError(Exception):
    """A resource was made or changed only partly: the engine records its present outputs."""

    reason: str
    resource_id: str
    outputs: Properties

    def __str__(self) -> str:
        return self.reason


class ResourceKind(ABC, Generic[Connection]):
    """A type of resource: its properties, and how to create, read, update and delete one.

    The four methods get plain values (secrets revealed, nothing unknown) and return the outputs under Pulumi's property
    names; inputs need not be repeated, None means that the property is not set. They raise what their client raises.
    """

    type: ClassVar[str]
    inputs: ClassVar[Mapping[str, Property]]
    computed: ClassVar[frozenset[str]] = frozenset()  # outputs that only the cloud knows: unknown in a preview
    secrets: ClassVar[frozenset[str]] = frozenset()  # inputs and outputs that are always secret
    autoname: ClassVar[Autoname | None] = None
    delete_before_replace: ClassVar[bool] = False  # two of them cannot exist at the same time
    told_once: ClassVar[bool] = False  # only creating it returns some outputs: without a record it is useless

    def properties(self, connection: Connection) -> Mapping[str, Property]:
        """The inputs, whose effect may depend on the provider's configuration."""
        return self.inputs

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        """Yield (property, reason) for every failure beyond checks of single properties. Inputs may hold `UNKNOWN`."""
        return ()

    def complete(self, name: Name, inputs: Properties, old_inputs: Properties) -> Properties:
        """Add the inputs that the provider sets by itself. Inputs may hold `UNKNOWN` and `Secret`."""
        return self.autoname.fill(name, inputs, old_inputs) if self.autoname else inputs

    def stands_in_the_way(self, name: Name, old_inputs: Properties, inputs: Properties) -> bool:
        """Whether the old resource holds a name that its replacement needs: one that the program fixed."""
        if self.delete_before_replace or self.autoname is None:
            return self.delete_before_replace
        old, new = old_inputs.get(self.autoname.property), inputs.get(self.autoname.property)
        return old is not None and old == new and not self.autoname.made(name, old)

    def predict(self, connection: Connection, inputs: Properties) -> Properties:
        """Outputs known before the cloud is asked, for previews. Inputs may hold `UNKNOWN`; no network traffic."""
        return {}

    def outputs_changed_by(self, changed: frozenset[str]) -> frozenset[str]:
        """The computed outputs that get a new value when these inputs change."""
        return frozenset()

    @abstractmethod
    def candidates(self, connection: Connection, inputs: Properties) -> Iterable[str]:
        """Return the ids that a resource made from these inputs may have, to find one whose record was lost."""

    @abstractmethod
    def create(self, connection: Connection, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; return its id and outputs."""

    @abstractmethod
    def read(self, connection: Connection, resource_id: str, outputs: Properties) -> Properties | None:
        """The live outputs, or None if the resource is gone. `outputs` are the recorded ones, empty in an import.

        Properties that the cloud does not return are left out: they stay as recorded.
        """

    def update(self, connection: Connection, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        """Change the resource from its recorded outputs to the new inputs; return all its outputs.

        A kind without properties that change in place does not need this.
        """
        return outputs

    @abstractmethod
    def delete(self, connection: Connection, resource_id: str, outputs: Properties) -> None:
        """Delete the resource. One that is already gone may raise the provider's missing error."""


@dataclass(frozen=True, kw_only=True)
class Function(Generic[Connection]):
    """A data source: `call` gets plain arguments and returns the result under Pulumi's property names."""

    token: str
    arguments: Mapping[str, Property]
    call: Callable[[Connection, Properties], Properties]
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Provider(Generic[Connection]):
    """A package of kinds and functions, with the connection to their cloud.

    `connect` makes a connection from a configuration; it is called once per configuration, without network traffic.
    `is_missing` tells which of the client's errors mean that the resource does not exist (any more);
    `is_unanswered` which leave open whether a request was carried out, such as a lost connection.
    """

    name: str
    version: str
    connect: Callable[[Properties], Connection]
    kinds: Sequence[ResourceKind[Connection]]
    functions: Sequence[Function[Connection]] = ()
    configuration: Mapping[str, Property] = field(default_factory=dict)
    is_missing: Callable[[Exception], bool] = lambda error: False  # noqa: ARG005 (most errors are not about absence)
    is_unanswered: Callable[[Exception], bool] = lambda error: False  # noqa: ARG005 (most errors are answers)
