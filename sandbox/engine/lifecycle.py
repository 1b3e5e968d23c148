"""What the engine asks of whoever manages a custom resource: Pulumi's provider protocol as Python data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.engine.resource import ResourceState
from sandbox.values import Properties


@dataclass(frozen=True)
class CheckFailure:
    """An input that the provider refuses. `property` may be empty when the reason concerns them all."""

    property: str
    reason: str

    def __str__(self) -> str:
        return f"{self.property}: {self.reason}" if self.property else self.reason


@dataclass(frozen=True)
class PropertyDiff:
    """How one property differs. `kind` is Pulumi's word: add, delete or update, each also with `-replace`."""

    kind: str
    input_diff: bool = False


@dataclass(frozen=True)
class Diff:
    """Whether and how a resource differs from what the program wants.

    `detailed` maps property paths, or is None when the provider gave only property names.
    """

    changed: bool
    changed_keys: tuple[str, ...] = ()
    replace_keys: tuple[str, ...] = ()
    delete_before_replace: bool = False
    detailed: Mapping[str, PropertyDiff] | None = None

    @property
    def replaces(self) -> bool:
        return bool(self.replace_keys)


NO_DIFF = Diff(changed=False)


@dataclass(frozen=True)
class Found:
    """What a resource is like in the cloud. `init_errors` are the reasons why it is not as it should be, if it isn't.

    `inputs` is what a program would have to say to get it; only a read tells.
    """

    id: str
    outputs: Properties
    inputs: Properties = field(default_factory=dict)
    init_errors: tuple[str, ...] = ()


class Lifecycle(Protocol):
    """Manages resources of one package. Every method raises StepError with the cause when the cloud refuses."""

    def check(self, urn: str, old_inputs: Properties, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """Validate the inputs and fill in defaults, such as generated names."""

    def diff(self, old: ResourceState, new: ResourceState) -> Diff:
        """Compare an existing resource with what the program wants; an alias may give the two different names."""

    def create(self, new: ResourceState, *, preview: bool) -> Found:
        """Make the resource. In a preview the id is empty and outputs may be unknown."""

    def update(self, old: ResourceState, new: ResourceState, *, preview: bool) -> Found:
        """Change the resource in place."""

    def delete(self, old: ResourceState) -> None:
        """Remove the resource; one that is gone already is a success."""

    def read(self, state: ResourceState) -> Found | None:
        """Look the resource up, or None when it is gone."""
