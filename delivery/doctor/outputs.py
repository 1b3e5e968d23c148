"""A deployed stack's outputs, as far as its checks need them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stacks.architecture import Architecture
from stacks.trust import Tier

Place = tuple[Tier, Architecture]
"""A trust tier and an architecture: each has a runner and a node group."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The result of the last deployment."""

    registry_host: str
    builder_image: str
    runners: Mapping[Place, int]
    """The runners' ids in GitLab."""
    node_groups: Mapping[Place, str]
    """The names of the node groups."""

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> "Deployed | None":
        """Read what `pulumi stack output --json` prints. None if the stack was never deployed to the end."""
        if not {"builder-image", "runners", "node-groups"} <= outputs.keys():
            return None
        return cls(
            registry_host=str(outputs.get("registry-host", "")),
            builder_image=str(outputs["builder-image"]),
            runners={place: int(runner["id"]) for place, runner in _places(outputs["runners"])},
            node_groups={place: str(name) for place, name in _places(outputs["node-groups"])},
        )


def _places(values: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Place, Any]]:
    for tier in Tier:
        for architecture in Architecture:
            value = values.get(tier, {}).get(architecture)
            if value is not None:
                yield (tier, architecture), value


def title_of(what: str, place: Place) -> str:
    """The title of a check: `Runner protected arm64`."""
    return " ".join([what, *map(str, place)])
