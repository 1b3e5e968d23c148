"""The kinds of object that this API has. Every other kind is answered with 404.

Source: https://kubernetes.io/docs/reference/kubernetes-api/
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of object: where its collection is, and which fields it has."""

    name: str
    plural: str
    short: str = ""  # what users of kubectl type
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    fields: frozenset[str]  # besides apiVersion, kind, metadata and status
    immutable: frozenset[str] = frozenset()  # paths of fields that never change
    counts_generations: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The plural with its group, as error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACE = Kind(name="Namespace", plural="namespaces", short="ns", namespaced=False, fields=frozenset({"spec"}))

KINDS = (
    NAMESPACE,
    Kind(
        name="ServiceAccount",
        plural="serviceaccounts",
        short="sa",
        fields=frozenset({"automountServiceAccountToken", "imagePullSecrets", "secrets"}),
    ),
    Kind(
        name="Secret",
        plural="secrets",
        fields=frozenset({"data", "stringData", "type", "immutable"}),
        immutable=frozenset({"type"}),
    ),
    Kind(name="ConfigMap", plural="configmaps", short="cm", fields=frozenset({"data", "binaryData", "immutable"})),
    Kind(name="LimitRange", plural="limitranges", short="limits", fields=frozenset({"spec"})),
    Kind(
        name="ResourceQuota",
        plural="resourcequotas",
        short="quota",
        fields=frozenset({"spec"}),
        immutable=frozenset({"spec.scopes"}),
    ),
    Kind(name="Service", plural="services", short="svc", fields=frozenset({"spec"})),
    Kind(
        name="Deployment",
        plural="deployments",
        short="deploy",
        group="apps",
        fields=frozenset({"spec"}),
        immutable=frozenset({"spec.selector"}),
        counts_generations=True,
    ),
    Kind(
        name="DaemonSet",
        plural="daemonsets",
        short="ds",
        group="apps",
        fields=frozenset({"spec"}),
        immutable=frozenset({"spec.selector"}),
        counts_generations=True,
    ),
    Kind(name="Role", plural="roles", group="rbac.authorization.k8s.io", fields=frozenset({"rules"})),
    Kind(
        name="RoleBinding",
        plural="rolebindings",
        group="rbac.authorization.k8s.io",
        fields=frozenset({"roleRef", "subjects"}),
        immutable=frozenset({"roleRef"}),
    ),
    Kind(
        name="ClusterRole",
        plural="clusterroles",
        group="rbac.authorization.k8s.io",
        namespaced=False,
        fields=frozenset({"rules", "aggregationRule"}),
    ),
    Kind(
        name="ClusterRoleBinding",
        plural="clusterrolebindings",
        group="rbac.authorization.k8s.io",
        namespaced=False,
        fields=frozenset({"roleRef", "subjects"}),
        immutable=frozenset({"roleRef"}),
    ),
    Kind(
        name="NetworkPolicy",
        plural="networkpolicies",
        short="netpol",
        group="networking.k8s.io",
        fields=frozenset({"spec"}),
        counts_generations=True,
    ),
    Kind(
        name="PriorityClass",
        plural="priorityclasses",
        short="pc",
        group="scheduling.k8s.io",
        namespaced=False,
        fields=frozenset({"value", "globalDefault", "description", "preemptionPolicy"}),
        immutable=frozenset({"value", "preemptionPolicy"}),
        counts_generations=True,
    ),
    Kind(
        name="PodDisruptionBudget",
        plural="poddisruptionbudgets",
        short="pdb",
        group="policy",
        fields=frozenset({"spec"}),
        counts_generations=True,
    ),
    *(
        Kind(
            name=name,
            plural=plural,
            group="admissionregistration.k8s.io",
            namespaced=False,
            fields=frozenset({"spec"}),
            counts_generations=True,
        )
        for name, plural in (
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
        )
    ),
    # Of the Prometheus Operator: https://prometheus-operator.dev/docs/api-reference/api/
    *(
        Kind(
            name=name,
            plural=plural,
            group="monitoring.coreos.com",
            fields=frozenset({"spec"}),
            counts_generations=True,
        )
        for name, plural in (("PrometheusRule", "prometheusrules"), ("ServiceMonitor", "servicemonitors"))
    ),
)


def find_kind(group: str, version: str, plural: str) -> Kind | None:
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, plural):
            return kind
    return None
