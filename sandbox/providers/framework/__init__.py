"""Pulumi providers as plain Python: `ResourceKind`s and `Function`s make a `Provider`; `serve` puts it on gRPC."""

from sandbox.providers.framework.intents import Intents
from sandbox.providers.framework.kind import (
    Autoname,
    Connection,
    Function,
    IncompleteError,
    Name,
    Property,
    Provider,
    ResourceKind,
    UnsupportedError,
)
from sandbox.providers.framework.servicer import serve

__all__ = [
    "Autoname",
    "Connection",
    "Function",
    "IncompleteError",
    "Intents",
    "Name",
    "Property",
    "Provider",
    "ResourceKind",
    "UnsupportedError",
    "serve",
]
