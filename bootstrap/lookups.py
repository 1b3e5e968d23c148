"""Lookups of what must be there already: the account, the clusters of its stacks, GitLab's provider."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pulumi
import pulumi_aws as aws

from bootstrap.role_documents import AUDIENCE
from bootstrap.settings import NAMESPACE, Loaded
from bootstrap.targets import Account
from stacks.problems import Problem, SettingsError

T = TypeVar("T")

TAG = "buildyard:bootstrap"
"""The tag of all that a project like this makes."""

API_MODES = ("API", "API_AND_CONFIG_MAP")
"""EKS's authentication modes with access entries.

Source: https://docs.aws.amazon.com/eks/latest/userguide/grant-k8s-access.html
"""


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """`provider_arn` is that of the provider which exists already; None if this project makes it."""

    account: Account
    provider_arn: str | None


def look_up(loaded: Loaded) -> Lookups:
    """Look up what the settings refer to. Raises `SettingsError` with everything that is not as they say."""
    problems: list[Problem] = []
    account = Account(id=aws.get_caller_identity().account_id, partition=aws.get_partition().partition)
    for position, stack in enumerate(loaded.bootstrap.stacks):
        problems += _problems_of_stack(loaded, stack, f"{NAMESPACE}:stacks[{position}]", account)
    provider = None
    if loaded.bootstrap.gitlab.existing_provider:
        url = loaded.bootstrap.gitlab.url
        provider = _ask(
            lambda: aws.iam.get_open_id_connect_provider(url=url),
            problems,
            path=f"{NAMESPACE}:gitlab.existing-provider",
            hint=f"Remove the key, if IAM has no OIDC provider for {url} yet: this project creates it.",
        )
        problems += problems_of_provider(provider) if provider else ()
    if problems:
        raise SettingsError(problems, source=loaded.source)
    return Lookups(account=account, provider_arn=provider.arn if provider else None)


def problems_of_provider(provider: aws.iam.GetOpenIdConnectProviderResult) -> Iterator[Problem]:
    """Find why a provider that exists already cannot be used as somebody else's."""
    path = f"{NAMESPACE}:gitlab.existing-provider"
    if TAG in provider.tags:
        yield Problem(
            path=path,
            message=f"{provider.url} is the provider that a project like this has made, which would delete it now",
            hint="Remove the key, if it was this project; else use credentials of another account.",
        )
    if AUDIENCE not in provider.client_id_lists:
        yield Problem(
            path=path,
            message=f"the provider does not take tokens for {AUDIENCE}, which jobs have",
            hint="Run aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn "
            f"{provider.arn} --client-id {AUDIENCE}.",
        )


def _problems_of_stack(loaded: Loaded, stack: str, path: str, account: Account) -> list[Problem]:
    problems: list[Problem] = []
    settings, region = loaded.stacks[stack], loaded.regions[stack]
    expected = settings.registry.account
    if expected and expected != account.id:
        problems.append(
            Problem(
                path=path,
                message=f"{stack} is a stack of account {expected}, but the AWS credentials are of {account.id}",
                hint="Use credentials of that account, or move the stack to the settings of the other account.",
            )
        )
        return problems
    name = settings.cluster.name
    cluster = _ask(
        lambda: aws.eks.get_cluster(name=name, region=region),
        problems,
        path=path,
        hint=f"The cluster {name} must exist in {region}, and the credentials must be allowed to describe it.",
    )
    if cluster and cluster.access_configs[0].authentication_mode not in API_MODES:
        problems.append(
            Problem(
                path=path,
                message=f"the cluster {name} has no access entries: its authentication mode is "
                f"{cluster.access_configs[0].authentication_mode}",
                hint=f"Run: aws eks update-cluster-config --region {region} --name {name} "
                "--access-config authenticationMode=API_AND_CONFIG_MAP",
            )
        )
    return problems


def _ask(question: Callable[[], T], problems: list[Problem], *, path: str, hint: str) -> T | None:
    try:
        return question()
    except pulumi.RunError:  # the engine is shutting down
        raise
    except Exception as refusal:  # the SDK has no class for a provider's errors
        reason = str(refusal).rpartition(" returned an error: ")[2]
        problems.append(Problem(path=path, message=reason.strip(), hint=hint))
        return None
