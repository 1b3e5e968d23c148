"""The model of the wait: its clock, its limits, and that it can tell presets apart."""

from dataclasses import replace

import pytest

from benchmarks.waiting.arrivals import HOUR, Arrival, day
from benchmarks.waiting.model import COLD_NODE_SECONDS, PULL_SECONDS, STOPPED_NODE_SECONDS, Group, Settings
from stacks.architecture import Architecture
from stacks.trust import Tier

SMALL = Settings(jobs_of_node=2, max_size=3, concurrent=50)
AFTER_READY = 3 + 5 + PULL_SECONDS[1]


def job(at: float, seconds: float = 60) -> Arrival:
    return Arrival(at=at, seconds=seconds, tier=Tier.PROTECTED, architecture=Architecture.ARM64, images=1)


def waits(settings: Settings, *jobs: Arrival) -> list[float]:
    outcome = Group(settings, 1).run(jobs)
    assert len(outcome.waits) == len(jobs), "a job was lost"
    return [wait for _, wait in sorted(outcome.waits, key=lambda each: each[0].at)]


def test_the_same_seed_gives_the_same_day() -> None:
    assert day(pipelines=50, seed=7) == day(pipelines=50, seed=7)
    assert day(pipelines=50, seed=7) != day(pipelines=50, seed=8)
    assert len(day(pipelines=800, seed=7)) > 2000


def test_a_first_job_waits_for_a_node_and_the_next_does_not() -> None:
    [first, second] = waits(SMALL, job(HOUR), job(HOUR + 300))
    assert COLD_NODE_SECONDS[0] < first < COLD_NODE_SECONDS[2] + 10 + AFTER_READY
    assert second < 3 + 5 + 1, "the node is there, and has the images"


def test_an_unneeded_node_goes_after_ten_minutes() -> None:
    [_, late] = waits(SMALL, job(HOUR), job(HOUR + 1200))
    assert late > COLD_NODE_SECONDS[0]


def test_a_kept_place_is_there_at_once() -> None:
    [first] = waits(replace(SMALL, warm_jobs=1), job(HOUR))
    assert first < AFTER_READY
    [night] = waits(replace(SMALL, warm_jobs=1, since=8 * HOUR, until=18 * HOUR), job(3 * HOUR))
    assert night > COLD_NODE_SECONDS[0], "outside of working hours nothing is kept"


def test_a_stopped_node_starts_faster() -> None:
    [first] = waits(replace(SMALL, stopped_nodes=1), job(HOUR))
    assert STOPPED_NODE_SECONDS[0] < first < STOPPED_NODE_SECONDS[2] + 10 + 3 + 5


def test_a_node_has_the_state_of_what_it_built() -> None:
    one, other = job(HOUR), replace(job(HOUR + 120), image=1)
    assert Group(SMALL, 1).run([one, other, job(HOUR + 300)]).found == 1
    assert Group(SMALL, 1).run([one, job(HOUR + 1800)]).found == 0, "the state goes with its node"


@pytest.mark.parametrize("settings", [SMALL, replace(SMALL, warm_jobs=2)])
def test_jobs_never_share_a_place(settings: Settings) -> None:
    burst = [job(HOUR, 600) for _ in range(20)]
    outcome = Group(settings, 1).run(burst)
    starts = sorted(wait for _, wait in outcome.waits)
    for start in starts:
        running = sum(start - 600 < other <= start for other in starts)
        assert running <= settings.max_size * settings.jobs_of_node, "more jobs than the nodes hold"
    assert outcome.node_hours > 20 * 600 / settings.jobs_of_node / HOUR


def test_a_manager_runs_only_as_many_jobs_as_it_may() -> None:
    [first, second] = sorted(waits(replace(SMALL, concurrent=1), job(HOUR), job(HOUR)))
    assert second - first >= 60


def test_warm_capacity_shortens_the_wait_and_costs_node_hours() -> None:
    jobs = [job(hour * HOUR) for hour in range(1, 20)]
    cold, warm = (Group(settings, 1).run(jobs) for settings in (SMALL, replace(SMALL, warm_jobs=1)))
    assert max(wait for _, wait in warm.waits) < min(wait for _, wait in cold.waits)
    assert warm.node_hours > cold.node_hours
