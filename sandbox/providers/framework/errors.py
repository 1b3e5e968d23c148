"""Failures as gRPC errors: each says what was done to which resource, and why it failed."""

import logging
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.providers.framework.kind import IncompleteError, ResourceKind, UnsupportedError
from sandbox.providers.framework.outputs import merged
from sandbox.values import Properties, PropertyValue, Secret, to_struct

logger = logging.getLogger(__name__)


@contextmanager
def explaining(context: grpc.ServicerContext, operation: str, *involved: Properties) -> Generator[None, None, None]:
    """End the call with an error that says what was done to which resource and why it failed.

    A cloud may quote what it was given: the secrets among the `involved` properties are masked, also in the log.
    """
    try:
        yield
    except UnsupportedError as error:
        _abort(context, grpc.StatusCode.INVALID_ARGUMENT, f"{operation} failed: {error}")
    except IncompleteError as failure:
        reason = _masked(failure.reason, involved)
        detail = provider_pb2.ErrorResourceInitFailed(
            id=failure.resource_id,
            properties=to_struct(failure.outputs),
            inputs=to_struct(involved[0]),
            reasons=[reason],
        )
        _abort(context, grpc.StatusCode.UNKNOWN, f"{operation} failed halfway: {reason}", detail)
    except Exception as error:
        cause = _masked(_cause(error), involved)
        logger.error("%s failed: %s", operation, cause)
        if _is_pythons(error):  # a mistake in a kind, rather than a cloud's refusal
            logger.error(_masked("".join(traceback.format_exception(error)), involved))
        _abort(context, grpc.StatusCode.FAILED_PRECONDITION, f"{operation} failed: {cause}")


@contextmanager
def completing(kind: ResourceKind[Any], inputs: Properties) -> Generator[None, None, None]:
    """Let what is half made be recorded like what is whole: with its inputs, its secrets marked."""
    try:
        yield
    except IncompleteError as failure:
        failure.outputs = merged(kind, inputs, failure.outputs)
        raise


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
    return f"{name}: {error}" if _is_pythons(error) else str(error) or name


def _is_pythons(error: Exception) -> bool:
    return type(error).__module__ == "builtins"


def _masked(text: str, involved: Sequence[Properties]) -> str:
    for secret in _secret_texts(list(involved)):
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
