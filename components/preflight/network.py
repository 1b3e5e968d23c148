"""Checks of the cluster's networks: what builds may not reach, and whether the cluster enforces that."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi_aws as aws
import yaml

from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.parallel import together
from stacks.settings import Settings
from stacks.versions import numbers

CNI = "vpc-cni"
"""The add-on that gives pods their addresses, and enforces network policies if it is told to."""

OLDEST_CNI = "1.20.1"
"""An older one opens a network to every port if a policy allows one port there, and every port on the internet.

Source: https://github.com/aws/aws-network-policy-agent/pull/344
"""


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
    own_account = cluster.arn.split(":")[4]
    if endpoints == () and vpc.owner_id != own_account:
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
    configuration, version = _configuration(addon.configuration_values), addon.addon_version
    update = f"aws eks update-addon --cluster-name {cluster.name} --addon-name {CNI}"
    if not _is_true(configuration.get("enableNetworkPolicy")):
        check.notice(
            f"The add-on {CNI} of {cluster.name} does not enforce network policies: unless another program does, "
            "builds can reach these networks",
            f'If none does, run {update} --configuration-values \'{{"enableNetworkPolicy": "true"}}\', with what the '
            "add-on is configured with already.",
        )
        return
    released = re.match(r"v(\d+\.\d+\.\d+)", version)
    if released and numbers(released[1]) < numbers(OLDEST_CNI):
        check.problem(
            "buildyard:cluster.name",
            f"{cluster.name} has {CNI} {version}, with which builds can reach these networks",
            f"Update the add-on to v{OLDEST_CNI} or newer: {update} --addon-version VERSION "
            "--resolve-conflicts PRESERVE.",
        )
    environment = configuration.get("env")
    egress = environment.get("ENABLE_V4_EGRESS", True) if isinstance(environment, dict) else True
    if any(config.ip_family == "ipv6" for config in cluster.kubernetes_network_configs) and _is_true(egress):
        check.look(
            f"{cluster.name} has IPv6, and its pods an IPv4 address for the way out, to which no policy applies",
            f"Set ENABLE_V4_EGRESS to false in the add-on {CNI}.",
        )


def _configuration(text: str | None) -> Mapping[str, Any]:
    """An add-on's configuration, which is JSON or YAML. EKS has none if nobody configured it."""
    try:
        values = yaml.safe_load(text or "")
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def _is_true(value: object) -> bool:
    """Whether a value of a configuration is true, or the word."""
    return str(value).lower() == "true"
