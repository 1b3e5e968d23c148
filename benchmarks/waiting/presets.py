"""The presets of warm capacity, and what a day with each of them is like."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.waiting.arrivals import HOUR, Arrival, day
from benchmarks.waiting.model import Group, Outcome, Settings
from delivery import prices
from stacks.architecture import Architecture
from stacks.trust import Tier

SEED = 20261126
REGION = "eu-central-1"
DAYS = {"a busy day": 800, "a quiet day": 60}
"""How many pipelines begin on it."""
REBUILD = 6
"""From as many images, a pipeline is counted as a rebuild of everything."""
NOTICEABLE_SECONDS = 30

BASE = Settings(jobs_of_node=7, max_size=10, concurrent=50)
"""The defaults: 15.69 cores of an m7g.4xlarge have room for seven jobs of 2.1 with their helpers."""
_HOURS = replace(BASE, since=8 * HOUR, until=18 * HOUR)
PRESETS = {
    "off, 20 at once": replace(BASE, concurrent=20),
    "off": BASE,
    "hours, 1 job": replace(_HOURS, warm_jobs=1),
    "hours, 4 jobs": replace(_HOURS, warm_jobs=4),
    "always, 1 job": replace(BASE, warm_jobs=1),
    "always, 2 jobs": replace(BASE, warm_jobs=2),
    "always, 2 jobs, pool": replace(BASE, warm_jobs=2, stopped_nodes=2),
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A day with one preset. Times are in seconds, from a job's arrival until its container runs."""

    day: str
    preset: str
    median: float
    slowest_twentieth: float
    noticeable: float
    """The share of jobs that wait for longer than NOTICEABLE_SECONDS."""
    rebuild: float
    """The wait below which 95 % of the jobs of rebuilds are."""
    node_hours: float
    dollars: float
    """The price of the node hours on demand, in REGION."""
    found: float
    """The share of jobs whose node had built their image before."""


def measure() -> Iterator[Figures]:
    """Simulate every day with every preset."""
    for name, pipelines in DAYS.items():
        jobs = day(pipelines=pipelines, seed=SEED)
        for preset, settings in PRESETS.items():
            yield _figures(name, preset, simulate(jobs, settings))


def simulate(jobs: Sequence[Arrival], settings: Settings) -> list[tuple[Architecture, Outcome]]:
    """A day of the four node groups of a stack with two trust tiers."""
    return [
        (
            architecture,
            Group(settings, SEED).run([job for job in jobs if (job.tier, job.architecture) == (tier, architecture)]),
        )
        for tier in Tier
        for architecture in Architecture
    ]


def _dollars(architecture: Architecture, outcome: Outcome) -> float:
    [instance_type] = architecture.instance_types
    return float(prices.load().instance_hour(REGION, instance_type)) * outcome.node_hours


def _figures(name: str, preset: str, outcomes: Sequence[tuple[Architecture, Outcome]]) -> Figures:
    waits = [each for _, outcome in outcomes for each in outcome.waits]
    usual = [wait for job, wait in waits if job.images < REBUILD]
    rebuilds = [wait for job, wait in waits if job.images >= REBUILD]
    return Figures(
        day=name,
        preset=preset,
        median=statistics.median(usual),
        slowest_twentieth=_percentile(usual, 95),
        noticeable=sum(wait > NOTICEABLE_SECONDS for wait in usual) / len(usual),
        rebuild=_percentile(rebuilds, 95) if rebuilds else 0.0,
        node_hours=sum(outcome.node_hours for _, outcome in outcomes),
        dollars=sum(_dollars(architecture, outcome) for architecture, outcome in outcomes),
        found=sum(outcome.found for _, outcome in outcomes) / len(waits),
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
