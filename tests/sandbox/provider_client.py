"""A minimal client of the provider protocol, in place of the Pulumi engine."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.values import Properties, from_struct, to_struct

PROVIDER = "urn:pulumi:sandbox::test::pulumi:providers:test::default"


class ProviderClient:
    """A client of the provider on a port, with its own connection, as the engine has."""

    def __init__(self, port: int, configuration: Properties | None = None) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
        self.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
        self.stub.GetPluginInfo(empty_pb2.Empty())
        self.stub.Configure(
            provider_pb2.ConfigureRequest(args=to_struct(configuration or {}), acceptSecrets=True, urn=PROVIDER)
        )

    def close(self) -> None:
        self._channel.close()

    def check(
        self, token: str, name: str, inputs: Properties, olds: Properties | None = None, seed: bytes = b"seed"
    ) -> tuple[Properties, dict[str, str]]:
        """The checked inputs, and the failures by property."""
        response = self.stub.Check(
            provider_pb2.CheckRequest(
                **_target(token, name), news=to_struct(inputs), olds=to_struct(olds or {}), randomSeed=seed
            )
        )
        return from_struct(response.inputs), {failure.property: failure.reason for failure in response.failures}

    def diff(
        self,
        token: str,
        name: str,
        old_inputs: Properties,
        inputs: Properties,
        *,
        outputs: Properties | None = None,
        ignore: Iterable[str] = (),
    ) -> provider_pb2.DiffResponse:
        response: provider_pb2.DiffResponse = self.stub.Diff(
            provider_pb2.DiffRequest(
                **_target(token, name),
                id="id",
                old_inputs=to_struct(old_inputs),
                news=to_struct(inputs),
                olds=to_struct(old_inputs if outputs is None else outputs),
                ignoreChanges=list(ignore),
            )
        )
        return response

    def create(self, token: str, name: str, inputs: Properties, *, preview: bool = False) -> tuple[str, Properties]:
        response = self.stub.Create(
            provider_pb2.CreateRequest(**_target(token, name), properties=to_struct(inputs), preview=preview)
        )
        return response.id, from_struct(response.properties)

    def read(
        self, token: str, name: str, resource_id: str, outputs: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """The id (empty if the resource is gone), the live outputs and the live inputs."""
        response = self.stub.Read(
            provider_pb2.ReadRequest(
                **_target(token, name), id=resource_id, properties=to_struct(outputs), inputs=to_struct(inputs)
            )
        )
        return response.id, from_struct(response.properties), from_struct(response.inputs)

    def update(
        self,
        token: str,
        name: str,
        resource_id: str,
        *,
        outputs: Properties,
        old_inputs: Properties,
        inputs: Properties,
        preview: bool = False,
    ) -> Properties:
        response = self.stub.Update(
            provider_pb2.UpdateRequest(
                **_target(token, name),
                id=resource_id,
                olds=to_struct(outputs),
                old_inputs=to_struct(old_inputs),
                news=to_struct(inputs),
                preview=preview,
            )
        )
        return from_struct(response.properties)

    def delete(self, token: str, name: str, resource_id: str, outputs: Properties) -> None:
        self.stub.Delete(
            provider_pb2.DeleteRequest(**_target(token, name), id=resource_id, properties=to_struct(outputs))
        )

    def invoke(self, token: str, arguments: Properties | None = None) -> tuple[Properties, dict[str, str]]:
        """The result, and the failures by argument."""
        response = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=to_struct(arguments or {})))
        failures = {failure.property: failure.reason for failure in response.failures}
        return from_struct(getattr(response, "return")), failures


def details(response: provider_pb2.DiffResponse) -> dict[str, str]:
    """A diff's paths, each with the name of its kind."""
    return {
        path: provider_pb2.PropertyDiff.Kind.Name(diff.kind) for path, diff in sorted(response.detailedDiff.items())
    }


def _target(token: str, name: str) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:test::project::{token}::{name}", "type": token, "name": name}
