"""The rules for the pods of one build namespace: their limits, their network, and which of them are admitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.admission_policy import (
    AdmissionRules,
    PausePods,
    admission_binding,
    admission_policy,
    deployment_policy,
)
from components.labels import kubernetes_labels
from components.network_policy import build_network_policy, pause_network_policy
from components.pod_limits import limit_range, resource_quota
from stacks.cluster import Destination
from stacks.runners import Runners

OBJECT = "builds"
"""The name of each object in the namespace."""


@dataclass(frozen=True, kw_only=True)
class PodRulesArgs:
    stack: str
    namespace: str
    service_account: str
    """The build pods' service account."""
    managers: Sequence[str]
    """The service accounts of the runner managers in the namespace."""
    node_labels: Mapping[str, str]
    """The labels of the nodes that build pods must select."""
    runners: Runners
    config_maps: Sequence[str]
    """The ConfigMaps that build pods may mount."""
    host_folders: Sequence[str]
    """The folders of nodes that build pods may mount."""
    deny: Sequence[str]
    """The networks that build pods cannot reach."""
    allow: Sequence[Destination]
    """Parts of these networks that they can reach."""
    pause: PausePods | None
    """The pods that keep capacity warm, if there are any."""
    after_namespace: pulumi.Resource
    """The namespace itself."""
    after_managers: Sequence[pulumi.Resource]
    """The managers' releases. Those before them make pods that the new admission policy may not admit."""


class PodRules(pulumi.ComponentResource):
    """The rules for the pods of one build namespace."""

    def __init__(self, name: str, args: PodRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:PodRules", name, {}, opts)
        self._name = name
        self._args = args
        self._limit_containers()
        self._limit_network()
        self._limit_objects()
        rules = self._admission_rules()
        self._admit("", admission_policy(rules), after=args.after_managers)
        if args.pause:
            # Before managers get the right to create Deployments.
            self._admit("-deployments", deployment_policy(rules), after=[args.after_namespace])
        self.register_outputs({})

    def _metadata(self, name: str = OBJECT) -> Any:
        return {"name": name, "namespace": self._args.namespace, "labels": kubernetes_labels(self._args.stack)}

    def _limit_containers(self) -> None:
        kubernetes.core.v1.LimitRange(
            self._name,
            metadata=self._metadata(),
            spec=_spec(limit_range(self._args.runners)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._args.after_namespace]),
        )

    def _limit_network(self) -> None:
        kubernetes.networking.v1.NetworkPolicy(
            self._name,
            metadata=self._metadata(),
            spec=_spec(build_network_policy(deny=self._args.deny, allow=self._args.allow)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._args.after_namespace]),
        )
        if self._args.pause:
            kubernetes.networking.v1.NetworkPolicy(
                f"{self._name}-pause",
                metadata=self._metadata(f"{OBJECT}-pause"),
                spec=_spec(pause_network_policy()),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self._args.after_namespace]),
            )

    def _limit_objects(self) -> None:
        kubernetes.core.v1.ResourceQuota(
            self._name,
            metadata=self._metadata(),
            spec=_spec(
                resource_quota(
                    runners=len(self._args.managers),
                    concurrent=self._args.runners.concurrent,
                    warm=self._args.runners.warm.jobs if self._args.pause else 0,
                )
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._args.after_namespace]),
        )

    def _admission_rules(self) -> AdmissionRules:
        args = self._args
        return AdmissionRules(
            namespace=args.namespace,
            service_account=args.service_account,
            managers=args.managers,
            node_labels=args.node_labels,
            config_maps=args.config_maps,
            host_folders=args.host_folders,
            user_namespaces=args.runners.user_namespaces,
            pause=args.pause,
        )

    def _admit(self, suffix: str, specification: dict[str, Any], after: Sequence[pulumi.Resource]) -> None:
        """Create an admission policy and put it into effect."""
        # Such objects are in no namespace, but of a cluster's namespaces no two have one name.
        name, object_name = f"{self._name}{suffix}", f"{self._args.namespace}{suffix}"
        metadata: Any = {"name": object_name, "labels": kubernetes_labels(self._args.stack)}
        policy = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
            name,
            metadata=metadata,
            spec=_spec(specification),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            name,
            metadata=metadata,
            spec=_spec(admission_binding(object_name)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def _spec(document: dict[str, Any]) -> Any:
    """A specification as the API server has it. Pulumi has a type for each kind's."""
    return document
