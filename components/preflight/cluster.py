"""Checks of the EKS cluster: its version and mode, and the way in which build pods get their role."""

from dataclasses import dataclass

import pulumi_aws as aws

from components.preflight import account_rules
from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.network import Networks, find_networks
from stacks.names import POD_IDENTITY_AGENT
from stacks.settings import Identity, Settings
from stacks.versions import numbers

OLDEST_KUBERNETES = "1.32"
"""The oldest version that EKS still supports; it upgrades older clusters by itself, and makes no AMIs for them.

Source: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
"""

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
    security_group_id: str
    """The cluster's security group, which EKS gives to nodes that have no others."""
    oidc_provider_arn: str | None
    networks: Networks


def find_cluster(settings: Settings) -> tuple[Cluster | None, list[Check]]:
    """The cluster, and the outcome of its checks."""
    wanted = settings.cluster
    itself = Check(title=f"EKS cluster {wanted.name}")
    found = itself.settle(
        attempt(lambda: aws.eks.get_cluster(name=wanted.name)),
        path="buildyard:cluster.name",
        hint="Use the name of an EKS cluster in this account and region that the credentials may describe.",
    )
    if found is None:
        return None, [itself]
    itself.found = f"Kubernetes {found.version}"
    _check_version(itself, settings, found.version)
    _check_mode(itself, found)
    itself.problems += account_rules.path(settings, found.access_configs[0].authentication_mode)
    itself.problems += account_rules.security_groups(settings, vpc=found.vpc_config.vpc_id, ask=itself.ask)
    identity = Check(title="Roles of build pods", found=str(settings.identity))
    networks, network = find_networks(settings, found)
    cluster = Cluster(
        name=found.name,
        arn=found.arn,
        version=found.version,
        endpoint=found.endpoint,
        certificate_authority=found.certificate_authorities[0].data,
        subnet_ids=wanted.subnet_ids or tuple(found.vpc_config.subnet_ids),
        security_group_id=found.vpc_config.cluster_security_group_id,
        oidc_provider_arn=_check_identity(identity, settings, found),
        networks=networks,
    )
    return cluster, [itself, identity, network]


def _check_version(check: Check, settings: Settings, version: str) -> None:
    if numbers(version) < numbers(OLDEST_KUBERNETES):
        check.problem(
            "buildyard:cluster.name",
            f"the cluster has Kubernetes {version}, for which EKS has no nodes any more",
            f"Upgrade the cluster to {OLDEST_KUBERNETES} or newer.",
        )
    if settings.runners.user_namespaces and numbers(version) < numbers(USER_NAMESPACES_SINCE):
        check.problem(
            "buildyard:runners.user-namespaces",
            f"Kubernetes {version} has no user namespaces for pods",
            f"Upgrade the cluster to {USER_NAMESPACES_SINCE} or newer, or remove the key.",
        )


def _check_mode(check: Check, cluster: aws.eks.GetClusterResult) -> None:
    name = cluster.name
    if any(config.enabled for config in cluster.compute_configs):
        check.problem(
            "buildyard:cluster.name",
            f"{name} uses EKS Auto Mode, whose nodes forbid user namespaces, and which does not scale our node groups",
            "Use a cluster without Auto Mode, or disable it for this one.",
        )


def _check_identity(check: Check, settings: Settings, cluster: aws.eks.GetClusterResult) -> str | None:
    """Check that the cluster can give pods a role. Return the ARN of IAM's OIDC provider if the settings need it."""
    if settings.identity is Identity.IRSA:
        issuer = cluster.identities[0].oidcs[0].issuer
        provider = check.settle(
            attempt(lambda: aws.iam.get_open_id_connect_provider(url=issuer)),
            path="buildyard:identity",
            hint=f"Create an IAM OIDC provider for the cluster's issuer {issuer}, or use pod-identity.",
        )
        return provider.arn if provider else None
    agent = attempt(lambda: aws.eks.get_addon(cluster_name=cluster.name, addon_name=POD_IDENTITY_AGENT))
    if not isinstance(agent, RefusalError):
        check.found = f"{check.found}, {POD_IDENTITY_AGENT} {agent.addon_version}"
    elif agent.is_missing:
        check.problem(
            "buildyard:identity",
            f"the cluster {cluster.name} has no add-on {POD_IDENTITY_AGENT}, so build pods would get no role",
            f"Run aws eks create-addon --cluster-name {cluster.name} --addon-name {POD_IDENTITY_AGENT}, or use irsa.",
        )
    else:
        check.unknown(f"whether {cluster.name} has the add-on {POD_IDENTITY_AGENT}", agent, "Allow eks:DescribeAddon.")
    return None
