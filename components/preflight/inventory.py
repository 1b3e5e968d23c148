"""Checks of what exists already under the stack's names: repositories that it takes in, and nodes that run."""

from collections.abc import Mapping, Sequence
from functools import partial

import pulumi_aws as aws

from components import existing
from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.nodes import NodeGroups
from stacks.names import stack_name
from stacks.settings import Settings


def list_repositories() -> Sequence[str] | RefusalError:
    """The names of all repositories in the region."""
    return attempt(lambda: aws.ecr.get_repositories().names)


def find_repositories(
    settings: Settings, stack: str, listed: Sequence[str] | RefusalError
) -> tuple[frozenset[str], Check]:
    """The names of the stack's repositories that exist, and are or become the stack's. `listed` are all names."""
    check = Check(title="Repositories that exist")
    found = check.settle(
        listed
        if isinstance(listed, RefusalError)
        else attempt(partial(existing.repositories, settings, stack, listed)),
        path="buildyard:registry",
        hint="Use credentials with ecr:DescribeRepositories, ecr:ListTagsForResource and tag:GetResources.",
    )
    if found is None:
        return frozenset(), check
    check.found = f"{len(found.own)} of the stack, {len(found.others)} others"
    check.problems += existing.problems(settings, found.others)
    check.notices += existing.notices(settings, found.others)
    return found.taken_in, check


def find_running_nodes(stack: str, groups: NodeGroups | RefusalError) -> tuple[Mapping[str, int], Check]:
    """How many nodes run in each node group of the stack, by the group's name. `groups` are all of the cluster."""
    check = Check(title="Nodes that run")
    found = check.settle(
        attempt(partial(_running, f"{stack_name(stack)}-", groups)),
        path="buildyard:nodes",
        hint="Use credentials that may call eks:ListNodegroups and eks:DescribeNodegroup.",
    )
    if found is None:
        return {}, check
    check.found = f"{sum(found.values())} in {len(found)} node groups of the stack"
    return found, check


def _running(prefix: str, groups: NodeGroups | RefusalError) -> Mapping[str, int]:
    if isinstance(groups, RefusalError):
        raise groups
    running: dict[str, int] = {}
    for name, group in groups.items():
        if name.startswith(prefix):
            if isinstance(group, RefusalError):
                raise group
            running[name] = group.scaling_configs[0].desired_size
    return running
