# ruff: noqa: N802, ARG002 (method names and signatures are the protocol's)
"""What the program talks to: the `ResourceMonitor` and `Engine` services of Pulumi's protocol.

They turn requests into goals for the deployment, and refuse by name what the sandbox does not support:
https://github.com/pulumi/pulumi/blob/master/proto/pulumi/resource.proto
"""

import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from sandbox.engine import urn as urns
from sandbox.engine.config import Project, StackConfig
from sandbox.engine.deployment import Deployment, Goal, Observer, Result
from sandbox.engine.errors import CancelledError, EngineError, StepError
from sandbox.engine.hooks import read_binding
from sandbox.engine.providers import INTERNAL_KEY, MESSAGE_OPTIONS, Provider
from sandbox.engine.resource import ResourceState
from sandbox.engine.urn import ProviderReference
from sandbox.values import from_struct, to_struct

# Registrations wait inside their calls: the SDK may have four times as many under way as there are parallel steps.
_WORKERS = 64

# Features of the protocol, by the names that SDKs ask for. For what is missing the SDK itself fails by name, except
# that without alias specs it works out the aliases' URNs, and without resource references it sends ids.
_FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
}

# Fields of a registration that ask for what this engine does not do.
_UNSUPPORTED_FIELDS = {
    "importId": "the option `import_`",
    "remote": "remote (multi-language) components",
    "deletedWith": "the option `deleted_with`",
    "replace_with": "the option `replace_with`",
    "replacement_trigger": "the option `replacement_trigger`",
    "transforms": "transforms",
    "packageRef": "parameterized packages",
    "envVarMappings": "the option `env_var_mappings`",
    "state_migrations": "state migrations",
    "aliases": "alias specifications",
}

_RESULTS = {
    Result.DONE: resource_pb2.SUCCESS,
    Result.FAILED: resource_pb2.FAIL,
    Result.SKIPPED: resource_pb2.FAIL,
}
_SEVERITIES = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Hears what the program wants."""

    def __init__(self, deployment: Deployment, project: Project, stack: str, config: StackConfig) -> None:
        self._deployment = deployment
        self._project = project
        self._stack = stack
        self._config = config
        self._default_providers: dict[tuple[str, str, str], ProviderReference] = {}
        self._default_providers_lock = threading.Lock()
        self.program_done = threading.Event()
        self._shutdown = threading.Event()

    def release_program(self) -> None:
        """Let a program go that is done: none of its hooks is needed any more."""
        self._shutdown.set()

    def GetDeploymentInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:
        return resource_pb2.DeploymentInfo(supportedFeatures=list(_FEATURES.values()))

    def SupportsFeature(
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def RegisterResource(
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        with self._answering(context):
            urn = self._urn(request)
            try:
                result, state = self._deployment.register(self._goal(urn, request))
            except CancelledError:
                raise
            except EngineError as error:
                resource = ResourceState(urn=urn, type=request.type, custom=request.custom, parent=request.parent)
                self._deployment.fail(resource, str(error))
                return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.FAIL)
            return resource_pb2.RegisterResourceResponse(
                urn=state.urn, id=state.id, object=to_struct(state.outputs), result=_RESULTS[result]
            )

    def RegisterResourceOutputs(
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        with self._answering(context):
            self._deployment.set_outputs(request.urn, from_struct(request.outputs))
        return empty_pb2.Empty()

    def ReadResource(
        self, request: resource_pb2.ReadResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ReadResourceResponse:
        with self._answering(context):
            urn = self._urn(request)
            wanted = ResourceState(
                urn=urn,
                type=request.type,
                custom=True,
                external=True,
                id=request.id,
                inputs=from_struct(request.properties),
                parent=request.parent,
                provider=str(self._provider(request, urns.package_of(request.type))),
                dependencies=tuple(sorted(request.dependencies)),
                additional_secret_outputs=tuple(request.additionalSecretOutputs),
                source_position=self._position(request.sourcePosition),
            )
            try:
                state = self._deployment.read(wanted)
            except StepError as error:
                raise StepError(f"{urns.describe(urn)}: {error}") from error
            return resource_pb2.ReadResourceResponse(urn=urn, properties=to_struct(state.outputs or state.inputs))

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest, context: grpc.ServicerContext) -> Any:
        with self._answering(context):
            self._deployment.check_running()
            try:
                provider = self._invoked(request)
                args = from_struct(request.args)
                result, failures = provider.invoke(request.tok, args, preview=self._deployment.preview)
            except StepError as error:
                raise StepError(f"{request.tok}: {error}") from error
            if failures:
                raise StepError(f"{request.tok}: {'; '.join(str(failure) for failure in failures)}")
            response = resource_pb2.ResourceInvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(result))
            return response

    def Call(self, request: resource_pb2.ResourceCallRequest, context: grpc.ServicerContext) -> Any:
        with self._answering(context):
            raise EngineError(f"{request.tok}: the sandbox's engine does not support methods of resources (Call).")

    def RegisterPackage(self, request: resource_pb2.RegisterPackageRequest, context: grpc.ServicerContext) -> Any:
        with self._answering(context):
            raise EngineError(f"{request.name}: the sandbox's engine does not support parameterized packages.")

    def SignalAndWaitForShutdown(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The program is done, but stays to answer hooks until the deletions are over."""
        self.program_done.set()
        self._shutdown.wait()
        return empty_pb2.Empty()

    def RegisterResourceHook(
        self, request: resource_pb2.RegisterResourceHookRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        with self._answering(context):
            self._deployment.hooks.register(request)
        return empty_pb2.Empty()

    def _urn(self, request: Any) -> str:
        return urns.make(
            stack=self._stack,
            project=self._project.name,
            parent=request.parent,
            resource_type=request.type,
            name=request.name,
        )

    def _goal(self, urn: str, request: resource_pb2.RegisterResourceRequest) -> Goal:
        for field, what in _UNSUPPORTED_FIELDS.items():
            if _is_set(request, field):
                raise EngineError(f"the sandbox's engine does not support {what}")
        inputs = from_struct(request.object)
        provider = ""
        if urns.is_provider(request.type):
            inputs = _with_plugin(inputs, request.version, request.pluginDownloadURL)
        elif request.custom:
            provider = str(self._provider(request, urns.package_of(request.type)))
        state = ResourceState(
            urn=urn,
            type=request.type,
            custom=request.custom,
            inputs=inputs,
            parent=request.parent,
            protect=request.protect,
            provider=provider,
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                key: tuple(sorted(value.urns)) for key, value in sorted(request.propertyDependencies.items())
            },
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            custom_timeouts=_timeouts(request.customTimeouts),
            retain_on_delete=request.retainOnDelete,
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            resource_hooks=read_binding(request),
            source_position=self._position(request.sourcePosition),
        )
        return Goal(
            state=state,
            aliases=tuple(request.aliasURNs),
            delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        )

    def _provider(self, request: Any, package: str) -> ProviderReference:
        """The provider that the program chose, or the package's default one; without an id if that one failed."""
        if request.provider:
            return ProviderReference.parse(request.provider)
        key = package, request.version, request.pluginDownloadURL
        with self._default_providers_lock:
            if key not in self._default_providers:
                self._default_providers[key] = self._register_default_provider(*key)
            return self._default_providers[key]

    def _register_default_provider(self, package: str, version: str, download_url: str) -> ProviderReference:
        urn = urns.make(
            stack=self._stack,
            project=self._project.name,
            parent="",
            resource_type=urns.PROVIDER_TYPE_PREFIX + package,
            name=_default_provider_name(version, download_url),
        )
        inputs = {INTERNAL_KEY: {}} | _with_plugin(self._config.of_package(package), version, download_url)
        state = ResourceState(urn=urn, type=urns.type_of(urn), custom=True, inputs=inputs)
        _, state = self._deployment.register(Goal(state=state))
        return ProviderReference(state.urn, state.id)

    def _invoked(self, request: resource_pb2.ResourceInvokeRequest) -> Provider:
        reference = self._provider(request, urns.package_of(request.tok))
        if not reference.id:
            raise StepError(f"its provider {urns.describe(reference.urn)} failed")
        return self._deployment.providers.get(reference)

    def _position(self, position: Any) -> str:
        """Where in the program, relative to the project, as Pulumi writes it: `project:///__main__.py#12`."""
        url = urlsplit(position.uri)
        if url.scheme != "file":
            return ""
        path = os.path.relpath(unquote(url.path), self._project.root)
        column = f",{position.column}" if position.column else ""
        return f"project:///{path}#{position.line}{column}"

    @contextmanager
    def _answering(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Answer an error with its message; the SDK raises it in the program."""
        try:
            yield
        except EngineError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))


class Engine(engine_pb2_grpc.EngineServicer):
    """Hears what the program says."""

    def __init__(self, observer: Observer, deployment: Deployment) -> None:
        self._observer = observer
        self._deployment = deployment
        self._root_urn = ""
        self.reported_errors = 0

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        if not self._deployment.cancelled:  # an interrupted program only complains about being interrupted
            severity = _SEVERITIES[request.severity]
            self.reported_errors += severity == "error"
            self._observer.says(severity, request.message, request.urn)
        return empty_pb2.Empty()

    def GetRootResource(
        self, request: engine_pb2.GetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.GetRootResourceResponse:
        return engine_pb2.GetRootResourceResponse(urn=self._root_urn)

    def SetRootResource(
        self, request: engine_pb2.SetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.SetRootResourceResponse:
        self._root_urn = request.urn
        return engine_pb2.SetRootResourceResponse()


@contextmanager
def serving(monitor: Monitor, engine: Engine) -> Iterator[str]:
    """Serve both on a free port of the loopback interface; yield the address."""
    server = grpc.server(ThreadPoolExecutor(_WORKERS, thread_name_prefix="monitor"), options=MESSAGE_OPTIONS)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()


def _is_set(request: Any, field: str) -> bool:
    value = getattr(request, field)
    if field == "replacement_trigger":
        return bool(request.HasField(field)) and bool(value.ListFields())
    return bool(value)


def _with_plugin(inputs: dict[str, Any], version: str, download_url: str) -> dict[str, Any]:
    """Record which plugin a provider resource runs on, where Pulumi does."""
    if not (version or download_url):
        return inputs
    notes = {"pluginDownloadURL": download_url} if download_url else {}
    return {**inputs, **({"version": version} if version else {}), INTERNAL_KEY: notes}


def _default_provider_name(version: str, download_url: str) -> str:
    parts = ["default"]
    if version:
        parts.append(re.sub(r"[.+-]", "_", version))
    if download_url:
        parts.append(re.sub(r"[^\w./-]", "_", download_url.partition("://")[2] or download_url))
    return "_".join(parts)


def _timeouts(timeouts: resource_pb2.RegisterResourceRequest.CustomTimeouts) -> dict[str, float]:
    given = {name: getattr(timeouts, name) for name in ("create", "update", "delete", "read")}
    return {name: _seconds(text) for name, text in given.items() if text}


def _seconds(text: str) -> float:
    """Read a duration as Go writes it, such as `1h30m` or `90s`."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise EngineError(f"custom_timeouts: {text!r} is not a duration such as '90s' or '1h30m'")
    return sum((float(number) if "." in number else int(number)) * units[unit] for number, unit in parts)
