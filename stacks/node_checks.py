"""Checks of the build nodes' volumes, which concern several keys."""

from collections.abc import Iterator
from dataclasses import dataclass

from stacks.cluster import Nodes
from stacks.problems import Problem
from stacks.quantities import GIBIBYTE, Quantity
from stacks.settings import Settings

FREE_IOPS = 3000
IOPS_PER_GIB = 500
IOPS_PER_MIB = 4
"""Source of these: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type"""


@dataclass(frozen=True, kw_only=True)
class _Volume:
    """A volume of the type gp3, and the keys that set it."""

    size: Quantity
    iops: int
    throughput: int
    size_key: str
    iops_key: str
    throughput_key: str


def check(settings: Settings) -> Iterator[Problem]:
    """Find volumes that EC2 refuses when a node starts: the node group would stay empty, and jobs would wait."""
    for architecture, nodes in settings.nodes.items():
        for volume in _volumes(f"buildyard:nodes.{architecture}", nodes):
            yield from _check(volume)


def _volumes(key: str, nodes: Nodes) -> Iterator[_Volume]:
    yield _Volume(
        size=nodes.disk,
        iops=nodes.disk_iops,
        throughput=nodes.disk_throughput,
        size_key=f"{key}.disk",
        iops_key=f"{key}.disk-iops",
        throughput_key=f"{key}.disk-throughput",
    )
    if cache := nodes.cache:
        yield _Volume(
            size=cache.size,
            iops=cache.iops,
            throughput=cache.throughput,
            size_key=f"{key}.cache.size",
            iops_key=f"{key}.cache.iops",
            throughput_key=f"{key}.cache.throughput",
        )


def _check(volume: _Volume) -> Iterator[Problem]:
    most = max(FREE_IOPS, int(volume.size.value / GIBIBYTE) * IOPS_PER_GIB)
    if volume.iops > most:
        yield Problem(
            path=volume.iops_key,
            message=f"a volume of {volume.size} can have {most:,} IOPS, and not {volume.iops:,}",
            hint=f"Lower it, or raise {volume.size_key}.",
        )
    if (needed := volume.throughput * IOPS_PER_MIB) > volume.iops:
        yield Problem(
            path=volume.throughput_key,
            message=f"{volume.throughput:,} MiB per second need {needed:,} IOPS",
            hint=f"Lower it to at most {volume.iops // IOPS_PER_MIB:,}, or raise {volume.iops_key}.",
        )
