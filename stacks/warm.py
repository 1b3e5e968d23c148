"""The settings of warm capacity: nodes that wait for jobs, so that jobs do not wait for nodes."""

from enum import Enum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from stacks.fields import ImageReference, Integer, TimeZone
from stacks.model import Model, pattern_text
from stacks.trust import Tier


class When(str, Enum):
    """When capacity is kept warm."""

    OFF = "off"
    """Never. Nodes start when jobs wait for them, and an idle stack has none."""
    HOURS = "hours"
    """In working hours."""
    ALWAYS = "always"

    def __str__(self) -> str:
        return self.value


def _off(value: Any) -> Any:
    return When.OFF if value is False else value  # YAML takes the word for a boolean


_DAY = "(?:sun|mon|tue|wed|thu|fri|sat)"

Days = Annotated[
    str,
    pattern_text(
        rf"^{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*$", "Use days such as mon-fri or mon,wed.", max_length=64
    ),
]
Hour = Annotated[Integer, Field(ge=0, le=23)]


class Hours(Model):
    """Working hours. `since` and `until` are full hours; `until: 18` ends at 18:00."""

    days: Days = "mon-fri"
    since: Hour = 8
    until: Annotated[Integer, Field(ge=1, le=24)] = 18
    time_zone: TimeZone = "UTC"

    @property
    def period(self) -> str:
        """The hours in cron's notation."""
        return f"* {self.since}-{self.until - 1} * * {self.days}"


class Warm(Model):
    """Capacity that waits for jobs. Pause pods hold it, and the scheduler removes them when a job needs their place."""

    when: Annotated[When, BeforeValidator(_off)] = When.OFF
    """When capacity is kept: off, hours or always."""
    jobs: Annotated[Integer, Field(ge=1, le=1000)] = 1
    """The number of jobs, with the default resources, that find a node at once, per trust tier and architecture."""
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1)] | None = None
    """The trust tiers that it is kept for. Default: all that the stack has."""
    hours: Hours = Hours()
    """The working hours, for `when: hours`."""
    pause_image: ImageReference | None = None
    """The image of pause pods: one that does nothing. Default: the builder image, which nodes thus have before a job
    comes. Set it if you have a builder image of your own that does not wait by itself."""

    def is_on(self, tier: Tier) -> bool:
        """Whether capacity is ever kept for a tier."""
        return self.when is not When.OFF and (self.tiers is None or tier in self.tiers)
