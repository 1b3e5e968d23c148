"""The way to the providers: gRPC clients for attached `ResourceProvider` servers, one for every provider resource.

A provider resource (`pulumi:providers:aws`) is itself a resource: creating it makes and configures a client here.
"""

import os
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.engine import urn as urns
from sandbox.engine.errors import StepError
from sandbox.engine.lifecycle import NO_DIFF, CheckFailure, Diff, Found, Lifecycle, PropertyDiff
from sandbox.engine.properties import diff_inputs, keep_secrets
from sandbox.engine.resource import ResourceState
from sandbox.engine.urn import ProviderReference
from sandbox.values import (
    UNKNOWN_SENTINEL,
    Properties,
    contains_unknown,
    from_struct,
    reveal,
    to_struct,
)

# Property values may be large (a published pipeline, a manifest); gRPC's own limit is 4 MiB.
MESSAGE_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# A server tells provider instances apart by their connections, so channels must not share one.
_CHANNEL_OPTIONS = [*MESSAGE_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
# Where the engine keeps notes among a provider resource's inputs; the provider never sees it.
INTERNAL_KEY = "__internal"
_PLUGIN_KEYS = frozenset({INTERNAL_KEY, "version", "pluginDownloadURL"})
_RANDOM_SEED_BYTES = 32

_T = TypeVar("_T")


class Provider:
    """One configured instance of a provider, which manages custom resources of its package."""

    def __init__(self, package: str, port: int) -> None:
        self.package = package
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_CHANNEL_OPTIONS)
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._address = f"127.0.0.1:{port}"
        self._accepts_secrets = False
        self._supports_preview = False
        self._configured = False

    def close(self) -> None:
        self._channel.close()

    def check_config(self, urn: str, old: Properties, new: Properties) -> tuple[Properties, list[CheckFailure]]:
        request = provider_pb2.CheckRequest(urn=urn, olds=to_struct(old), news=to_struct(new), **_name_and_type(urn))
        return _read_check(self._call(self._stub.CheckConfig, request))

    def diff_config(self, urn: str, old: ResourceState, new_inputs: Properties) -> Diff:
        request = provider_pb2.DiffRequest(
            urn=urn,
            id=old.id,
            olds=to_struct(_provider_inputs(old.outputs)),
            old_inputs=to_struct(_provider_inputs(old.inputs)),
            news=to_struct(_provider_inputs(new_inputs)),
            **_name_and_type(urn),
        )
        return _read_diff(self._call(self._stub.DiffConfig, request), old.inputs, new_inputs)

    def configure(self, reference: ProviderReference, inputs: Properties) -> None:
        """Hand over the provider's own settings. Until they are all known, as in a preview, it stays unconfigured."""
        settings = _provider_inputs(inputs)
        if contains_unknown(settings):
            return
        response = self._call(
            self._stub.Configure,
            provider_pb2.ConfigureRequest(
                args=to_struct(settings),
                variables={
                    f"{self.package}:config:{key}": value
                    for key, value in reveal(settings).items()
                    if isinstance(value, str)
                },
                acceptSecrets=True,
                sends_old_inputs=True,
                sends_old_inputs_to_delete=True,
                urn=reference.urn,
                id=reference.id,
                **_name_and_type(reference.urn),
            ),
        )
        self._accepts_secrets = response.acceptSecrets
        self._supports_preview = response.supportsPreview
        self._configured = True

    def check(self, urn: str, old_inputs: Properties, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        if not self._configured:
            return inputs, []
        request = provider_pb2.CheckRequest(
            urn=urn,
            olds=self._write(old_inputs),
            news=self._write(inputs),
            randomSeed=os.urandom(_RANDOM_SEED_BYTES),
            **_name_and_type(urn),
        )
        checked, failures = _read_check(self._call(self._stub.Check, request))
        return keep_secrets(checked, inputs), failures

    def diff(self, old: ResourceState, new: ResourceState) -> Diff:
        if not self._configured:  # its settings are unknown in this preview: an update is the honest guess
            return Diff(changed=True)
        request = provider_pb2.DiffRequest(
            urn=new.urn,
            id=old.id,
            olds=self._write(old.outputs),
            old_inputs=self._write(old.inputs),
            news=self._write(new.inputs),
            ignoreChanges=new.ignore_changes,
            **_name_and_type(new.urn),
        )
        return _read_diff(self._call(self._stub.Diff, request), old.inputs, new.inputs)

    def create(self, new: ResourceState, *, preview: bool) -> Found:
        if preview and not self._configured:
            return Found("", {})
        if preview and not self._supports_preview:
            return Found("", new.inputs)
        response, init_errors = self._make(
            self._stub.Create,
            provider_pb2.CreateRequest(
                urn=new.urn,
                properties=self._write(new.inputs),
                timeout=new.custom_timeouts.get("create", 0),
                preview=preview,
                **_name_and_type(new.urn),
            ),
        )
        if not response.id and not preview:
            raise StepError("the provider created it but did not say its id")
        return Found(response.id, self._read_outputs(response.properties, new), init_errors=init_errors)

    def update(self, old: ResourceState, new: ResourceState, *, preview: bool) -> Found:
        if preview and not self._configured:
            return Found(old.id, {})
        if preview and not self._supports_preview:
            return Found(old.id, new.inputs)
        response, init_errors = self._make(
            self._stub.Update,
            provider_pb2.UpdateRequest(
                urn=new.urn,
                id=old.id,
                olds=self._write(old.outputs),
                old_inputs=self._write(old.inputs),
                news=self._write(new.inputs),
                timeout=new.custom_timeouts.get("update", 0),
                ignoreChanges=new.ignore_changes,
                preview=preview,
                **_name_and_type(new.urn),
            ),
        )
        return Found(old.id, self._read_outputs(response.properties, new), init_errors=init_errors)

    def delete(self, old: ResourceState) -> None:
        self._call(
            self._stub.Delete,
            provider_pb2.DeleteRequest(
                urn=old.urn,
                id=old.id,
                properties=self._write(old.outputs),
                old_inputs=self._write(old.inputs),
                timeout=old.custom_timeouts.get("delete", 0),
                **_name_and_type(old.urn),
            ),
        )

    def read(self, state: ResourceState) -> Found | None:
        response, init_errors = self._make(
            self._stub.Read,
            provider_pb2.ReadRequest(
                urn=state.urn,
                id=state.id,
                properties=self._write(state.outputs),
                inputs=self._write(state.inputs),
                timeout=state.custom_timeouts.get("read", 0),
                **_name_and_type(state.urn),
            ),
        )
        if not response.id:
            return None
        inputs = keep_secrets(from_struct(response.inputs), state.inputs)
        outputs = keep_secrets(self._read_outputs(response.properties, state), state.outputs)
        return Found(response.id, outputs, inputs, init_errors)

    def invoke(self, token: str, args: Properties, *, preview: bool) -> tuple[Properties, list[CheckFailure]]:
        """Call one of the provider's functions, such as `aws:index/getRegion:getRegion`."""
        if not self._configured:
            return {}, []
        request = provider_pb2.InvokeRequest(tok=token, args=self._write(args), preview=preview)
        response = self._call(self._stub.Invoke, request)
        failures = [CheckFailure(failure.property, failure.reason) for failure in response.failures]
        return from_struct(getattr(response, "return")), failures

    def _write(self, properties: Properties) -> Any:
        return to_struct(properties if self._accepts_secrets else reveal(properties))

    def _read_outputs(self, struct: Any, state: ResourceState) -> Properties:
        """Read what the provider answered; what was secret going in stays so, even if the provider lost the mark."""
        outputs: Properties = keep_secrets(from_struct(struct), state.inputs)
        return outputs

    def _make(self, method: Callable[[Any], Any], request: Any) -> tuple[Any, tuple[str, ...]]:
        """Call a method that answers with a resource. One that exists, but not as it should, comes with the reasons."""
        try:
            return self._call(method, request), ()
        except StepError as error:
            failure = _init_failure(error.__cause__)
            if failure is None:
                raise
            return failure, tuple(failure.reasons) or (str(error),)

    def _call(self, method: Callable[[Any], _T], request: Any) -> _T:
        try:
            return method(request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise StepError(
                    f"the sandbox's {self.package} provider at {self._address} does not answer; "
                    "`python -m sandbox status` tells whether the sandbox runs"
                ) from error
            raise StepError(error.details() or str(error.code())) from error


class ProviderRegistry:
    """All provider instances of one operation. As a `Lifecycle` it manages the provider resources themselves."""

    def __init__(self, ports: Mapping[str, int], states: Iterable[ResourceState]) -> None:
        """`ports` maps package names to where their servers listen; `states` are the stack's resources so far."""
        self._ports = ports
        self._states = {ProviderReference(state.urn, state.id): state for state in states}
        self._providers: dict[ProviderReference, Provider] = {}
        self._lock = threading.Lock()

    def of(self, state: ResourceState) -> Lifecycle:
        """Who manages the resource."""
        return self if urns.is_provider(state.type) else self.get(ProviderReference.parse(state.provider))

    def get(self, reference: ProviderReference) -> Provider:
        """The instance of that name; one that the program did not register this time is brought up from the state."""
        with self._lock:
            return self._providers.get(reference) or self._start(reference, self.state(reference).inputs)

    def state(self, reference: ProviderReference) -> ResourceState:
        """A provider resource as the stack's state had it."""
        if reference not in self._states:
            raise StepError(f"its provider {urns.describe(reference.urn)} is not in the state")
        return self._states[reference]

    def check(self, urn: str, old_inputs: Properties, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        provider = self._connect(urn)
        try:
            checked, failures = provider.check_config(urn, _provider_inputs(old_inputs), _provider_inputs(inputs))
        finally:
            provider.close()
        return checked | {key: inputs[key] for key in sorted(_PLUGIN_KEYS & set(inputs))}, failures

    def diff(self, old: ResourceState, new: ResourceState) -> Diff:
        if old.inputs == new.inputs:
            return NO_DIFF
        provider = self._connect(new.urn)
        try:
            return provider.diff_config(new.urn, old, new.inputs)
        finally:
            provider.close()

    def create(self, new: ResourceState, *, preview: bool) -> Found:
        resource_id = UNKNOWN_SENTINEL if preview else str(uuid.uuid4())
        self.use(ProviderReference(new.urn, resource_id), new.inputs)
        return Found(resource_id, _provider_inputs(new.inputs))

    def update(self, old: ResourceState, new: ResourceState, *, preview: bool) -> Found:  # noqa: ARG002
        self.use(ProviderReference(new.urn, old.id), new.inputs)
        return Found(old.id, _provider_inputs(new.inputs))

    def delete(self, old: ResourceState) -> None:
        """A provider holds nothing in the cloud."""

    def read(self, state: ResourceState) -> Found:
        return Found(state.id, state.outputs, state.inputs)

    def use(self, reference: ProviderReference, inputs: Properties) -> None:
        """Have an instance with these settings ready, whether or not there was one."""
        with self._lock:
            self._start(reference, inputs)

    def close(self) -> None:
        for provider in self._providers.values():
            provider.close()

    def _start(self, reference: ProviderReference, inputs: Properties) -> Provider:
        provider = self._connect(reference.urn)
        provider.configure(reference, inputs)
        self._providers[reference] = provider
        return provider

    def _connect(self, urn: str) -> Provider:
        package = urns.package_of(urns.type_of(urn))
        if package not in self._ports:
            raise StepError(f"the sandbox has no provider {package!r}; it has {', '.join(sorted(self._ports))}")
        return Provider(package, self._ports[package])


def _name_and_type(urn: str) -> dict[str, Any]:
    return {"name": urns.name_of(urn), "type": urns.type_of(urn)}


def _provider_inputs(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != INTERNAL_KEY}


def _init_failure(error: BaseException | None) -> provider_pb2.ErrorResourceInitFailed | None:
    """The resource in an error that still tells of one, by gRPC's richer error model."""
    metadata: Iterable[tuple[str, Any]] = (error.trailing_metadata() or ()) if isinstance(error, grpc.Call) else ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                failure = provider_pb2.ErrorResourceInitFailed()
                if detail.Unpack(failure):
                    return failure
    return None


def _read_check(response: Any) -> tuple[Properties, list[CheckFailure]]:
    failures = [CheckFailure(failure.property, failure.reason) for failure in response.failures]
    return from_struct(response.inputs), failures


def _read_diff(response: Any, old_inputs: Properties, inputs: Properties) -> Diff:
    if response.changes == provider_pb2.DiffResponse.DIFF_UNKNOWN:
        detailed = diff_inputs(reveal(old_inputs), reveal(inputs))
        keys = dict.fromkeys(path.partition(".")[0].partition("[")[0] for path in detailed)
        return Diff(
            changed=bool(detailed or response.replaces),
            changed_keys=tuple(keys),
            replace_keys=tuple(response.replaces),
            delete_before_replace=response.deleteBeforeReplace,
            detailed=detailed,
        )
    return Diff(
        changed=response.changes == provider_pb2.DiffResponse.DIFF_SOME,
        changed_keys=tuple(response.diffs),
        replace_keys=tuple(response.replaces),
        delete_before_replace=response.deleteBeforeReplace,
        detailed={path: _read_property_diff(item) for path, item in sorted(response.detailedDiff.items())},
    )


def _read_property_diff(item: provider_pb2.PropertyDiff) -> PropertyDiff:
    return PropertyDiff(provider_pb2.PropertyDiff.Kind.Name(item.kind).lower().replace("_", "-"), item.inputDiff)
