# ruff: noqa: ARG002 (the methods' signatures are the framework's)
"""Helm releases of the chart `gitlab-runner`, the only one that the sandbox knows."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sandbox.providers.framework import Name, Property, ResourceKind
from sandbox.providers.kubernetes import helm
from sandbox.providers.kubernetes.cluster import Cluster
from sandbox.providers.kubernetes.objects import collection
from sandbox.providers.kubernetes.runner_chart import problems_in_values
from sandbox.providers.kubernetes.runner_manifests import manifests, token_secret
from sandbox.values import UNKNOWN, Properties, reveal
from stacks.chart_keys import app_version, chart_version

_CHART = "gitlab-runner"
_REPOSITORY = "https://charts.gitlab.io"
_DEFAULT_TIMEOUT_SECONDS = 300
# Options without effect in the sandbox.
_WITHOUT_EFFECT = (
    "allowNullValues",
    "atomic",
    "cleanupOnFail",
    "dependencyUpdate",
    "description",
    "devel",
    "disableCRDHooks",
    "disableOpenapiValidation",
    "disableWebhooks",
    "forceUpdate",
    "keyring",
    "lint",
    "recreatePods",
    "renderSubchartNotes",
    "skipCrds",
    "timeout",
    "verify",
    "waitForJobs",
)
# Options with effects that are not emulated.
_UNSUPPORTED = ("postrender", "replace", "resetValues", "reuseValues", "takeOwnership", "valueYamlFiles")


class Release(ResourceKind[Cluster]):
    """A release; its id is `NAMESPACE/NAME`."""

    type = "kubernetes:helm.sh/v3:Release"
    inputs: ClassVar[Mapping[str, Property]] = {
        "chart": Property(required=True),
        "name": Property(replaces=True),
        "namespace": Property(replaces=True),
        "version": Property(),
        "values": Property(),
        "createNamespace": Property(),
        "maxHistory": Property(),
        "repositoryOpts": Property(
            fields={name: Property() for name in ("repo", "caFile", "certFile", "keyFile", "password", "username")}
        ),
        "skipAwait": Property(),
        **{name: Property() for name in _WITHOUT_EFFECT},
        **{name: Property() for name in _UNSUPPORTED},
    }
    computed = frozenset({"status", "resourceNames"})

    def complete(self, name: Name, inputs: Properties, old_inputs: Properties) -> Properties:
        # The SDK names its schema in `compat`; the real provider drops it, too.
        completed = {key: value for key, value in inputs.items() if key not in ("compat", "resourceNames")}
        if completed.get("name") is None:
            old = str(old_inputs.get("name", ""))
            made_before = re.fullmatch(re.escape(name.logical) + "-[0-9a-f]{8}", old)
            completed["name"] = old if made_before else f"{name.logical}-{name.suffix(8)}"
        if not reveal(completed.get("skipAwait")):
            completed.setdefault("timeout", _DEFAULT_TIMEOUT_SECONDS)
        return completed

    def validate(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        chart, version = inputs.get("chart"), inputs.get("version")
        repository = inputs.get("repositoryOpts") or {}
        url = repository.get("repo", "") if isinstance(repository, dict) else UNKNOWN
        in_registry = isinstance(chart, str) and chart.startswith("oci://")
        if chart not in (None, UNKNOWN, _CHART) and not (in_registry and str(chart).endswith(f"/{_CHART}")):
            yield "chart", f"The sandbox knows only the chart {_CHART}, not '{chart}'."
            return
        if in_registry and url:
            yield "repositoryOpts.repo", "A chart in a registry, oci://, has no repository besides."
        # Nothing is fetched, so any repository may be a mirror of GitLab's, which is plain HTTPS.
        if not in_registry and url is not UNKNOWN and not url.startswith("https://"):
            yield "repositoryOpts.repo", f"'{url}' is not a repository of charts, such as {_REPOSITORY}."
        if version is not UNKNOWN and version != chart_version():
            known = chart_version()
            yield "version", f"version is '{version}'; the sandbox knows only the values of chart {_CHART} {known}."
        for name in _UNSUPPORTED:
            if inputs.get(name):
                yield name, f"The sandbox's Helm does not support {name}; leave it out."
        values = inputs.get("values")
        if values is not UNKNOWN:
            yield from problems_in_values(values or {})

    def outputs_changed_by(self, changed: frozenset[str]) -> frozenset[str]:
        return self.computed if changed else frozenset()

    def candidates(self, connection: Cluster, inputs: Properties) -> list[str]:
        return [f"{inputs.get('namespace') or connection.namespace}/{inputs['name']}"]

    def create(self, connection: Cluster, inputs: Properties) -> tuple[str, Properties]:
        namespace = inputs.get("namespace") or connection.namespace
        if inputs.get("createNamespace") and not connection.find(f"/api/v1/namespaces/{namespace}"):
            new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            connection.request("POST", "/api/v1/namespaces", new)
        revision = _revision(inputs, namespace, number=1)
        _require_secrets(connection, revision, inputs)
        helm.install(connection, revision)
        return f"{namespace}/{inputs['name']}", {**inputs, **_outputs(revision)}

    def read(self, connection: Cluster, resource_id: str, outputs: Properties) -> Properties | None:
        namespace, _, name = resource_id.rpartition("/")
        revision = helm.latest(connection, namespace, name)
        if revision is None:
            return None
        live = {"name": name, "chart": revision.chart, "version": revision.version, "values": revision.values}
        return {**live, **_outputs(revision)}

    def update(self, connection: Cluster, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        namespace, _, name = resource_id.rpartition("/")
        old = helm.latest(connection, namespace, name)
        if old is None:
            raise helm.HelmError(f'"{name}" has no deployed releases')
        new = _revision(inputs, namespace, number=old.number + 1, first_deployed=old.first_deployed)
        _require_secrets(connection, new, inputs)
        helm.upgrade(connection, old, new, history=int(inputs.get("maxHistory") or 0))
        return {**inputs, **_outputs(new)}

    def delete(self, connection: Cluster, resource_id: str, outputs: Properties) -> None:
        namespace, _, name = resource_id.rpartition("/")
        revision = helm.latest(connection, namespace, name)
        if revision is not None:
            helm.uninstall(connection, revision)


def _revision(inputs: Properties, namespace: str, *, number: int, first_deployed: str = "") -> helm.Revision:
    values = inputs.get("values") or {}
    return helm.Revision(
        name=inputs["name"],
        namespace=namespace,
        number=number,
        chart=_CHART,
        version=inputs["version"],
        app_version=app_version(),
        values=values,
        objects=manifests(inputs["name"], namespace, inputs["version"], values),
        first_deployed=first_deployed,
    )


def _require_secrets(cluster: Cluster, revision: helm.Revision, inputs: Properties) -> None:
    """Refuse a release whose manager cannot start without its Secrets: Helm would wait for the manager."""
    if inputs.get("skipAwait"):
        return
    certificates = revision.values.get("certsSecretName")
    if certificates and not cluster.find(f"{collection('v1', 'secrets', revision.namespace)}/{certificates}"):
        raise helm.HelmError(
            f"the manager's pod cannot start: its Secret {revision.namespace}/{certificates} (certsSecretName) does "
            "not exist"
        )
    if revision.values.get("runnerToken"):
        return
    name = token_secret(revision.name, revision.values)
    secret = cluster.find(f"{collection('v1', 'secrets', revision.namespace)}/{name}")
    missing = {"runner-token", "runner-registration-token"} - (secret or {}).get("data", {}).keys()
    if missing:
        what = f"has no {' and no '.join(sorted(missing))}" if secret else "does not exist"
        raise helm.HelmError(
            f"the manager's pod cannot start: its Secret {revision.namespace}/{name} (runners.secret) {what}"
        )


def _outputs(revision: helm.Revision) -> Properties:
    names: dict[str, list[str]] = {}
    for each in revision.objects:
        group = each["apiVersion"].rpartition("/")[0]
        key = f"{each['kind']}{group and f'.{group}'}/{each['apiVersion']}"
        names.setdefault(key, []).append(f"{revision.namespace}/{each['metadata']['name']}")
    status: dict[str, Any] = {
        "name": revision.name,
        "namespace": revision.namespace,
        "revision": revision.number,
        "chart": revision.chart,
        "version": revision.version,
        "appVersion": revision.app_version,
        "status": "deployed",
    }
    return {"namespace": revision.namespace, "status": status, "resourceNames": names}
