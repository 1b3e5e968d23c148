"""Checks of the build nodes' volumes, which concern several keys."""

from collections.abc import Iterator

from stacks.problems import Problem
from stacks.quantities import GIBIBYTE
from stacks.settings import Settings

FREE_IOPS = 3000
IOPS_PER_GIB = 500
IOPS_PER_MIB = 4
"""Source of these: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type"""


def check(settings: Settings) -> Iterator[Problem]:
    """Find volumes that EC2 refuses when a node starts: the node group would stay empty, and jobs would wait."""
    for architecture, nodes in settings.nodes.items():
        key = f"buildyard:nodes.{architecture}"
        most = max(FREE_IOPS, int(nodes.disk.value / GIBIBYTE) * IOPS_PER_GIB)
        if nodes.disk_iops > most:
            yield Problem(
                path=f"{key}.disk-iops",
                message=f"a volume of {nodes.disk} can have {most:,} IOPS, and not {nodes.disk_iops:,}",
                hint=f"Lower it, or raise {key}.disk.",
            )
        if nodes.disk_throughput * IOPS_PER_MIB > nodes.disk_iops:
            yield Problem(
                path=f"{key}.disk-throughput",
                message=f"{nodes.disk_throughput:,} MiB per second need {nodes.disk_throughput * IOPS_PER_MIB:,} IOPS",
                hint=f"Lower it to at most {nodes.disk_iops // IOPS_PER_MIB:,}, or raise {key}.disk-iops.",
            )
