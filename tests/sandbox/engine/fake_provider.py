# ruff: noqa: N802 (method names are the protocol's)
"""A provider that keeps objects in memory, records its calls, and fails, dawdles or forgets on demand."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.values import Properties, from_struct, reveal, to_struct

PropertyDiff = provider_pb2.PropertyDiff
_NONE, _SOME = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME


class FakeProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Manages any type. Changes of `name`, `place` and `force*` replace; those of `place` delete the old one first."""

    def __init__(self) -> None:
        self.objects: dict[str, Properties] = {}
        self.calls: list[tuple[str, str]] = []
        self.configurations: list[Properties] = []
        self.failing: dict[tuple[str, str], str] = {}
        self.halfway: dict[tuple[str, str], str] = {}  # what is done, but not as it should be, and why
        self.seconds: dict[tuple[str, str], float] = {}
        self.on_call: Callable[[str, str], object] = lambda method, name: None
        self.busiest = 0
        self._busy = 0
        self._serial = 0
        self._lock = threading.Lock()

    def serve(self) -> tuple[grpc.Server, int]:
        server = grpc.server(ThreadPoolExecutor(32))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server, port

    def called(self, method: str) -> list[str]:
        """The names of the resources that a method was called for, in order."""
        return [name for called, name in self.calls if called == method]

    def _enter(self, method: str, name: str, context: grpc.ServicerContext) -> None:
        with self._lock:
            self.calls.append((method, name))
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            self.on_call(method, name)
            time.sleep(self.seconds.get((method, name), 0))
        finally:
            with self._lock:
                self._busy -= 1
        if (method, name) in self.failing:
            context.abort(grpc.StatusCode.UNKNOWN, self.failing[method, name])

    def _fail_halfway(
        self, method: str, request: Any, identity: str, outputs: Properties, context: grpc.ServicerContext
    ) -> None:
        """Report a resource that exists, but is not as it should be, if a test wants that."""
        reason = self.halfway.get((method, request.name))
        if reason is None:
            return
        failure = provider_pb2.ErrorResourceInitFailed(id=identity, properties=to_struct(outputs), reasons=[reason])
        if method == "read":
            failure.inputs.CopyFrom(to_struct({key: value for key, value in outputs.items() if key != "arn"}))
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message="failed halfway")
        status.details.add().Pack(failure)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, "failed halfway")

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version="1.2.3")

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        changed = from_struct(request.old_inputs) != from_struct(request.news)
        return provider_pb2.DiffResponse(changes=_SOME if changed else _NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.configurations.append(from_struct(request.args))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("check", request.name, context)
        olds, news = from_struct(request.olds), from_struct(request.news)
        if reveal(news).get("size") == "wrong":
            failure = provider_pb2.CheckFailure(property="size", reason="must be a number")
            return provider_pb2.CheckResponse(failures=[failure])
        if "name" not in news:
            news["name"] = olds.get("name") or f"{request.name}-{request.randomSeed.hex()[:7]}"
        return provider_pb2.CheckResponse(inputs=to_struct(news))

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("diff", request.name, context)
        old, new = reveal(from_struct(request.old_inputs)), reveal(from_struct(request.news))
        changed = [
            key
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key) and key not in request.ignoreChanges
        ]  # fmt: skip
        replaces = [key for key in changed if key in ("name", "place") or key.startswith("force")]
        detailed = {}
        for key in changed:
            kind = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            kind += "_REPLACE" if key in replaces else ""
            detailed[key] = PropertyDiff(kind=PropertyDiff.Kind.Value(kind), inputDiff=True)
        return provider_pb2.DiffResponse(
            changes=_SOME if changed else _NONE,
            diffs=changed,
            replaces=replaces,
            deleteBeforeReplace="place" in replaces,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        self._enter("create", request.name, context)
        inputs = from_struct(request.properties)
        with self._lock:
            self._serial += 1
            identity = f"{request.name}-id{self._serial}"
            outputs = {**inputs, "arn": f"arn:{identity}"}
            self.objects[identity] = reveal(outputs)
        self._fail_halfway("create", request, identity, outputs, context)
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(outputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        outputs = from_struct(request.olds) | from_struct(request.news)
        if not request.preview:
            self._enter("update", request.name, context)
            with self._lock:
                self.objects[request.id] = reveal(outputs)
            self._fail_halfway("update", request, request.id, outputs, context)
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("read", request.name, context)
        found = self.objects.get(request.id)
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = {key: value for key, value in found.items() if key != "arn"}
        self._fail_halfway("read", request, request.id, found, context)
        return provider_pb2.ReadResponse(id=request.id, properties=to_struct(found), inputs=to_struct(inputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("delete", request.name, context)
        with self._lock:
            self.objects.pop(request.id, None)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("invoke", request.tok, context)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct({"answer": 42, "asked": from_struct(request.args)}))
        return response
