"""The rights of those who preview a stack: they read what it has in one build namespace, and two parts of the cluster.

A preview reads every object of the state by its name, and lists Secrets, in which Helm keeps its releases. Nobody has
these rights before somebody's access entry names the group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.labels import kubernetes_labels
from stacks.names import AUTOSCALER_STATUS, POD_IDENTITY_AGENT, preview_group

OBJECT = "preview"
"""The name of the role in the namespace."""

RBAC = "rbac.authorization.k8s.io"

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
        grant_preview(
            self._name,
            stack=self._args.stack,
            namespace=self._args.namespace,
            role=OBJECT,
            rules=namespace_rules(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._args.after_namespace]),
        )

    def _read_cluster(self) -> None:
        # Such objects are in no namespace, but no two namespaces of a cluster have one name.
        name = f"{self._args.namespace}-{OBJECT}"
        metadata: Any = {"name": name, "labels": kubernetes_labels(self._args.stack)}
        role = kubernetes.rbac.v1.ClusterRole(
            self._name,
            metadata=metadata,
            rules=_typed(cluster_rules(self._args.namespace, role=name)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        kubernetes.rbac.v1.ClusterRoleBinding(
            self._name,
            metadata=metadata,
            role_ref=_typed({"kind": "ClusterRole", "name": name, "apiGroup": RBAC}),
            subjects=_subjects(self._args.stack),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )


def grant_preview(
    name: str, *, stack: str, namespace: str, role: str, rules: Sequence[Any], opts: pulumi.ResourceOptions
) -> None:
    """Let the preview group of a stack read in a namespace what these rules say."""
    metadata: Any = {"name": role, "namespace": namespace, "labels": kubernetes_labels(stack)}
    made = kubernetes.rbac.v1.Role(name, metadata=metadata, rules=_typed(rules), opts=opts)
    kubernetes.rbac.v1.RoleBinding(
        name,
        metadata=metadata,
        role_ref=_typed({"kind": "Role", "name": role, "apiGroup": RBAC}),
        subjects=_subjects(stack),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[made])),
    )


def namespace_rules() -> list[Rule]:
    """The group's rights in the namespace. `*` would include a shell in every pod: `pods/exec` takes a `get`."""
    return [
        _get("", "configmaps", "limitranges", "resourcequotas", "serviceaccounts"),
        # Helm's storage asks for its Secrets by their labels, so that their names cannot limit the right.
        {**_get("", "secrets"), "verbs": ["get", "list"]},
        _get("networking.k8s.io", "networkpolicies"),
        _get(RBAC, "rolebindings", "roles"),
        _get("monitoring.coreos.com", "prometheusrules"),
    ]


def cluster_rules(namespace: str, *, role: str) -> list[Rule]:
    """The group's rights outside of namespaces: the stack's own objects, by name, and the cluster's own parts.

    Their names begin with the namespace's, but no rule can say that.
    """

    def own(group: str, resources: Sequence[str], *names: str) -> Rule:
        return {**_get(group, *resources), "resourceNames": list(names)}

    policies = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    return [
        own("", ["namespaces"], namespace),
        own("admissionregistration.k8s.io", policies, namespace, f"{namespace}-deployments"),
        own("scheduling.k8s.io", ["priorityclasses"], f"{namespace}-pause"),
        own(RBAC, ["clusterrolebindings", "clusterroles"], role),
        # Whoever lists with the name as a field selector needs the right for this name alone.
        {**own("", ["configmaps"], AUTOSCALER_STATUS), "verbs": ["list"]},
        {**own("apps", ["daemonsets"], POD_IDENTITY_AGENT), "verbs": ["list"]},
    ]


def own_role_rules(role: str) -> list[Rule]:
    """The right to read a role in a namespace of somebody else, and its binding: they are in the state, too."""
    return [{**_get(RBAC, "rolebindings", "roles"), "resourceNames": [role]}]


def _get(group: str, *resources: str) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["get"]}


def _subjects(stack: str) -> Any:
    return [{"kind": "Group", "name": preview_group(stack), "apiGroup": RBAC}]


def _typed(document: Any) -> Any:
    """A document as the API server has it. Pulumi has a type for each kind's."""
    return document
