"""The EKS backend: moto's clusters and node groups, extended. Errors are those that EKS documents."""

from functools import partial
from typing import Any

from moto.eks.exceptions import ResourceNotFoundException
from moto.eks.models import Cluster, EKSBackend, eks_backends
from moto.moto_api._internal import mock_random

from sandbox.services.aws.eks.addons import Addons
from sandbox.services.aws.eks.certificate import certificate_authority
from sandbox.services.aws.eks.node_groups import NodeGroups
from sandbox.services.aws.eks.pod_identity import PodIdentityAssociations


def extend_moto(kubernetes_url: str) -> None:
    """Let moto make this backend for every account and region; its clusters' API is at `kubernetes_url`."""
    eks_backends.backend = partial(EksBackend, kubernetes_url=kubernetes_url)  # type: ignore[assignment] # only called


class EksBackend(Addons, NodeGroups, PodIdentityAssociations, EKSBackend):
    def __init__(self, region_name: str, account_id: str, kubernetes_url: str) -> None:
        super().__init__(region_name, account_id)
        self._kubernetes_url = kubernetes_url

    def create_cluster(self, name: str, *args: Any, **kwargs: Any) -> Cluster:
        cluster = super().create_cluster(name, *args, **kwargs)
        cluster.certificate_authority = {"data": certificate_authority()}
        issuer = f"https://oidc.eks.{self.region_name}.amazonaws.com/id/{mock_random.get_random_hex(32).upper()}"
        cluster.identity = {"oidc": {"issuer": issuer}}
        return cluster

    def describe_cluster(self, name: str) -> Cluster:
        """The address of the cluster's API is that of this run of the sandbox, not of the one that made the cluster."""
        cluster = super().describe_cluster(name)
        cluster.endpoint = self._kubernetes_url
        return cluster

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of whatever has this ARN, to read and to change."""
        for tagged_arn, tags in self._tagged():
            if tagged_arn == arn:
                return tags
        raise ResourceNotFoundException(message=f"No resource found for ARN: {arn}.")

    def _tagged(self) -> list[tuple[str, dict[str, Any]]]:
        clusters = list(self.clusters.values())
        node_groups = [group for cluster in clusters for group in cluster.nodegroups.values()]
        return [
            *((cluster.arn, cluster.tags) for cluster in clusters),
            *((group.arn, group.tags) for group in node_groups),
            *((addon["addonArn"], addon["tags"]) for addon in self.addons.values()),
            *((found["associationArn"], found["tags"]) for found in self.associations.values()),
        ]
