"""Rules that AWS has for settings, which depend on the account, the region and the cluster."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

import pulumi_aws as aws

from stacks.iam import ROOT
from stacks.problems import Problem
from stacks.settings import Settings

T = TypeVar("T")


class Ask(Protocol):
    """Asks AWS. An error becomes a problem of the setting at `path`, and the answer is None."""

    def __call__(self, question: Callable[[], T], *, path: str, hint: str) -> T | None: ...


def path(settings: Settings, authentication_mode: str) -> Iterator[Problem]:
    """Find a path of nodes' roles that the cluster cannot read.

    For a new node group, EKS makes an access entry, whose ARN has the path. A cluster without access entries has only
    the ConfigMap `aws-auth`, in which EKS writes the path too, though ARNs there cannot have one: no node ever joins.
    Sources: https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html,
    https://github.com/aws/containers-roadmap/issues/926
    """
    if settings.iam.path != ROOT and authentication_mode == "CONFIG_MAP":
        yield Problem(
            path="buildyard:iam.path",
            message=f"nodes whose role has a path cannot join the cluster {settings.cluster.name}, which has no access "
            "entries",
            hint=f"Run `aws eks update-cluster-config --name {settings.cluster.name} --access-config "
            "authenticationMode=API_AND_CONFIG_MAP`, or remove the key.",
        )


def boundary(settings: Settings, *, account_id: str, partition: str, ask: Ask) -> Iterator[Problem]:
    """Find a permissions boundary that no role of the account can have.

    It can be a policy of the account, or one of AWS's.
    """
    arn, key = settings.iam.permissions_boundary, "buildyard:iam.permissions-boundary"
    if arn is None:
        return
    _, of_partition, _, _, of_account, _ = arn.split(":")
    if of_partition != partition or of_account not in (account_id, "aws"):
        yield Problem(
            path=key,
            message=f"{arn} is not a policy of the account {account_id} in the partition {partition}",
            hint="Use a policy of this account, or one of AWS's.",
        )
        return
    ask(
        partial(aws.iam.get_policy, arn=arn),
        path=key,
        hint="Use the ARN of a policy that exists and that the credentials may read.",
    )


def keys(settings: Settings, *, region: str) -> Iterator[Problem]:
    """Find KMS keys of other regions, which cannot encrypt the nodes' volumes."""
    for architecture, nodes in settings.nodes.items():
        if nodes.kms_key and nodes.kms_key.split(":")[3] != region:
            yield Problem(
                path=f"buildyard:nodes.{architecture}.kms-key",
                message=f"the key is in {nodes.kms_key.split(':')[3]}, and the nodes are in {region}",
                hint=f"Use a key in {region}.",
            )


def security_groups(settings: Settings, *, vpc: str, ask: Ask) -> Iterator[Problem]:
    """Find security groups that do not exist, or that are not in `vpc`, the cluster's."""
    for architecture, nodes in settings.nodes.items():
        for position, group in enumerate(nodes.security_groups):
            key = f"buildyard:nodes.{architecture}.security-groups[{position}]"
            found = ask(
                partial(aws.ec2.get_security_group, id=group),
                path=key,
                hint="Use the id of a security group in this account and region that the credentials may describe.",
            )
            if found and found.vpc_id != vpc:
                yield Problem(
                    path=key,
                    message=f"{group} is in the VPC {found.vpc_id}, and the cluster is in {vpc}",
                    hint="Use security groups of the cluster's VPC.",
                )
