"""The questions that only a Pulumi program can ask, since the stack configures its providers."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pulumi
import pulumi_aws as aws

from components.preflight import checks as preflight
from components.preflight.gitlab import gitlab_url
from components.preflight.inspection import inspect
from delivery.doctor.outputs import Deployed, Place
from delivery.doctor.report import Check, Finding, Result
from stacks import config
from stacks.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The login to the account's ECR registry, at the address that ECR names."""

    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A question that AWS did not answer."""

    reason: str
    missing: bool = False
    """The thing that was asked for does not exist."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All answers. `gitlab_token` is None if nobody gave one."""

    before: tuple[Check, ...]
    """The checks of the preview."""
    gitlab_url: str
    gitlab_token: str | None = field(repr=False)
    node_groups: Mapping[Place, str | Refused]
    """The status of each node group."""
    registry: Registry | Refused | None
    """None if nobody asked for it."""


def ask_everything(stack: str, settings: Settings, deployed: Deployed | None) -> Answers:
    """Ask everything, in a Pulumi program. It creates nothing."""
    groups = deployed.node_groups if deployed else {}
    return Answers(
        before=tuple(map(_as_check, inspect(settings, stack=stack, source=config.file_name(stack)).checks)),
        gitlab_url=gitlab_url(),
        gitlab_token=pulumi.Config("gitlab").get("token") or os.environ.get("GITLAB_TOKEN"),
        node_groups={
            place: _ask(partial(_node_group_status, settings.cluster.name, name)) for place, name in groups.items()
        },
        registry=_ask(_registry) if deployed else None,
    )


def _as_check(found: preflight.Check) -> Check:
    """A check of the preview as one of the report."""
    warnings = [Finding(message=each.message, hint=each.hint) for each in (*found.notices, *found.manual)]
    problems = [Finding(message=f"{each.path}: {each.message}", hint=each.hint) for each in found.problems]
    result = Result.FAILED if problems else Result.NOTICE if warnings else Result.OK
    return Check(title=found.title, result=result, found=found.found, findings=(*problems, *warnings))


def _ask(question: Callable[[], T]) -> T | Refused:
    answer = preflight.attempt(question)
    if isinstance(answer, preflight.RefusalError):
        return Refused(reason=str(answer), missing=answer.is_missing)
    return answer


def _node_group_status(cluster: str, name: str) -> str:
    return aws.eks.get_node_group(cluster_name=cluster, node_group_name=name).status


def _registry() -> Registry:
    token = aws.ecr.get_authorization_token()
    return Registry(url=token.proxy_endpoint, user=token.user_name, password=token.password)
