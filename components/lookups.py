"""The facts about AWS, the cluster and GitLab that the resources of a stack are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.preflight.account import Account
from components.preflight.cluster import Cluster
from components.preflight.gitlab import GitLab
from components.preflight.inspection import inspect
from stacks.problems import Notice, SettingsError
from stacks.settings import Settings


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
    notices: tuple[Notice, ...]


def look_up(settings: Settings, *, stack: str, source: str) -> Lookups:
    """Check everything that can be asked before the first resource, and return what the resources need.

    Raises `SettingsError` with all that does not match reality: credentials of another account, a cluster, group or
    instance type that does not exist, jobs that fit no node.
    """
    found = inspect(settings, stack=stack, source=source)
    if found.problems or not (found.account and found.cluster and found.gitlab):
        raise SettingsError(found.problems, source=source)
    return Lookups(
        account=found.account,
        cluster=found.cluster,
        gitlab=found.gitlab,
        repositories=found.repositories,
        running_nodes=found.running_nodes,
        notices=tuple(found.notices),
    )
