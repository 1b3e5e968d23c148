"""The rights on registries that the settings give: what builds pull besides the stack's images, and who pulls these."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from components.policy_documents import PULL_ACTIONS, Document
from stacks import registry_checks
from stacks.partitions import partition_of
from stacks.problems import Notice, Problem
from stacks.registries import Pull, cached_upstreams, split_reference
from stacks.settings import Identity, Settings
from stacks.trust import Tier

MAX_REPOSITORY_POLICY = 10_240
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html"""

_REGISTRY = "buildyard:registry"


@dataclass(frozen=True, kw_only=True)
class RegistryAccount:
    """The AWS account, region and host of the stack's registry."""

    id: str
    region: str
    partition: str
    host: str


def pull_arns(settings: Settings, registry: RegistryAccount) -> list[str]:
    """The ARNs of the repositories in `registry.pull-from`."""
    return [_arn(reference, registry) for reference in settings.registry.pull_from]


def _arn(reference: str, registry: RegistryAccount) -> str:
    host, name = split_reference(reference, registry.host)
    account, _, _, region, *_ = host.split(".")
    return f"arn:{registry.partition}:ecr:{region}:{account}:repository/{name}"


def cache_arns(settings: Settings, registry: RegistryAccount, tier: Tier) -> list[str]:
    """The ARNs of the repositories that ECR makes for a tier's pull-through caches."""
    caches = cached_upstreams(settings.registry.pull_through)
    prefixes = [each.prefix(settings.registry.prefix, tier) for each in caches]
    return [f"arn:{registry.partition}:ecr:{registry.region}:{registry.id}:repository/{each}/*" for each in prefixes]


def pull_policy(pull: Pull, registry: RegistryAccount) -> Document | None:
    """The policy of the released images' repositories. None if nobody else may pull.

    Lambda in another account needs both the service's right and the account's.
    Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html,
    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
    """
    statements = [{"Effect": "Allow", "Action": [*PULL_ACTIONS], **who} for who in _who_pulls(pull, registry)]
    return {"Version": "2012-10-17", "Statement": statements} if statements else None


def _who_pulls(pull: Pull, registry: RegistryAccount) -> Iterator[Document]:
    lambdas = [account for account in pull.lambda_accounts if account != registry.id]
    accounts = [f"arn:{registry.partition}:iam::{each}:root" for each in dict.fromkeys([*pull.accounts, *lambdas])]
    if accounts or pull.principals:
        yield {"Sid": "Accounts", "Principal": {"AWS": [*accounts, *dict.fromkeys(pull.principals)]}}
    if pull.organizations:
        condition = {"StringEquals": {"aws:PrincipalOrgID": [*dict.fromkeys(pull.organizations)]}}
        yield {"Sid": "Organizations", "Principal": {"AWS": "*"}, "Condition": condition}
    if pull.lambda_accounts:
        functions = [
            f"arn:{registry.partition}:lambda:{registry.region}:{each}:function:*"
            for each in dict.fromkeys(pull.lambda_accounts)
        ]
        yield {
            "Sid": "Lambda",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Condition": {"ArnLike": {"aws:SourceArn": functions}},
        }


def notices(settings: Settings, registry: RegistryAccount) -> Iterator[Notice]:
    """Notices of what some partitions lack by AWS's documentation. It may be there by now, so it is no problem.

    Sources: https://docs.amazonaws.cn/en_us/eks/latest/userguide/pod-identities.html,
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
    """
    if registry.partition == "aws-cn" and settings.identity is Identity.POD_IDENTITY:
        yield Notice(
            message="buildyard:identity: AWS documents that its regions in China have no EKS Pod Identity",
            hint="If so, use irsa.",
        )
    if registry.partition in ("aws-cn", "aws-us-gov") and any(cached_upstreams(settings.registry.pull_through)):
        yield Notice(
            message="buildyard:registry.pull-through: AWS has documented that ECR in China and GovCloud has no "
            "pull-through cache",
            hint="If so, remove the key.",
        )


def problems(settings: Settings, registry: RegistryAccount) -> Iterator[Problem]:
    """Everything that does not match the account, region and partition of the stack."""
    yield from registry_checks.pulled(settings, own_host=registry.host)
    for position, reference in enumerate(settings.registry.pull_from):
        region = split_reference(reference, registry.host)[0].split(".")[3]
        if partition_of(region).name != registry.partition:
            yield Problem(
                path=f"{_REGISTRY}.pull-from[{position}]",
                message=f"{region} is not in the partition {registry.partition} of the stack",
                hint="Copy the image into a registry of this partition: no role of it can pull from another one.",
            )
    if (key := settings.registry.kms_key) and key.split(":")[1] != registry.partition:
        yield Problem(
            path=f"{_REGISTRY}.kms-key",
            message=f"the key is not in the partition {registry.partition} of the registry",
            hint=f"Use a key in {registry.region}.",
        )
    for cached in cached_upstreams(settings.registry.pull_through):
        # Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-rule.html
        if cached.credentials and cached.credentials.split(":")[3:5] != [registry.region, registry.id]:
            yield Problem(
                path=f"{_REGISTRY}.pull-through.{cached.upstream.key}.credentials",
                message=f"the secret is not in {registry.region} of the account {registry.id}, where the registry is",
                hint="Store a secret there, and use its ARN.",
            )
    for position, principal in enumerate(settings.registry.pull.principals):
        if principal.split(":")[1] != registry.partition:
            yield Problem(
                path=f"{_REGISTRY}.pull.principals[{position}]",
                message=f"{principal} is not in the partition {registry.partition} of the registry",
                hint="Use an ARN of this partition: no other one can reach the registry.",
            )
    policy = pull_policy(settings.registry.pull, registry)
    if policy and len(json.dumps(policy)) > MAX_REPOSITORY_POLICY:
        yield Problem(
            path=f"{_REGISTRY}.pull",
            message=f"the repository policy would have {len(json.dumps(policy)):,} characters, and ECR takes "
            f"{MAX_REPOSITORY_POLICY:,} at most",
            hint="Use accounts or organizations instead of single principals.",
        )
