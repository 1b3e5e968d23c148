"""The build jobs of a working day, as a platform of some forty images has them.

Assumptions, in one place. The profile of the hours has a hump before and one after lunch, as in published studies of
commits, and little at night, when schedules run. A pipeline builds one image most of the time, some images much more
often than others. Each of them is built for both architectures at the same time, and seven of ten pipelines are those
of merge requests and other branches.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from stacks.architecture import Architecture
from stacks.trust import Tier

HOUR = 3600.0
HOURS = (1, 1, 2, 1, 1, 1, 2, 4, 9, 14, 16, 13, 7, 12, 16, 16, 13, 9, 5, 3, 2, 2, 1, 1)
"""The share of the day's pipelines that begin in each hour, in parts."""
IMAGES = {1: 755, 2: 180, 5: 60, 40: 5}
"""How many images a pipeline builds, in thousandths: all forty when a base image changes, some times a day."""
SHARES = tuple(1 / (rank + 1) for rank in range(40))
"""How often each of the forty images is built, in parts: the second half as often as the first, as in Zipf's law."""
UNPROTECTED = 0.7
MEDIAN_SECONDS, SPREAD = 75.0, 1.0
"""The builds' durations are log-normal: most come from the cache, and some compile for many minutes."""
LONGEST_SECONDS = 1800.0


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A job: when GitLab has it for a runner, in seconds from midnight, and for how long it builds."""

    at: float
    seconds: float
    tier: Tier
    architecture: Architecture
    images: int
    """How many images its pipeline builds."""
    image: int = 0
    """The number of the image that it builds."""


def day(*, pipelines: int, seed: int) -> list[Arrival]:
    """The jobs of a day, in order of their arrival. The same seed gives the same day."""
    chance = random.Random(seed)  # noqa: S311 (a simulation)
    return sorted(_jobs(pipelines, chance), key=lambda job: job.at)


def _jobs(pipelines: int, chance: random.Random) -> Iterator[Arrival]:
    for _ in range(pipelines):
        [hour] = chance.choices(range(24), HOURS)
        [images] = chance.choices(list(IMAGES), list(IMAGES.values()))
        at = (hour + chance.random()) * HOUR
        tier = Tier.UNPROTECTED if chance.random() < UNPROTECTED else Tier.PROTECTED
        for image in _chosen(images, chance):
            seconds = min(chance.lognormvariate(0, SPREAD) * MEDIAN_SECONDS, LONGEST_SECONDS)
            for architecture in Architecture:
                yield Arrival(at=at, seconds=seconds, tier=tier, architecture=architecture, images=images, image=image)


def _chosen(images: int, chance: random.Random) -> set[int]:
    """Some images of the forty, each at most once."""
    chosen: set[int] = set()
    while len(chosen) < images:
        chosen.update(chance.choices(range(len(SHARES)), SHARES))
    return chosen
