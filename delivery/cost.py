"""The cost of the build nodes: at most, when all of them run, and when idle. Pure functions over `delivery.prices`.

Spot has no fixed price, so the price on demand is the most that it costs. A group of several instance types costs at
most as much as the dearest of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from delivery.preview import Change, Operation, Preview, name_of, type_of
from delivery.prices import BASELINE_IOPS, BASELINE_THROUGHPUT, Prices, UnknownPriceError, dearest
from delivery.resource_types import LAUNCH_TEMPLATE, NODE_GROUP, REPOSITORY
from stacks.cluster import Capacity, Nodes
from stacks.quantities import GIBIBYTE
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A node's volume, of the type gp3."""

    gigabytes: int
    iops: int = BASELINE_IOPS
    throughput: int = BASELINE_THROUGHPUT


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """The nodes of a group that may run at the same time."""

    instance_types: tuple[str, ...]
    max_size: int
    spot: bool
    volumes: tuple[Volume, ...]
    """Of each node. Empty if the preview does not say them."""

    def __str__(self) -> str:
        types = " or ".join(self.instance_types)
        return f"{self.max_size} \N{MULTIPLICATION SIGN} {types}, {'spot' if self.spot else 'on demand'}"


@dataclass(frozen=True, kw_only=True)
class HourlyCost:
    """The most that nodes cost in an hour."""

    dollars: Decimal = Decimal(0)
    unknown: tuple[str, ...] = ()
    """The instances without a price: the sum says nothing."""
    without: tuple[str, ...] = ()
    """The volumes without a price, a small part of a node's cost."""

    def __add__(self, other: "HourlyCost") -> "HourlyCost":
        return HourlyCost(
            dollars=self.dollars + other.dollars,
            unknown=tuple(dict.fromkeys((*self.unknown, *other.unknown))),
            without=tuple(dict.fromkeys((*self.without, *other.without))),
        )


@dataclass(frozen=True, kw_only=True)
class GroupChange:
    """A node group before and after the update. None: it does not exist."""

    name: str
    before: NodeGroup | None
    after: NodeGroup | None


def at_most(group: NodeGroup | None, region: str, prices: Prices) -> HourlyCost:
    """The cost of an hour in which all nodes of the group run. Idle, it has no nodes, and costs nothing."""
    if group is None or not group.max_size:
        return HourlyCost()
    try:
        node = dearest(prices, region, group.instance_types)
    except UnknownPriceError as error:
        return HourlyCost(unknown=(str(error),))
    if not group.volumes:
        return HourlyCost(dollars=node * group.max_size, without=("volumes of an unknown size",))
    try:
        disks = sum(
            prices.volume_hour(region, gigabytes=each.gigabytes, iops=each.iops, throughput=each.throughput)
            for each in group.volumes
        )
    except UnknownPriceError as error:
        return HourlyCost(dollars=node * group.max_size, without=(str(error),))
    return HourlyCost(dollars=(node + disks) * group.max_size)


def total(groups: Sequence[NodeGroup | None], region: str, prices: Prices) -> HourlyCost:
    """The cost of an hour in which all nodes of all groups run."""
    return sum((at_most(group, region, prices) for group in groups), HourlyCost())


def of_settings(settings: Settings) -> Mapping[str, NodeGroup]:
    """The node groups that a stack has, by tier and architecture."""
    return {
        f"{tier}, {architecture}": NodeGroup(
            instance_types=nodes.instance_types,
            max_size=nodes.max_size,
            spot=nodes.capacity is Capacity.SPOT,
            volumes=tuple(_volumes_of(nodes)),
        )
        for tier in settings.trust.tiers
        for architecture, nodes in settings.nodes.items()
    }


def _volumes_of(nodes: Nodes) -> Iterator[Volume]:
    yield Volume(gigabytes=int(nodes.disk.value / GIBIBYTE), iops=nodes.disk_iops, throughput=nodes.disk_throughput)
    if cache := nodes.cache:
        yield Volume(gigabytes=int(cache.size.value / GIBIBYTE), iops=cache.iops, throughput=cache.throughput)


def of_preview(preview: Preview) -> list[GroupChange]:
    """The node groups that the update creates, changes or deletes."""
    templates = {change.parent: change for change in preview.changes if change.type == LAUNCH_TEMPLATE}
    kept = {step.parent: step.inputs for step in preview.unchanged if type_of(step.urn) == LAUNCH_TEMPLATE}
    kept_groups = {step.parent: step for step in preview.unchanged if type_of(step.urn) == NODE_GROUP}
    found = [_changed(change, templates.get(change.parent), kept.get(change.parent)) for change in _groups(preview)]
    for parent, step in kept_groups.items():
        if template := templates.get(parent):
            before, after = (_group(step.inputs, inputs) for inputs in (template.old, template.new))
            found.append(GroupChange(name=name_of(step.urn), before=before, after=after))
    return [change for change in found if change.before != change.after]


def new_repositories(preview: Preview) -> int:
    """The number of ECR repositories that the update creates."""
    return sum(change.type == REPOSITORY and change.operation is Operation.CREATE for change in preview.changes)


def _groups(preview: Preview) -> Iterator[Change]:
    return (change for change in preview.changes if change.type == NODE_GROUP)


def _changed(change: Change, template: Change | None, kept: Mapping[str, Any] | None) -> GroupChange:
    old, new = (template.old, template.new) if template else (kept, kept)
    return GroupChange(
        name=change.name,
        before=None if change.operation is Operation.CREATE else _group(change.old, old),
        after=None if change.operation is Operation.DELETE else _group(change.new, new),
    )


def _group(inputs: Mapping[str, Any], template: Mapping[str, Any] | None) -> NodeGroup:
    scaling, types = inputs.get("scalingConfig"), inputs.get("instanceTypes")
    size = scaling.get("maxSize") if isinstance(scaling, Mapping) else None
    return NodeGroup(
        instance_types=tuple(each for each in types if isinstance(each, str)) if isinstance(types, list) else (),
        max_size=_number(size) or 0,
        spot=inputs.get("capacityType") == "SPOT",
        volumes=_volumes(template or {}),
    )


def _volumes(template: Mapping[str, Any]) -> tuple[Volume, ...]:
    devices = template.get("blockDeviceMappings")
    found = [_volume(each) for each in devices] if isinstance(devices, list) else []
    known = [each for each in found if each]
    return tuple(known) if len(known) == len(found) else ()


def _volume(device: Any) -> Volume | None:
    disk = device.get("ebs") if isinstance(device, Mapping) else None
    size = _number(disk.get("volumeSize")) if isinstance(disk, Mapping) else None
    if disk is None or size is None:
        return None
    return Volume(
        gigabytes=size,
        iops=_number(disk.get("iops")) or BASELINE_IOPS,
        throughput=_number(disk.get("throughput")) or BASELINE_THROUGHPUT,
    )


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**31 else None
