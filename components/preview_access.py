"""The rights of those who preview a stack: they read what it has in one build namespace, and nothing else.

A preview reads every object of the state by its name, and lists Secrets, in which Helm keeps its releases. Nobody has
these rights before somebody's access entry names the group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.labels import kubernetes_labels
from stacks.names import preview_group

OBJECT = "preview"
"""The name of the role in the namespace."""

Rule = Mapping[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class PreviewAccessArgs:
    stack: str
    namespace: str
    after_namespace: pulumi.Resource
    """The namespace itself."""


class PreviewAccess(pulumi.ComponentResource):
    """The rights of the stack's preview group concerning one build namespace."""

    def __init__(self, name: str, args: PreviewAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:PreviewAccess", name, {}, opts)
        self._name = name
        self._args = args
        self._read_namespace()
        self._read_cluster()
        self.register_outputs({})

    def _read_namespace(self) -> None:
        metadata: Any = self._metadata(OBJECT, namespace=self._args.namespace)
        after = pulumi.ResourceOptions(parent=self, depends_on=[self._args.after_namespace])
        role = kubernetes.rbac.v1.Role(self._name, metadata=metadata, rules=_typed(namespace_rules()), opts=after)
        kubernetes.rbac.v1.RoleBinding(
            self._name,
            metadata=metadata,
            role_ref=self._reference("Role", OBJECT),
            subjects=self._subjects(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )

    def _read_cluster(self) -> None:
        # Such objects are in no namespace, but no two namespaces of a cluster have one name.
        name = f"{self._args.namespace}-{OBJECT}"
        metadata: Any = self._metadata(name)
        role = kubernetes.rbac.v1.ClusterRole(
            self._name,
            metadata=metadata,
            rules=_typed(cluster_rules(self._args.namespace, role=name)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        kubernetes.rbac.v1.ClusterRoleBinding(
            self._name,
            metadata=metadata,
            role_ref=self._reference("ClusterRole", name),
            subjects=self._subjects(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )

    def _metadata(self, name: str, **place: str) -> dict[str, Any]:
        return {"name": name, **place, "labels": kubernetes_labels(self._args.stack)}

    def _subjects(self) -> Any:
        return [{"kind": "Group", "name": preview_group(self._args.stack), "apiGroup": "rbac.authorization.k8s.io"}]

    @staticmethod
    def _reference(kind: str, name: str) -> Any:
        return {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def namespace_rules() -> list[Rule]:
    """What the group may read in the namespace. `*` would include a shell in every pod: `pods/exec` takes a `get`."""
    return [
        _get("", "limitranges", "resourcequotas", "serviceaccounts"),
        # Helm's storage asks for its Secrets by their labels, so that their names cannot limit the right.
        {**_get("", "secrets"), "verbs": ["get", "list"]},
        _get("networking.k8s.io", "networkpolicies"),
        _get("rbac.authorization.k8s.io", "rolebindings", "roles"),
    ]


def cluster_rules(namespace: str, *, role: str) -> list[Rule]:
    """What the group may read outside of namespaces: the stack's own objects, by name."""
    own = {"resourceNames": [namespace]}
    return [
        {**_get("", "namespaces"), **own},
        {
            **_get(
                "admissionregistration.k8s.io",
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
            ),
            **own,
        },
        {**_get("rbac.authorization.k8s.io", "clusterrolebindings", "clusterroles"), "resourceNames": [role]},
    ]


def _get(group: str, *resources: str) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["get"]}


def _typed(rules: list[Rule]) -> Any:
    """Rules as the API server has them. Pulumi has a type for them."""
    return rules
