"""Checks of what exists already under the stack's names: repositories that it takes in, and nodes that run."""

from collections.abc import Mapping
from functools import partial

from components import existing
from components.preflight.checks import Check, attempt
from stacks.names import stack_name
from stacks.settings import Settings


def find_repositories(settings: Settings, stack: str) -> tuple[frozenset[str], Check]:
    """The names of the stack's repositories that exist, and are or become the stack's."""
    check = Check(title="Repositories that exist")
    found = check.settle(
        attempt(partial(existing.repositories, settings, stack)),
        path="buildyard:registry",
        hint="Use credentials with ecr:DescribeRepositories, ecr:ListTagsForResource and tag:GetResources.",
    )
    if found is None:
        return frozenset(), check
    check.found = f"{len(found.own)} of the stack, {len(found.others)} others"
    check.problems += existing.problems(settings, found.others)
    check.notices += existing.notices(settings, found.others)
    return found.taken_in, check


def find_running_nodes(settings: Settings, stack: str) -> tuple[Mapping[str, int], Check]:
    """How many nodes run in each node group of the stack, by the group's name."""
    check = Check(title="Nodes that run")
    prefix = f"{stack_name(stack)}-"
    found = check.settle(
        attempt(partial(existing.running_nodes, settings.cluster.name, lambda name: name.startswith(prefix))),
        path="buildyard:nodes",
        hint="Use credentials that may call eks:ListNodegroups and eks:DescribeNodegroup.",
    )
    if found is None:
        return {}, check
    check.found = f"{sum(found.values())} in {len(found)} node groups of the stack"
    return found, check
