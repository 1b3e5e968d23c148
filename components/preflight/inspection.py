"""All checks of a stack together."""

from dataclasses import dataclass

from components.preflight.account import Account, check_rights, find_account
from components.preflight.checks import Check
from components.preflight.cluster import Cluster, find_cluster
from components.preflight.gitlab import GitLab, find_runner_scope
from components.preflight.names import check_names
from components.preflight.nodes import check_nodes
from components.preflight.projects import check_projects
from stacks.problems import Notice, Problem
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The outcome of every check, in the order of a table, and what the checks found."""

    checks: tuple[Check, ...]
    account: Account
    cluster: Cluster | None
    gitlab: GitLab | None

    @property
    def problems(self) -> list[Problem]:
        """The problems of all checks. With one, nothing may be created."""
        return [problem for check in self.checks for problem in check.problems]

    @property
    def notices(self) -> list[Notice]:
        """The warnings of all checks."""
        return [notice for check in self.checks for notice in check.notices]


def inspect(settings: Settings, *, stack: str) -> Inspection:
    """Ask AWS and GitLab about everything that the stack needs. Call it in a Pulumi program; it creates nothing."""
    account, whose = find_account(settings)
    cluster, of_cluster = find_cluster(settings)
    scope, of_scope = find_runner_scope(settings)
    _, of_nodes = check_nodes(settings)
    checks = [
        check_names(settings, stack),
        whose,
        *of_cluster,
        of_nodes,
        check_rights(settings, account),
        of_scope,
        *check_projects(settings),
    ]
    return Inspection(checks=tuple(checks), account=account, cluster=cluster, gitlab=scope)
