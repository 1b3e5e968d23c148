"""Checks of nodes: the instance types of builds, whether every job fits one, and where managers can run."""

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

import pulumi_aws as aws

from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.parallel import together
from stacks.settings import Settings
from stacks.sizing import InstanceType, check_fit

NodeGroups: TypeAlias = Mapping[str, aws.eks.GetNodeGroupResult | RefusalError]
"""Managed node groups by name, and refusals to describe one."""

_REPELLING = ("NO_SCHEDULE", "NO_EXECUTE")


def find_instance_types(settings: Settings) -> tuple[Mapping[str, InstanceType], Check]:
    """The instance types that EC2 has, and whether the jobs fit them."""
    check = Check(title="Instance types of build nodes")
    places: dict[str, str] = {}
    for architecture, nodes in settings.nodes.items():
        for position, name in enumerate(nodes.instance_types):
            places.setdefault(name, f"buildyard:nodes.{architecture}.instance-types[{position}]")
    answers = together(partial(attempt, partial(_instance_type, name)) for name in places)
    hint = "Use instance types that EC2 has in this region."
    known = {
        name: found
        for (name, path), answer in zip(places.items(), answers, strict=True)
        if (found := check.settle(answer, path=path, hint=hint))
    }
    check.found = ", ".join(known)
    if len(known) == len(places):
        check.problems += check_fit(settings, known)
    return known, check


def _instance_type(name: str) -> InstanceType:
    found = aws.ec2.get_instance_type(instance_type=name)
    return InstanceType(
        vcpus=found.default_vcpus,
        memory_mib=found.memory_size,
        architectures=tuple(found.supported_architectures),
        network_interfaces=found.maximum_network_interfaces,
        addresses_per_interface=found.maximum_ipv4_addresses_per_interface,
    )


def list_node_groups(cluster: str) -> NodeGroups | RefusalError:
    """The cluster's managed node groups."""
    listed = attempt(lambda: sorted(aws.eks.get_node_groups(cluster_name=cluster).names))
    if isinstance(listed, RefusalError):
        return listed
    groups = together(
        partial(attempt, partial(aws.eks.get_node_group, cluster_name=cluster, node_group_name=name)) for name in listed
    )
    return dict(zip(listed, groups, strict=True))


def check_nodes_for_managers(cluster: str, groups: NodeGroups | RefusalError) -> Check:
    """Check whether managers can run on one of the cluster's node groups."""
    check = Check(title="Nodes for managers")
    if isinstance(groups, RefusalError):
        check.unknown(f"the node groups of {cluster}", groups, "Allow eks:ListNodegroups.")
        return check
    usable = [name for name, group in groups.items() if not isinstance(group, RefusalError) and _takes_any_pod(group)]
    refusals = [group for group in groups.values() if isinstance(group, RefusalError) and not group.is_missing]
    if usable:
        check.found = f"node group {usable[0]}" + (f" and {len(usable) - 1} more" if len(usable) > 1 else "")
    elif refusals:
        check.unknown(
            f"the taints of {cluster}'s node groups", refusals[0], "Allow eks:DescribeNodegroup for them all."
        )
    else:
        check.notice(
            f"No managed node group of {cluster} takes pods without tolerations, and the runners' managers have none",
            "If nodes of another kind take them (Karpenter, self-managed, Fargate), all is well: "
            "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints",
        )
    return check


def _takes_any_pod(group: aws.eks.GetNodeGroupResult) -> bool:
    """Whether a node group has or can get nodes that no taint protects."""
    can_have_nodes = any(config.max_size > 0 for config in group.scaling_configs)
    return can_have_nodes and not any(taint.effect in _REPELLING for taint in group.taints)
