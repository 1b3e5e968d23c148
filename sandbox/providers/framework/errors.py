"""Failures as gRPC errors: each names the operation, the resource and the cause."""

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
    """End the call with an error that names the operation, the resource and the cause.

    A cloud may quote its input: secrets in the `involved` properties are masked, in the log as well.
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
        if _is_pythons(error):  # a bug in a kind, not a cloud's refusal
            logger.error(_masked("".join(traceback.format_exception(error)), involved))
        _abort(context, grpc.StatusCode.FAILED_PRECONDITION, f"{operation} failed: {cause}")


@contextmanager
def completing(kind: ResourceKind[Any], inputs: Properties) -> Generator[None, None, None]:
    """Complete the outputs of a partial failure with inputs and secrets, as those of a success."""
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
    """A client's message, or the name and message of an error of Python's own, such as KeyError."""
    name = type(error).__name__
    return f"{name}: {error}" if _is_pythons(error) else str(error) or name


def _is_pythons(error: Exception) -> bool:
    return type(error).__module__ == "builtins"


def _masked(text: str, involved: Sequence[Properties]) -> str:
    for secret in _secret_texts(list(involved)):
        text = text.replace(secret, "[secret]")
    return text


def _secret_texts(value: PropertyValue) -> Iterator[str]:
    """The secret strings in a value, the longest first, without very short ones: those would mask parts of any text."""
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
