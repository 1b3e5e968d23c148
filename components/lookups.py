"""Lookups of what exists before the stack: the AWS account, the cluster, the GitLab group or project.

All lookups happen before the first resource, so that a stack that cannot work fails its preview and creates nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pulumi
import pulumi_aws as aws
import pulumi_gitlab as gitlab

from components import existing
from components.policy_documents import MAX_ROLE_POLICIES, Document, push
from components.registry_access import RegistryAccount, cache_arns, problems, pull_arns
from pipeline.inputs import registry_host
from stacks import protection
from stacks.names import stack_name
from stacks.problems import Problem, SettingsError
from stacks.settings import Identity, Settings
from stacks.sizing import InstanceType, check_fit
from stacks.trust import Tier, Trust

T = TypeVar("T")

USER_NAMESPACES_SINCE = "1.33"
"""Enabled by default since then, and the kubelet's `idsPerPod` exists."""

GITLAB_COM = "https://gitlab.com/"


@dataclass(frozen=True, kw_only=True)
class Account:
    """The AWS account and region of the credentials. `partition` is AWS's name of the set of regions."""

    id: str
    region: str
    partition: str

    @property
    def registry_host(self) -> str:
        """The account's ECR registry."""
        return registry_host(self.id, self.region)

    @property
    def as_registry(self) -> RegistryAccount:
        """The account as the owner of its registry."""
        return RegistryAccount(id=self.id, region=self.region, partition=self.partition, host=self.registry_host)

    def repository_arn(self, name: str) -> str:
        """The ARN of the repository with this name."""
        return f"arn:{self.partition}:ecr:{self.region}:{self.id}:repository/{name}"


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


@dataclass(frozen=True, kw_only=True)
class GitLab:
    """The GitLab instance, and the group or project that may use the runners."""

    url: str
    group_id: int | None
    project_id: int | None


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """`notices` are for the person who reads the preview."""

    repositories: frozenset[str]
    """The names of the stack's repositories that exist, and are or become the stack's."""
    running_nodes: Mapping[str, int]
    """How many nodes run in each node group of the stack, by the group's name."""
    account: Account
    cluster: Cluster
    gitlab: GitLab
    notices: tuple[str, ...]


def look_up(settings: Settings, *, source: str) -> Lookups:
    """Look up what the settings refer to.

    Raises `SettingsError` with all settings that do not match reality: credentials of another account, a cluster,
    group or instance type that does not exist, jobs that fit no node.
    """
    queries = _Queries(settings)
    account = queries.account()
    cluster = queries.cluster()
    scope = queries.gitlab()
    queries.instance_types()
    queries.rights(account)
    queries.problems += problems(settings, account.as_registry)
    queries.protection()
    repositories = queries.repositories()
    running_nodes = queries.running_nodes()
    if queries.problems or not (cluster and scope):
        raise SettingsError(queries.problems, source=source)
    return Lookups(
        account=account,
        cluster=cluster,
        gitlab=scope,
        notices=tuple(queries.notices),
        repositories=repositories,
        running_nodes=running_nodes,
    )


class _Queries:
    """Queries to AWS and GitLab. An error becomes a problem of the key that caused the query."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.problems: list[Problem] = []
        self.notices: list[str] = []

    def _ask(self, question: Callable[[], T], *, path: str, hint: str) -> T | None:
        try:
            return question()
        except pulumi.RunError:  # the engine is shutting down
            raise
        except Exception as refusal:  # the SDK has no class for a provider's errors
            reason = str(refusal).rpartition(" returned an error: ")[2]  # without the SDK's prefix about the call
            self.problems.append(Problem(path=path, message=reason.strip(), hint=hint))
            return None

    def account(self) -> Account:
        caller = aws.get_caller_identity()
        expected = self._settings.registry.account
        if expected and expected != caller.account_id:
            self.problems.append(
                Problem(
                    path="buildyard:registry.account",
                    message=f"the AWS credentials are of account {caller.account_id}, not {expected}",
                    hint=f"Use credentials of {expected}, or change the key.",
                )
            )
        return Account(id=caller.account_id, region=aws.get_region().region, partition=aws.get_partition().partition)

    def rights(self, account: Account) -> None:
        """Find more repositories than the policies of one role can name."""
        settings = self._settings
        count = sum(len(project.built) for project in settings.projects)
        needed = max(len(policies(settings, account, tier)) for tier in settings.trust.tiers)
        if needed > MAX_ROLE_POLICIES:
            self.problems.append(
                Problem(
                    path="buildyard:projects",
                    message=f"a role needs {needed} policies to push {count} images, and AWS allows "
                    f"{MAX_ROLE_POLICIES}",
                    hint="Split the projects into several stacks.",
                )
            )

    def cluster(self) -> Cluster | None:
        wanted = self._settings.cluster
        found = self._ask(
            lambda: aws.eks.get_cluster(name=wanted.name),
            path="buildyard:cluster.name",
            hint="Use the name of an EKS cluster in this account and region that the credentials may describe.",
        )
        if found is None:
            return None
        self._user_namespaces(found.version)
        return Cluster(
            name=found.name,
            arn=found.arn,
            version=found.version,
            endpoint=found.endpoint,
            certificate_authority=found.certificate_authorities[0].data,
            subnet_ids=wanted.subnet_ids or tuple(found.vpc_config.subnet_ids),
            oidc_provider_arn=self._oidc_provider(found.identities[0].oidcs[0].issuer),
            networks=self._networks(found),
            vpc_endpoints=self._vpc_endpoints(found),
        )

    def _user_namespaces(self, version: str) -> None:
        if self._settings.runners.user_namespaces and _numbers(version) < _numbers(USER_NAMESPACES_SINCE):
            self.problems.append(
                Problem(
                    path="buildyard:runners.user-namespaces",
                    message=f"Kubernetes {version} has no user namespaces for pods",
                    hint=f"Upgrade the cluster to {USER_NAMESPACES_SINCE} or newer, or remove the key.",
                )
            )

    def _networks(self, cluster: aws.eks.GetClusterResult) -> tuple[str, ...]:
        if self._settings.network.deny is not None:
            return self._settings.network.deny
        vpc = self._ask(
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

    def _vpc_endpoints(self, cluster: aws.eks.GetClusterResult) -> tuple[str, ...]:
        if self._settings.network.deny is not None:
            return ()
        vpc = cluster.vpc_config.vpc_id
        addresses = self._ask(
            lambda: _vpc_endpoint_addresses(vpc),
            path="buildyard:network.deny",
            hint="Use credentials that may describe network interfaces, or name the networks of pods and nodes here.",
        )
        return addresses or ()

    def _oidc_provider(self, issuer: str) -> str | None:
        if self._settings.identity is not Identity.IRSA:
            return None
        provider = self._ask(
            lambda: aws.iam.get_open_id_connect_provider(url=issuer),
            path="buildyard:identity",
            hint=f"Create an IAM OIDC provider for the cluster's issuer {issuer}, or use pod-identity.",
        )
        return provider.arn if provider else None

    def gitlab(self) -> GitLab | None:
        url = gitlab_url()
        group, project = self._settings.runner_group, self._settings.runners.project
        if project:
            owner = self._ask(
                lambda: gitlab.get_project(path_with_namespace=project),
                path="buildyard:runners.project",
                hint=f"Use the path of a project on {url} that the token may read.",
            )
            return GitLab(url=url, group_id=None, project_id=int(owner.id)) if owner else None
        found = self._ask(
            lambda: gitlab.get_group(full_path=group),
            path="buildyard:runners.group",
            hint=f"Use the path of a group on {url} that the token may read.",
        )
        return GitLab(url=url, group_id=found.group_id, project_id=None) if found else None

    def repositories(self) -> frozenset[str]:
        """Find the stack's repositories that exist already, and those that it must not take in."""
        found = self._ask(
            lambda: existing.repositories(self._settings, pulumi.get_stack()),
            path="buildyard:registry",
            hint="Use credentials with ecr:DescribeRepositories, ecr:ListTagsForResource and tag:GetResources.",
        )
        if found is None:
            return frozenset()
        self.problems += existing.problems(self._settings, found.others)
        self.notices += existing.notices(self._settings, found.others)
        return found.taken_in

    def running_nodes(self) -> Mapping[str, int]:
        """Count the nodes that run in the stack's node groups."""
        prefix = f"{stack_name(pulumi.get_stack())}-"
        found = self._ask(
            lambda: existing.running_nodes(self._settings.cluster.name, lambda name: name.startswith(prefix)),
            path="buildyard:nodes",
            hint="Use credentials that may call eks:ListNodegroups and eks:DescribeNodegroup.",
        )
        return found or {}

    def protection(self) -> None:
        """Find branches and tags that GitLab must protect: only their pipelines are of the protected tier."""
        if self._settings.trust is Trust.SHARED:
            return
        for position, project in enumerate(self._settings.projects):
            if not project.built:
                continue
            path, ask = f"buildyard:projects[{position}]", partial(self._ask, hint=_READABLE)
            branches = ask(partial(_protected_branches, project.path), path=f"{path}.path")
            tags = ask(partial(_protected_tags, project.path), path=f"{path}.path") if branches is not None else None
            if branches is not None and tags is not None:
                self.problems += protection.problems(project, path, branches=branches, tags=tags)
                self.notices += protection.notices(self._settings.trust, project, branches=branches, tags=tags)

    def instance_types(self) -> None:
        known: dict[str, InstanceType] = {}
        for architecture, nodes in self._settings.nodes.items():
            for position, name in enumerate(nodes.instance_types):
                found = known.get(name) or self._ask(
                    partial(_instance_type, name),
                    path=f"buildyard:nodes.{architecture}.instance-types[{position}]",
                    hint="Use instance types that EC2 has in this region.",
                )
                if found:
                    known[name] = found
        if all(name in known for nodes in self._settings.nodes.values() for name in nodes.instance_types):
            self.problems += check_fit(self._settings, known)


def policies(settings: Settings, account: Account, tier: Tier) -> list[Document]:
    """The policies of a tier's build role."""
    pushed, pulled = (
        [account.repository_arn(name) for name in names]
        for names in (settings.pushed_repositories(tier), settings.pulled_repositories(tier))
    )
    registry = account.as_registry
    return push(
        pushed,
        pull_arns=[*pulled, *pull_arns(settings, registry)],
        cache_arns=cache_arns(settings, registry, tier),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _service_networks(config: aws.eks.outputs.GetClusterKubernetesNetworkConfigResult) -> tuple[str, str]:
    # An IPv4 cluster has no IPv6 network, and an IPv6 cluster no IPv4 network.
    return config.service_ipv4_cidr, config.service_ipv6_cidr


def _vpc_endpoint_addresses(vpc: str) -> tuple[str, ...]:
    filters = {"vpc-id": vpc, "interface-type": "vpc_endpoint"}
    found = aws.ec2.get_network_interfaces(
        filters=[{"name": name, "values": [value]} for name, value in filters.items()]
    )
    interfaces = [aws.ec2.get_network_interface(id=each) for each in sorted(found.ids)]
    return tuple(address for each in interfaces for address in (each.private_ip, *each.ipv6_addresses) if address)


def gitlab_url() -> str:
    """GitLab's address for browsers and runners, derived from the address of the provider's API."""
    api = pulumi.Config("gitlab").get("baseUrl") or os.environ.get("GITLAB_BASE_URL") or GITLAB_COM
    return api.rstrip("/").removesuffix("/api/v4") + "/"


_READABLE = "Use the path of a project of which the token may read the protected branches and tags."


def _protected_branches(project: str) -> list[str]:
    return [each.name for each in gitlab.get_project_protected_branches(project_id=project).protected_branches]


def _protected_tags(project: str) -> list[str]:
    return [each.tag for each in gitlab.get_project_protected_tags(project=project).protected_tags]


def _instance_type(name: str) -> InstanceType:
    found = aws.ec2.get_instance_type(instance_type=name)
    return InstanceType(
        vcpus=found.default_vcpus,
        memory_mib=found.memory_size,
        architectures=tuple(found.supported_architectures),
        network_interfaces=found.maximum_network_interfaces,
        addresses_per_interface=found.maximum_ipv4_addresses_per_interface,
    )
