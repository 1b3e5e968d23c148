"""Checks of the AWS account: whose credentials these are, and whether roles can name all repositories."""

from dataclasses import dataclass

import pulumi_aws as aws

from components.kubeconfig import login_problems
from components.policy_documents import MAX_ROLE_POLICIES, Document, push
from components.preflight import account_rules
from components.preflight.checks import Check, attempt
from components.registry_access import RegistryAccount, cache_arns, notices, problems, pull_arns
from stacks.partitions import registry_host
from stacks.settings import Settings
from stacks.trust import Tier


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


def find_account(settings: Settings) -> tuple[Account | None, Check]:
    """The account of the credentials."""
    check = Check(title="AWS account", problems=list(login_problems()))
    account = check.settle(
        attempt(_account),
        path="AWS credentials",
        hint="Log in to AWS: `aws sts get-caller-identity` must succeed. Also set aws:region.",
    )
    if account is None:
        return None, check
    check.found = f"{account.id}, {account.region}"
    expected = settings.registry.account
    if expected and expected != account.id:
        check.problem(
            "buildyard:registry.account",
            f"the AWS credentials are of account {account.id}, not {expected}",
            f"Use credentials of {expected}, or change the key.",
        )
    return account, check


def _account() -> Account:
    return Account(
        id=aws.get_caller_identity().account_id,
        region=aws.get_region().region,
        partition=aws.get_partition().partition,
    )


def check_rights(settings: Settings, account: Account) -> Check:
    """Check that a role can name all repositories, and what the settings say about other accounts and registries."""
    check = Check(title="Rights of builds")
    count = sum(len(project.built) for project in settings.projects)
    needed = max(len(policies(settings, account, tier)) for tier in settings.trust.tiers)
    check.found = f"{needed} of {MAX_ROLE_POLICIES} policies per role"
    if needed > MAX_ROLE_POLICIES:
        check.problem(
            "buildyard:projects",
            f"a role needs {needed} policies to push {count} images, and AWS allows {MAX_ROLE_POLICIES}",
            "Split the projects into several stacks.",
        )
    check.problems += problems(settings, account.as_registry)
    check.problems += account_rules.keys(settings, region=account.region)
    check.problems += account_rules.boundary(
        settings, account_id=account.id, partition=account.partition, ask=check.ask
    )
    check.notices += notices(settings, account.as_registry)
    return check


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
