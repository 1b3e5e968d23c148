"""The EKS backend: moto's clusters and node groups, extended. Errors are those that EKS documents."""

from typing import Any

from moto.ec2.models import ec2_backends
from moto.eks.exceptions import ResourceNotFoundException
from moto.eks.models import Cluster, EKSBackend, eks_backends
from moto.moto_api._internal import mock_random

from sandbox.services.aws.eks.access_entries import AccessEntries
from sandbox.services.aws.eks.addons import Addons
from sandbox.services.aws.eks.certificate import Authority
from sandbox.services.aws.eks.node_groups import NodeGroups
from sandbox.services.aws.eks.pod_identity import PodIdentityAssociations


def certificate_of(host: str) -> bytes | None:
    """A new certificate of the cluster whose API has this host, with its private key, both in PEM; None for others."""
    for cluster in _clusters():
        if str(cluster.endpoint).lower() == f"https://{host.lower()}":
            authority: Authority = vars(cluster)["authority"]
            return authority.issue(host)
    return None


def autoscaling_groups() -> list[str]:
    """The names of the autoscaling groups of all managed node groups."""
    groups = [group for cluster in _clusters() for group in cluster.nodegroups.values()]
    return sorted(each["name"] for group in groups for each in vars(group)["resources"]["autoScalingGroups"])


def _clusters() -> list[Cluster]:
    backends = [backend for account in eks_backends.values() for backend in account.values()]
    return [cluster for backend in backends for cluster in backend.clusters.values()]


def extend_moto() -> None:
    """Let moto make this backend for every account and region."""
    eks_backends.backend = EksBackend


class EksBackend(AccessEntries, Addons, NodeGroups, PodIdentityAssociations, EKSBackend):
    def create_cluster(self, name: str, *args: Any, **kwargs: Any) -> Cluster:
        cluster = super().create_cluster(name, *args, **kwargs)
        cluster.resources_vpc_config = {**cluster.resources_vpc_config, **self._vpc_of(cluster)}
        # Of a cluster that is created with the API, unless the request says otherwise.
        authority = Authority.make()
        vars(cluster).update(
            access_config={"authenticationMode": "CONFIG_MAP"}, compute_config={"enabled": False}, authority=authority
        )
        cluster.certificate_authority = {"data": authority.data}
        # EKS names the cluster's API and its identity provider after the same random value, and never renames them.
        # The sandbox's kubernetes provider and its proxy lead from such a host to the sandbox's Kubernetes.
        unique = mock_random.get_random_hex(32).upper()
        cluster.endpoint = f"https://{unique}.gr7.{self.region_name}.eks.amazonaws.com"
        cluster.access_config = {"authenticationMode": "CONFIG_MAP"}  # type: ignore[attr-defined]
        cluster.identity = {"oidc": {"issuer": f"https://oidc.eks.{self.region_name}.amazonaws.com/id/{unique}"}}
        return cluster

    def _vpc_of(self, cluster: Cluster) -> dict[str, str]:
        """The VPC of the cluster's subnets, and the security group that EKS makes there for the cluster's nodes.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html
        """
        subnets = cluster.resources_vpc_config["subnetIds"]
        ec2 = ec2_backends[self.account_id][self.region_name]
        vpc = next((str(each.vpc_id) for each in ec2.describe_subnets() if each.id in subnets), None)
        if vpc is None:
            return {}
        group = ec2.create_security_group(
            f"eks-cluster-sg-{cluster.name}-{mock_random.get_random_hex(10)}",
            "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as "
            "any managed workloads.",
            vpc_id=vpc,
        )
        return {"vpcId": vpc, "clusterSecurityGroupId": str(group.id)}

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags of the resource with this ARN. Changes of the dictionary change the tags."""
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
            *((entry["accessEntryArn"], entry["tags"]) for entry in self.access_entries.values()),
        ]
