"""Uniform resource names: how Pulumi names a resource by its place in the program.

The form is `urn:pulumi:STACK::PROJECT::PARENT_TYPES$TYPE::NAME`, where the types of all parents but the stack come
first: https://www.pulumi.com/docs/iac/concepts/resources/names/#urns
"""

from typing import NamedTuple

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_TYPE_PREFIX = "pulumi:providers:"


class ProviderReference(NamedTuple):
    """Which instance of a provider manages a resource: written `URN::ID` in requests and in the state."""

    urn: str
    id: str

    def __str__(self) -> str:
        return f"{self.urn}::{self.id}"

    @classmethod
    def parse(cls, text: str) -> "ProviderReference":
        urn, _, resource_id = text.rpartition("::")
        return cls(urn, resource_id)


def make(*, stack: str, project: str, parent: str, resource_type: str, name: str) -> str:
    """Name a resource. `parent` is the parent's URN, or empty."""
    parent_types = qualified_type(parent) if parent else STACK_TYPE
    types = resource_type if parent_types == STACK_TYPE else f"{parent_types}${resource_type}"
    return f"urn:pulumi:{stack}::{project}::{types}::{name}"


def qualified_type(urn: str) -> str:
    """The types of the resource and of its parents, joined by `$`."""
    return urn.split("::")[2]


def type_of(urn: str) -> str:
    return qualified_type(urn).rpartition("$")[2]


def name_of(urn: str) -> str:
    return urn.split("::", 3)[3]


def describe(urn: str) -> str:
    """The resource as a person would name it: type and name."""
    return f"{type_of(urn)} {name_of(urn)!r}"


def package_of(resource_type: str) -> str:
    """The provider package that manages a type: `aws` for `aws:ecr/repository:Repository` and for its own provider."""
    if resource_type.startswith(PROVIDER_TYPE_PREFIX):
        return resource_type.removeprefix(PROVIDER_TYPE_PREFIX)
    return resource_type.partition(":")[0]


def is_provider(resource_type: str) -> bool:
    return resource_type.startswith(PROVIDER_TYPE_PREFIX)


def is_default_provider(urn: str) -> bool:
    return is_provider(type_of(urn)) and name_of(urn).startswith("default")
