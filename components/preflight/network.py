"""Checks of the cluster's networks: what builds may not reach, and whether the cluster enforces that."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pulumi_aws as aws
import yaml

from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.parallel import together
from stacks.settings import Settings

CNI = "vpc-cni"
"""The add-on that gives pods their addresses, and enforces network policies if it is told to."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The cluster's networks, in CIDR notation."""

    denied: tuple[str, ...]
    """Those in which pods, nodes, services and the Kubernetes API have their addresses."""
    services: tuple[str, ...]
    """Those of the cluster's services."""
    vpc_endpoints: tuple[str, ...]
    """The addresses in these networks at which AWS's services are, ECR for example."""


def find_networks(settings: Settings, cluster: aws.eks.GetClusterResult) -> tuple[Networks, Check]:
    """The cluster's networks, and the outcome of their checks."""
    check = Check(title="Networks that builds may not reach")
    services = _service_networks(cluster)
    own = settings.network.deny
    denied, endpoints = _of_vpc(check, cluster, services) if own is None else (own, ())
    check.found = ", ".join(denied)
    _check_enforcement(check, cluster)
    return Networks(denied=denied, services=services, vpc_endpoints=endpoints), check


def _service_networks(cluster: aws.eks.GetClusterResult) -> tuple[str, ...]:
    # An IPv4 cluster has no IPv6 network, and an IPv6 cluster no IPv4 network.
    configs = cluster.kubernetes_network_configs
    return tuple(
        filter(None, (each for config in configs for each in (config.service_ipv4_cidr, config.service_ipv6_cidr)))
    )


def _of_vpc(
    check: Check, cluster: aws.eks.GetClusterResult, services: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The networks of the VPC and of the services, and the addresses of the VPC's endpoints."""
    vpc = check.settle(
        attempt(lambda: aws.ec2.get_vpc(id=cluster.vpc_config.vpc_id)),
        path="buildyard:network.deny",
        hint="Use credentials that may describe the VPC, or name the networks of pods, nodes and services here.",
    )
    endpoints = check.settle(
        attempt(lambda: tuple(_endpoint_addresses(cluster.vpc_config.vpc_id))),
        path="buildyard:network.deny",
        hint="Use credentials that may describe network interfaces, or name the networks of pods and nodes here.",
    )
    if vpc is None:
        return (), endpoints or ()
    if endpoints == () and vpc.owner_id != cluster.arn.split(":")[4]:
        check.notice(
            f"The account {vpc.owner_id} owns the VPC, and AWS does not show its endpoints to this one",
            "If ECR, STS or S3 have endpoints there, add their addresses to buildyard:network.allow, or builds cannot "
            "reach these services.",
        )
    blocks = [each.cidr_block for each in vpc.cidr_block_associations]
    ipv6_blocks = [each.ipv6_cidr_block for each in vpc.ipv6_cidr_block_associations]
    return tuple(filter(None, (*blocks, *ipv6_blocks, *services))), endpoints or ()


def _endpoint_addresses(vpc: str) -> Iterator[str]:
    filters = {"vpc-id": vpc, "interface-type": "vpc_endpoint"}
    found = aws.ec2.get_network_interfaces(
        filters=[{"name": name, "values": [value]} for name, value in filters.items()]
    )
    for interface in together(partial(aws.ec2.get_network_interface, id=each) for each in sorted(found.ids)):
        yield from filter(None, (interface.private_ip, *interface.ipv6_addresses))


def _check_enforcement(check: Check, cluster: aws.eks.GetClusterResult) -> None:
    """Check whether the cluster enforces network policies, without which the networks are open to builds.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html
    """
    addon = attempt(lambda: aws.eks.get_addon(cluster_name=cluster.name, addon_name=CNI))
    if isinstance(addon, RefusalError):
        if addon.is_missing:
            check.look(
                f"{cluster.name} has no add-on {CNI}: only Kubernetes knows whether network policies are enforced",
                "Run kubectl -n kube-system get daemonset aws-node -o yaml, and look for enable-network-policy; or "
                "read the documentation of the cluster's own CNI.",
            )
        else:
            check.unknown(f"whether {cluster.name} enforces network policies", addon, "Allow eks:DescribeAddon.")
        return
    if not _enforces(addon.configuration_values):
        check.notice(
            f"{cluster.name} does not enforce network policies: builds can reach these networks",
            f"Run aws eks update-addon --cluster-name {cluster.name} --addon-name {CNI} --configuration-values "
            '\'{"enableNetworkPolicy": "true"}\', with what the add-on is configured with already.',
        )
    elif any(config.ip_family == "ipv6" for config in cluster.kubernetes_network_configs):
        check.look(
            f"{cluster.name} has IPv6, and its pods an IPv4 address for the way out, to which no policy applies",
            f"Set ENABLE_V4_EGRESS to false in the add-on {CNI}.",
        )


def _enforces(configuration: str) -> bool:
    """Whether an add-on's configuration, in JSON or YAML, enables network policies."""
    try:
        values = yaml.safe_load(configuration)
    except yaml.YAMLError:
        return False
    return isinstance(values, dict) and str(values.get("enableNetworkPolicy")).lower() == "true"
