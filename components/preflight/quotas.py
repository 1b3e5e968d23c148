"""Checks of the account's service quotas.

An account can have its quotas raised at any time, and other programs use them, too. So only a stack that certainly
fails is a problem, and the rest are notices.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi_aws as aws

from components.preflight.account import Account
from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.names import NODE_GROUP, ROLE, names
from components.preflight.parallel import together
from stacks.cluster import Capacity
from stacks.settings import Settings
from stacks.sizing import InstanceType


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota by its codes in AWS's Service Quotas."""

    service: str
    code: str
    what: str
    """The quota's name in the console."""


VCPUS = {
    Capacity.ON_DEMAND: Quota(
        service="ec2", code="L-1216C47A", what="Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    ),
    Capacity.SPOT: Quota(
        service="ec2", code="L-34B43A08", what="All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"
    ),
}
"""Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html"""
NODE_GROUPS = Quota(service="eks", code="L-6D54EA21", what="Managed node groups per cluster")
REPOSITORIES = Quota(service="ecr", code="L-CFEB8E8D", what="Registered repositories")
ROLES = Quota(service="iam", code="L-FE177D64", what="Roles per account")

STANDARD_FAMILIES = ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z")
"""The letters before the digits in the names of instance types that the quotas of vCPUs are for."""

GLOBAL_QUOTAS_IN = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1"}
"""The region, by partition, that knows the quotas of services without regions, such as IAM."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """A stack's need of one quota."""

    quota: Quota
    needed: int
    """The amount with which everything that the settings allow can exist."""
    least: int
    """The amount below which something certainly fails."""
    path: str
    """The key to change instead of the quota."""
    reason: str
    """The figures that `needed` is made of."""
    failure: str
    """The consequence of a quota below `least`."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """A stack, and the names of what exists already in its cluster and account."""

    settings: Settings
    stack: str
    instance_types: Mapping[str, InstanceType]
    node_groups: Sequence[str] | None
    """None: they are not known, and somebody else said so."""
    repositories: Sequence[str] | RefusalError
    roles: Sequence[str] | RefusalError

    @property
    def uses(self) -> Iterator[Use]:
        """The stack's use of each quota."""
        yield from filter(None, (self._vcpus(capacity) for capacity in Capacity))
        if self.node_groups is not None:
            yield self._node_groups(self.node_groups)
        if not isinstance(self.repositories, RefusalError):
            yield self._repositories(self.repositories)
        if not isinstance(self.roles, RefusalError):
            yield self._roles(self.roles)

    def _vcpus(self, capacity: Capacity) -> Use | None:
        """The vCPUs of all node groups at their largest. EC2's other instance families have quotas of their own."""
        count = most = least = 0
        path = ""
        for architecture, nodes in self.settings.nodes.items():
            known = [self.instance_types.get(name) for name in nodes.instance_types if is_standard(name)]
            sizes = [each.vcpus for each in known if each]
            if nodes.capacity is not capacity or len(sizes) < len(nodes.instance_types):
                continue
            groups = len(self.settings.trust.tiers)
            count += groups * nodes.max_size
            most += groups * nodes.max_size * max(sizes)
            if min(sizes) > least:
                least, path = min(sizes), f"buildyard:nodes.{architecture}.instance-types"
        if not most:
            return None
        return Use(
            quota=VCPUS[capacity],
            needed=most,
            least=least,
            path=path,
            reason=f"{count} {capacity} nodes, the sum of all max-size, have {most:,} vCPUs, each at least {least}",
            failure="no node could start",
        )

    def _node_groups(self, existing: Sequence[str]) -> Use:
        stems = [name for rule, name in names(self.settings, self.stack) if rule is NODE_GROUP]
        own = re.compile("|".join(f"{re.escape(stem)}-[0-9a-f]{{7}}" for stem in stems))
        others = [name for name in existing if not own.fullmatch(name)]
        return Use(
            quota=NODE_GROUPS,
            needed=len(others) + 2 * len(stems),
            least=len(others) + len(stems),
            path="buildyard:nodes",
            reason=f"the cluster has {len(others)} other node groups, and the stack {len(stems)}, twice as many while "
            "they are replaced",
            failure="EKS would refuse node groups",
        )

    def _repositories(self, existing: Sequence[str]) -> Use:
        settings = self.settings
        wanted = {name for tier in settings.trust.tiers for name in settings.pushed_repositories(tier)}
        if settings.builder_repository:
            wanted.add(settings.builder_repository)
        total = len(wanted | set(existing))
        return Use(
            quota=REPOSITORIES,
            needed=total,
            least=total,
            path="buildyard:projects",
            reason=f"the region would have {total:,} repositories, {len(wanted):,} of them the stack's",
            failure="ECR would refuse repositories",
        )

    def _roles(self, existing: Sequence[str]) -> Use:
        wanted = {name for rule, name in names(self.settings, self.stack) if rule is ROLE}
        total = len(wanted | set(existing))
        return Use(
            quota=ROLES,
            needed=total,
            least=total,
            path="buildyard:nodes",
            reason=f"the account would have {total:,} roles, {len(wanted)} of them the stack's",
            failure="IAM would refuse roles",
        )


def is_standard(instance_type: str) -> bool:
    """Whether the quotas of vCPUs are for instances of this type."""
    family = re.match("[a-z]*", instance_type)
    return family is not None and family[0] in STANDARD_FAMILIES


def check_quotas(needs: Needs, account: Account) -> Check:
    """Compare what a stack needs with the account's quotas."""
    check = Check(title="Service quotas")
    uses = list(needs.uses)
    quotas = together(partial(attempt, partial(_value, use.quota, account)) for use in uses)
    known = [(use, quota) for use, quota in zip(uses, quotas, strict=True) if not isinstance(quota, RefusalError)]
    check.found = "; ".join(f"{use.quota.what}: {use.needed:,} of {quota:,}" for use, quota in known)
    for use, quota in known:
        figures = f"{use.reason}, but the quota '{use.quota.what}' is {quota:,}"
        hint = f"Ask AWS for more: Service Quotas, {use.quota.service}, {use.quota.code}."
        if use.least > quota:
            check.problem(use.path, f"{use.failure}: {figures}", hint)
        elif use.needed > quota:
            check.notice(f"{figures[0].upper()}{figures[1:]}", hint)
    refusals = [each for each in (*quotas, needs.repositories, needs.roles) if isinstance(each, RefusalError)]
    if refusals:
        check.unknown(f"{len(refusals)} service quotas", refusals[0], _RIGHTS)
    return check


_RIGHTS = (
    "Allow servicequotas:GetServiceQuota and GetAWSDefaultServiceQuota, ecr:DescribeRepositories and iam:ListRoles."
)


def list_roles() -> Sequence[str] | RefusalError:
    """The names of all roles in the account."""
    return attempt(lambda: aws.iam.get_roles().names)


def _value(quota: Quota, account: Account) -> int:
    region = GLOBAL_QUOTAS_IN.get(account.partition) if quota.service == "iam" else None
    found = aws.servicequotas.get_service_quota(service_code=quota.service, quota_code=quota.code, region=region)
    return int(found.value)
