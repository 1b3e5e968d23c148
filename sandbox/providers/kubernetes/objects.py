# ruff: noqa: ARG002 (the methods' signatures are the framework's)
"""Kubernetes's own objects: one class per kind, with the same behaviour.

The properties that replace an object are those of pulumi-kubernetes (`provider/pkg/provider/diff.go`): a changed Secret
or ConfigMap is replaced, so that pods that mount it are rolled out again.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sandbox.providers.framework import Name, Property, ResourceKind
from sandbox.providers.kubernetes.cluster import Cluster
from sandbox.values import Properties, PropertyValue, Secret, contains_unknown, reveal

# Set by pulumi-kubernetes on objects that it named, for their whole life.
_AUTONAMED = "pulumi.com/autonamed"
_METADATA = {
    "name": Property(replaces=True),
    "namespace": Property(replaces=True),
    "annotations": Property(),
    "finalizers": Property(),
    "labels": Property(),
    "ownerReferences": Property(),
}


def _inputs(api_version: str, kind: str, **fields: Property) -> Mapping[str, Property]:
    return {
        "apiVersion": Property(default=api_version),
        "kind": Property(default=kind),
        "metadata": Property(fields=_METADATA, default={}),
        **fields,
    }


class ObjectKind(ResourceKind[Cluster]):
    """A kind of object. Ids are `NAMESPACE/NAME`, or `NAME` for objects of the cluster."""

    plural: ClassVar[str]
    namespaced: ClassVar[bool] = True

    def validate(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        for name in ("apiVersion", "kind"):
            expected = self.inputs[name].default
            if inputs[name] != expected:
                yield name, f"{name} is '{inputs[name]}'; for {self.type} it is '{expected}'."

    def complete(self, name: Name, inputs: Properties, old_inputs: Properties) -> Properties:
        """Name the object if the program did not: its logical name, `-` and eight hexadecimal digits."""
        metadata = reveal(inputs["metadata"])
        if not isinstance(metadata, dict) or metadata.get("name") is not None:
            return inputs
        old = old_inputs.get("metadata", {})
        chosen = old["name"] if _is_autonamed(old) else f"{name.logical}-{name.suffix(8)}"
        named = {"name": chosen, "annotations": {**(metadata.get("annotations") or {}), _AUTONAMED: "true"}}
        if isinstance(inputs["metadata"], Secret):
            return {**inputs, "metadata": Secret({**metadata, **named})}
        return {**inputs, "metadata": {**inputs["metadata"], **named}}

    def stands_in_the_way(self, name: Name, old_inputs: Properties, inputs: Properties) -> bool:
        old, new = old_inputs.get("metadata"), inputs.get("metadata")
        if not isinstance(old, dict) or not isinstance(new, dict) or _is_autonamed(new):
            return False
        return all(old.get(key) == new.get(key) for key in ("name", "namespace"))

    def candidates(self, connection: Cluster, inputs: Properties) -> list[str]:
        metadata = inputs["metadata"]
        namespace = (metadata.get("namespace") or connection.namespace) if self.namespaced else None
        return [f"{namespace}/{metadata['name']}" if namespace else metadata["name"]]

    def create(self, connection: Cluster, inputs: Properties) -> tuple[str, Properties]:
        namespace = (inputs["metadata"].get("namespace") or connection.namespace) if self.namespaced else None
        live = connection.request("POST", self._collection(namespace), inputs)
        name = live["metadata"]["name"]
        return f"{namespace}/{name}" if namespace else name, live

    def read(self, connection: Cluster, resource_id: str, outputs: Properties) -> Properties | None:
        return connection.request("GET", self._path(connection, resource_id))

    def update(self, connection: Cluster, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        return connection.request("PUT", self._path(connection, resource_id), inputs)

    def delete(self, connection: Cluster, resource_id: str, outputs: Properties) -> None:
        connection.request("DELETE", self._path(connection, resource_id))

    def _path(self, connection: Cluster, resource_id: str) -> str:
        namespace, _, name = resource_id.rpartition("/")
        return f"{self._collection((namespace or connection.namespace) if self.namespaced else None)}/{name}"

    def _collection(self, namespace: str | None) -> str:
        return collection(str(self.inputs["apiVersion"].default), self.plural, namespace)


class Namespace(ObjectKind):
    type = "kubernetes:core/v1:Namespace"
    plural = "namespaces"
    namespaced = False
    inputs = _inputs("v1", "Namespace", spec=Property())
    computed = frozenset({"status"})


class ServiceAccount(ObjectKind):
    type = "kubernetes:core/v1:ServiceAccount"
    plural = "serviceaccounts"
    inputs = _inputs(
        "v1",
        "ServiceAccount",
        automountServiceAccountToken=Property(),
        imagePullSecrets=Property(),
        secrets=Property(),
    )


class KubernetesSecret(ObjectKind):
    type = "kubernetes:core/v1:Secret"
    plural = "secrets"
    inputs = _inputs(
        "v1",
        "Secret",
        data=Property(replaces=True),
        stringData=Property(replaces=True),
        type=Property(replaces=True),
        immutable=Property(),
    )
    secrets = frozenset({"data", "stringData"})

    def complete(self, name: Name, inputs: Properties, old_inputs: Properties) -> Properties:
        """Name it, and move its text to its data as soon as all of it is known.

        Source: https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/clients/unstructured.go
        """
        completed = dict(super().complete(name, inputs, old_inputs))
        if completed.get("stringData") is None or contains_unknown(completed):
            return completed
        text: Any = reveal(completed.pop("stringData"))
        data: Any = reveal(completed.get("data") or {})
        encoded = {key: b64encode(str(value).encode()).decode() for key, value in text.items()}
        return {**completed, "data": Secret({**data, **encoded})}


class ConfigMap(ObjectKind):
    type = "kubernetes:core/v1:ConfigMap"
    plural = "configmaps"
    inputs = _inputs(
        "v1", "ConfigMap", data=Property(replaces=True), binaryData=Property(replaces=True), immutable=Property()
    )

    def properties(self, connection: Cluster) -> Mapping[str, Property]:
        """Its data replaces it, unless the provider has `enableConfigMapMutable`."""
        mutable = {"data": Property(), "binaryData": Property()} if connection.mutable_config_maps else {}
        return {**self.inputs, **mutable}


class LimitRange(ObjectKind):
    type = "kubernetes:core/v1:LimitRange"
    plural = "limitranges"
    inputs = _inputs("v1", "LimitRange", spec=Property())


class ResourceQuota(ObjectKind):
    type = "kubernetes:core/v1:ResourceQuota"
    plural = "resourcequotas"
    inputs = _inputs(
        "v1",
        "ResourceQuota",
        spec=Property(fields={"hard": Property(), "scopeSelector": Property(), "scopes": Property(replaces=True)}),
    )
    computed = frozenset({"status"})


class Role(ObjectKind):
    type = "kubernetes:rbac.authorization.k8s.io/v1:Role"
    plural = "roles"
    inputs = _inputs("rbac.authorization.k8s.io/v1", "Role", rules=Property())


class RoleBinding(ObjectKind):
    type = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
    plural = "rolebindings"
    inputs = _inputs(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef=Property(required=True, replaces=True),
        subjects=Property(),
    )


class ClusterRole(ObjectKind):
    type = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
    plural = "clusterroles"
    namespaced = False
    inputs = _inputs("rbac.authorization.k8s.io/v1", "ClusterRole", rules=Property(), aggregationRule=Property())


class ClusterRoleBinding(ObjectKind):
    type = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
    plural = "clusterrolebindings"
    namespaced = False
    inputs = _inputs(
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        roleRef=Property(required=True, replaces=True),
        subjects=Property(),
    )


class NetworkPolicy(ObjectKind):
    type = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
    plural = "networkpolicies"
    inputs = _inputs("networking.k8s.io/v1", "NetworkPolicy", spec=Property())


class PriorityClass(ObjectKind):
    type = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
    plural = "priorityclasses"
    namespaced = False
    inputs = _inputs(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        value=Property(required=True),
        globalDefault=Property(),
        description=Property(),
        preemptionPolicy=Property(),
    )


class PodDisruptionBudget(ObjectKind):
    type = "kubernetes:policy/v1:PodDisruptionBudget"
    plural = "poddisruptionbudgets"
    inputs = _inputs("policy/v1", "PodDisruptionBudget", spec=Property())
    computed = frozenset({"status"})


class ValidatingAdmissionPolicy(ObjectKind):
    type = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
    plural = "validatingadmissionpolicies"
    namespaced = False
    inputs = _inputs("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", spec=Property())
    computed = frozenset({"status"})


class ValidatingAdmissionPolicyBinding(ObjectKind):
    type = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
    plural = "validatingadmissionpolicybindings"
    namespaced = False
    inputs = _inputs("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", spec=Property())


class PrometheusRule(ObjectKind):
    type = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
    plural = "prometheusrules"
    inputs = _inputs("monitoring.coreos.com/v1", "PrometheusRule", spec=Property(required=True))


OBJECT_KINDS = (
    Namespace,
    ServiceAccount,
    KubernetesSecret,
    ConfigMap,
    LimitRange,
    ResourceQuota,
    Role,
    RoleBinding,
    ClusterRole,
    ClusterRoleBinding,
    NetworkPolicy,
    PriorityClass,
    PodDisruptionBudget,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    PrometheusRule,
)


def collection(api_version: str, plural: str, namespace: str | None) -> str:
    """The path of all objects of a kind, in a namespace or of the cluster."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def _is_autonamed(metadata: PropertyValue) -> bool:
    return isinstance(metadata, dict) and (metadata.get("annotations") or {}).get(_AUTONAMED) == "true"
