# ruff: noqa: N802, ARG002 (method names and signatures are the protocol's)
"""Pulumi's provider protocol over a `Provider`: what the pulumi CLI talks to.

The protocol: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/provider.proto
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.providers.framework.check import Failure, checked_inputs, failures_in, suggestion, with_defaults
from sandbox.providers.framework.diff import changes, refreshed, to_response
from sandbox.providers.framework.errors import completing, explaining
from sandbox.providers.framework.intents import Intents
from sandbox.providers.framework.kind import Connection, Name, Provider, ResourceKind, UnsupportedError
from sandbox.providers.framework.outputs import conceal, merged, predicted, predicted_update, present
from sandbox.values import Properties, contains_unknown, from_struct, reveal, to_struct

# The engine's own limit; a generated pipeline or a chart's values are larger than gRPC's default of 4 MiB.
_MESSAGE_BYTES = 400 * 1024 * 1024
# Inputs of a provider that the engine and the language SDKs add for themselves.
_RESERVED_CONFIGURATION = frozenset({"version", "pluginDownloadURL", "__internal", "__defaults"})


def serve(provider: Provider[Any], port: int = 0, intents: Intents | None = None) -> tuple[grpc.Server, int]:
    """Start serving on loopback; return the running server and its port (a free one for port 0).

    `intents` keeps what is being created. Raises RuntimeError if the port is taken.
    """
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=32, thread_name_prefix=provider.name), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProviderServicer(provider, intents), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


class ProviderServicer(provider_pb2_grpc.ResourceProviderServicer, Generic[Connection]):
    """The protocol's methods. Unused ones answer UNIMPLEMENTED, by inheritance.

    One server may be attached to several provider resources (a default one and explicit ones), each over its own
    client connection: a configuration is valid for its connection.
    """

    def __init__(self, provider: Provider[Connection], intents: Intents | None = None) -> None:
        self._provider = provider
        self._intents = intents
        self._kinds = {kind.type: kind for kind in provider.kinds}
        self._functions = {function.token: function for function in provider.functions}
        self._lock = Lock()
        self._configured: dict[str, Connection] = {}  # by configuration: equal ones share their clients
        self._connections: dict[str, Connection] = {}  # by client address
        self._urns: dict[str, str] = {}  # of the provider resources, by client address
        self._latest: Connection | None = None

    # The provider itself

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """The names of types and functions only: programs use the SDKs of the real providers."""
        schema = {
            "name": self._provider.name,
            "version": self._provider.version,
            "resources": {token: {} for token in self._kinds},
            "functions": {token: {} for token in self._functions},
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        given = from_struct(request.news)
        known = {key: value for key, value in given.items() if key not in _RESERVED_CONFIGURATION}
        failures = failures_in(
            known, self._provider.configuration, f"the {self._provider.name} provider's configuration"
        )
        return _check_response(with_defaults(given, self._provider.configuration), list(failures))

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        found = changes(
            _configuration(from_struct(request.old_inputs)),
            _configuration(from_struct(request.news)),
            self._provider.configuration,
            request.ignoreChanges,
        )
        return to_response(found, delete_before_replace=False)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        with explaining(context, f"configuring the {self._provider.name} provider"):
            configuration = _configuration(from_struct(request.args))
            key = json.dumps(configuration, sort_keys=True)
            with self._lock:
                if key not in self._configured:
                    self._configured[key] = self._provider.connect(configuration)
                self._latest = self._connections[context.peer()] = self._configured[key]
                self._urns[context.peer()] = request.urn
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    # Functions

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        with explaining(context, f"calling {request.tok}"):
            function = self._functions.get(request.tok)
            if function is None:
                raise self._unsupported("function", request.tok, self._functions)
            arguments = from_struct(request.args)
            wrong = list(failures_in(arguments, function.arguments, function.token))
            if wrong:
                return provider_pb2.InvokeResponse(failures=_failures(wrong))
            if contains_unknown(arguments):
                return provider_pb2.InvokeResponse()
            result = function.call(self._connection(context), present(reveal(arguments)))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(conceal(present(result), function.secrets)))
            return response

    # Resources

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        with explaining(context, _about("checking", request)):
            inputs, failures = checked_inputs(
                self._kind(request), _name_of(request), from_struct(request.news), from_struct(request.olds)
            )
            return _check_response(inputs, failures)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        with explaining(context, _about("comparing", request)):
            kind = self._kind(request)
            old, new = reveal(from_struct(request.old_inputs)), reveal(from_struct(request.news))
            found = changes(old, new, kind.properties(self._connection(context)), request.ignoreChanges)
            return to_response(found, delete_before_replace=kind.stands_in_the_way(_name_of(request), old, new))

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        inputs = from_struct(request.properties)
        with explaining(context, _about("creating", request), inputs):
            kind, connection = self._kind(request), self._connection(context)
            if request.preview:
                return provider_pb2.CreateResponse(properties=to_struct(predicted(kind, connection, inputs)))
            with self._noted(request, context, inputs), completing(kind, inputs):
                resource_id, outputs = kind.create(connection, present(reveal(inputs)))
            return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(merged(kind, inputs, outputs)))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        inputs, recorded = from_struct(request.inputs), from_struct(request.properties)
        with explaining(context, _about("reading", request), inputs, recorded):
            kind = self._kind(request)
            plain = reveal(recorded)
            try:
                live = kind.read(self._connection(context), request.id, plain)
            except Exception as error:
                if not self._provider.is_missing(error):
                    raise
                live = None
            if live is None:
                return provider_pb2.ReadResponse()
            live_inputs = refreshed(reveal(inputs), plain, {**plain, **live}, kind.inputs)
            return provider_pb2.ReadResponse(
                id=request.id,
                properties=to_struct(conceal(present({**plain, **live}), kind.secrets, like=recorded)),
                inputs=to_struct(conceal(live_inputs, kind.secrets, like=inputs)),
            )

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        inputs, old_inputs, outputs = map(from_struct, (request.news, request.old_inputs, request.olds))
        with explaining(context, _about("updating", request), inputs, old_inputs, outputs):
            kind, connection = self._kind(request), self._connection(context)
            if request.preview:
                expected = predicted_update(kind, connection, old_inputs, outputs, inputs, request.ignoreChanges)
                return provider_pb2.UpdateResponse(properties=to_struct(expected))
            with completing(kind, inputs):
                updated = kind.update(connection, request.id, reveal(outputs), present(reveal(inputs)))
            return provider_pb2.UpdateResponse(properties=to_struct(merged(kind, inputs, updated)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        outputs = from_struct(request.properties)
        with explaining(context, _about("deleting", request), outputs):
            try:
                self._kind(request).delete(self._connection(context), request.id, reveal(outputs))
            except Exception as error:
                if not self._provider.is_missing(error):
                    raise
            return empty_pb2.Empty()

    @contextmanager
    def _noted(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext, inputs: Properties
    ) -> Iterator[None]:
        """Keep a note of the resource from before it is created until the engine has the answer."""
        provider = self._urns.get(context.peer()) or next(reversed(self._urns.values()), "")  # as `_connection`
        if self._intents is None or not provider:
            yield
            return
        remove = self._intents.note(urn=request.urn, type_=_type(request), provider=provider, inputs=inputs)
        try:
            yield
        except Exception as error:
            if not self._provider.is_unanswered(error):
                context.add_callback(remove)
            raise
        context.add_callback(remove)  # does nothing if the call has ended without this answer: the note stays

    def _kind(self, request: Any) -> ResourceKind[Connection]:
        token = _type(request)
        if token not in self._kinds:
            raise self._unsupported("resource type", token, self._kinds)
        return self._kinds[token]

    def _unsupported(self, what: str, token: str, known: Iterable[str]) -> UnsupportedError:
        return UnsupportedError(
            f"The sandbox's {self._provider.name} provider has no {what} {token}{suggestion(token, known)}."
        )

    def _connection(self, context: grpc.ServicerContext) -> Connection:
        """The configuration of this client connection; the latest one for a client that has connected anew."""
        connection = self._connections.get(context.peer(), self._latest)
        if connection is None:
            raise UnsupportedError(f"The {self._provider.name} provider was not configured before its first use.")
        return connection


def _configuration(inputs: Properties) -> Properties:
    known = {key: value for key, value in inputs.items() if key not in _RESERVED_CONFIGURATION}
    configuration: Properties = present(reveal(known))
    return configuration


def _about(verb: str, request: Any) -> str:
    return f"{verb} {_type(request)} '{_name(request)}'"


def _name_of(request: Any) -> Name:
    return Name(_name(request), request.urn, getattr(request, "randomSeed", b""))


def _type(request: Any) -> str:
    return str(request.type or request.urn.split("::")[2].split("$")[-1])


def _name(request: Any) -> str:
    return str(request.name or request.urn.split("::", 3)[-1])


def _check_response(inputs: Properties, failures: list[Failure]) -> provider_pb2.CheckResponse:
    return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(failures))


def _failures(failures: list[Failure]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=path, reason=reason) for path, reason in failures]
