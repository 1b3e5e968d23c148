"""Checks of the EKS cluster: version, networks, and the ways in which build pods assume their role."""

from dataclasses import dataclass

import pulumi_aws as aws

from components.preflight.checks import Check
from stacks.settings import Identity, Settings

USER_NAMESPACES_SINCE = "1.33"
"""Enabled by default since then, and the kubelet's `idsPerPod` exists."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The EKS cluster.

    `version` is that of Kubernetes, such as `1.34`; `certificate_authority` is base64. `oidc_provider_arn` is None
    unless the settings use IRSA.
    """

    name: str
    arn: str
    version: str
    endpoint: str
    certificate_authority: str
    subnet_ids: tuple[str, ...]
    oidc_provider_arn: str | None
    networks: tuple[str, ...]
    """The networks in which pods, nodes, services and the Kubernetes API have their addresses."""
    vpc_endpoints: tuple[str, ...]
    """The addresses in these networks at which AWS's services are, ECR for example."""


def find_cluster(settings: Settings) -> tuple[Cluster | None, list[Check]]:
    """The cluster, and the outcome of its checks."""
    wanted = settings.cluster
    exists = Check(title=f"EKS cluster {wanted.name}")
    found = exists.ask(
        lambda: aws.eks.get_cluster(name=wanted.name),
        path="buildyard:cluster.name",
        hint="Use the name of an EKS cluster in this account and region that the credentials may describe.",
    )
    if found is None:
        return None, [exists]
    exists.found = f"Kubernetes {found.version}"
    _check_user_namespaces(exists, settings, found.version)
    identity = Check(title="Role of build pods", found=str(settings.identity))
    network = Check(title="Networks that builds may not reach")
    cluster = Cluster(
        name=found.name,
        arn=found.arn,
        version=found.version,
        endpoint=found.endpoint,
        certificate_authority=found.certificate_authorities[0].data,
        subnet_ids=wanted.subnet_ids or tuple(found.vpc_config.subnet_ids),
        oidc_provider_arn=_oidc_provider(identity, settings, found.identities[0].oidcs[0].issuer),
        networks=_networks(network, settings, found),
        vpc_endpoints=_vpc_endpoints(network, settings, found),
    )
    network.found = ", ".join(cluster.networks)
    return cluster, [exists, identity, network]


def _check_user_namespaces(check: Check, settings: Settings, version: str) -> None:
    if settings.runners.user_namespaces and numbers(version) < numbers(USER_NAMESPACES_SINCE):
        check.problem(
            "buildyard:runners.user-namespaces",
            f"Kubernetes {version} has no user namespaces for pods",
            f"Upgrade the cluster to {USER_NAMESPACES_SINCE} or newer, or remove the key.",
        )


def _oidc_provider(check: Check, settings: Settings, issuer: str) -> str | None:
    if settings.identity is not Identity.IRSA:
        return None
    provider = check.ask(
        lambda: aws.iam.get_open_id_connect_provider(url=issuer),
        path="buildyard:identity",
        hint=f"Create an IAM OIDC provider for the cluster's issuer {issuer}, or use pod-identity.",
    )
    return provider.arn if provider else None


def _networks(check: Check, settings: Settings, cluster: aws.eks.GetClusterResult) -> tuple[str, ...]:
    if settings.network.deny is not None:
        return settings.network.deny
    vpc = check.ask(
        lambda: aws.ec2.get_vpc(id=cluster.vpc_config.vpc_id),
        path="buildyard:network.deny",
        hint="Use credentials that may describe the VPC, or name the networks of pods, nodes and services here.",
    )
    if vpc is None:
        return ()
    blocks = [each.cidr_block for each in vpc.cidr_block_associations]
    ipv6_blocks = [each.ipv6_cidr_block for each in vpc.ipv6_cidr_block_associations]
    services = (service for each in cluster.kubernetes_network_configs for service in _service_networks(each))
    return tuple(filter(None, (*blocks, *ipv6_blocks, *services)))


def _service_networks(config: aws.eks.outputs.GetClusterKubernetesNetworkConfigResult) -> tuple[str, str]:
    # An IPv4 cluster has no IPv6 network, and an IPv6 cluster no IPv4 network.
    return config.service_ipv4_cidr, config.service_ipv6_cidr


def _vpc_endpoints(check: Check, settings: Settings, cluster: aws.eks.GetClusterResult) -> tuple[str, ...]:
    if settings.network.deny is not None:
        return ()
    addresses = check.ask(
        lambda: _vpc_endpoint_addresses(cluster.vpc_config.vpc_id),
        path="buildyard:network.deny",
        hint="Use credentials that may describe network interfaces, or name the networks of pods and nodes here.",
    )
    return addresses or ()


def _vpc_endpoint_addresses(vpc: str) -> tuple[str, ...]:
    filters = {"vpc-id": vpc, "interface-type": "vpc_endpoint"}
    found = aws.ec2.get_network_interfaces(
        filters=[{"name": name, "values": [value]} for name, value in filters.items()]
    )
    interfaces = [aws.ec2.get_network_interface(id=each) for each in sorted(found.ids)]
    return tuple(address for each in interfaces for address in (each.private_ip, *each.ipv6_addresses) if address)


def numbers(version: str) -> tuple[int, ...]:
    """A version's parts, for comparisons."""
    return tuple(int(number) for number in version.split("."))
