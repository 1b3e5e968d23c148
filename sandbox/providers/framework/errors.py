"""Failures as gRPC errors: each says what was done to which resource, and why it failed."""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.providers.framework.kind import IncompleteError, UnsupportedError
from sandbox.providers.framework.outputs import conceal, present
from sandbox.values import Properties, PropertyValue, Secret, to_struct

logger = logging.getLogger(__name__)


@contextmanager
def explaining(
    context: grpc.ServicerContext, operation: str, inputs: Properties | None = None
) -> Generator[None, None, None]:
    """End the call with an error that says what was done to which resource and why it failed.

    A cloud may quote the inputs in its answer: secrets among them are masked.
    """
    try:
        yield
    except UnsupportedError as error:
        _abort(context, grpc.StatusCode.INVALID_ARGUMENT, f"{operation} failed: {error}")
    except IncompleteError as failure:
        reason = _masked(failure.reason, inputs)
        detail = provider_pb2.ErrorResourceInitFailed(
            id=failure.resource_id,
            properties=to_struct(conceal(present({**(inputs or {}), **failure.outputs}), frozenset(), like=inputs)),
            inputs=to_struct(inputs or {}),
            reasons=[reason],
        )
        _abort(context, grpc.StatusCode.UNKNOWN, f"{operation} failed halfway: {reason}", detail)
    except Exception as error:
        cause = _masked(_cause(error), inputs)
        logger.exception("%s failed", operation)
        _abort(context, grpc.StatusCode.FAILED_PRECONDITION, f"{operation} failed: {cause}")


def _abort(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    message: str,
    detail: provider_pb2.ErrorResourceInitFailed | None = None,
) -> NoReturn:
    if detail is not None:
        # gRPC's richer error model: https://grpc.io/docs/guides/error/#richer-error-model
        status = status_pb2.Status(code=code.value[0], message=message)
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)


def _cause(error: Exception) -> str:
    """A client's error speaks for itself; one of Python's own, such as KeyError, needs its name to be understood."""
    name = type(error).__name__
    return f"{name}: {error}" if type(error).__module__ == "builtins" else str(error) or name


def _masked(text: str, inputs: Properties | None) -> str:
    for secret in _secret_texts(inputs or {}):
        text = text.replace(secret, "[secret]")
    return text


def _secret_texts(value: PropertyValue) -> Iterator[str]:
    """The strings that are secret in a value, the longest first; very short ones would mask half of any sentence."""
    yield from sorted({text for text in _strings(value, hidden=False) if len(text) >= 4}, key=len, reverse=True)


def _strings(value: PropertyValue, *, hidden: bool) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _strings(value.value, hidden=True)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item, hidden=hidden)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, hidden=hidden)
    elif hidden and isinstance(value, str):
        yield value
