"""Resource hooks: the program's own functions, which the engine calls before it deletes a resource.

The program registers a function by name and serves it; a resource's state holds the names. So the hook of a resource
that the program no longer has can still run, as long as the program registers it.
Source: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/callback.proto
"""

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from sandbox.engine.errors import EngineError, StepError
from sandbox.engine.resource import BEFORE_DELETE, ResourceState
from sandbox.values import to_struct


@dataclass(frozen=True)
class _Hook:
    target: str
    token: str


class Hooks:
    """The hooks that the running program has registered."""

    def __init__(self) -> None:
        self._hooks: dict[str, _Hook] = {}

    def register(self, request: resource_pb2.RegisterResourceHookRequest) -> None:
        """Remember where to call a hook. Raises EngineError for one that the engine would not call as it asks."""
        if request.name in self._hooks:
            raise EngineError(f"the program registers the resource hook {request.name!r} twice")
        if request.on_dry_run or request.ignore_errors:
            raise EngineError(f"the sandbox's engine does not support options of resource hooks ({request.name!r})")
        self._hooks[request.name] = _Hook(request.callback.target, request.callback.token)

    def before_delete(self, state: ResourceState) -> None:
        """Run the resource's hooks, however long they take. Raises StepError with what the first failure says."""
        for name in state.resource_hooks.get(BEFORE_DELETE, ()):
            if name not in self._hooks:
                raise StepError(f'hook "{name}" was not registered')
            said = _call(self._hooks[name], state)
            if said:
                raise StepError(f'before hook "{name}" failed: {said}')


def _call(hook: _Hook, state: ResourceState) -> str:
    request = resource_pb2.ResourceHookRequest(
        urn=state.urn,
        id=state.id,
        name=state.urn.rpartition("::")[2],
        type=state.type,
        old_inputs=to_struct(state.inputs),
        old_outputs=to_struct(state.outputs),
    )
    with grpc.insecure_channel(hook.target) as channel:
        stub = callback_pb2_grpc.CallbacksStub(channel)
        try:
            answer = stub.Invoke(
                callback_pb2.CallbackInvokeRequest(token=hook.token, request=request.SerializeToString())
            )
        except grpc.RpcError as error:
            return f"the program does not answer: {error.details()}"
    return resource_pb2.ResourceHookResponse.FromString(answer.response).error


def read_binding(request: resource_pb2.RegisterResourceRequest) -> Mapping[str, tuple[str, ...]]:
    """The names of a registration's hooks. Raises EngineError for hooks at moments other than before a deletion."""
    others = [field.name for field, _ in request.hooks.ListFields() if field.name != "before_delete"]
    if others:
        raise EngineError(f"the sandbox's engine does not support resource hooks {', '.join(others)}")
    names = tuple(request.hooks.before_delete)
    return {BEFORE_DELETE: names} if names else {}
