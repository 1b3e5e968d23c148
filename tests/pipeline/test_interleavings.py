"""Never green and stale: whatever pipelines and people do, `latest` is what the newest commit gives, or a job is red.

The red job says which one to start.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.pipeline import events
from tests.pipeline.interleaving import Job, Simulation
from tests.pipeline.published import HOST, files, jobs
from tests.stacks.stack_settings import project

IMAGES = {"base": (), "web": ("base",), "shop": ("web",), "other": ()}
REPOSITORIES = {name: f"{HOST}/platform/images/{name}" for name in IMAGES}
PUBLISHED = jobs(
    files(
        projects=[
            project(
                *({"name": name, "depends-on": list(on), "architectures": ["arm64"]} for name, on in IMAGES.items()),
                **{"default-branch": "master"},
            )
        ]
    )
)
SEEDS = range(200)


def stale(simulation: Simulation) -> list[str]:
    return [name for name in IMAGES if simulation.latest(REPOSITORIES, name) != simulation.from_nothing(name)]


def first_run(seed: int, published: Mapping[str, Any] = PUBLISHED) -> Simulation:
    """A simulation in which everything is built and published once."""
    simulation = Simulation(published, IMAGES, seed)
    simulation.start(events.started_by("schedule"))
    simulation.finish()
    assert stale(simulation) == [], simulation.jobs("failed")
    return simulation


def live(simulation: Simulation) -> list[str]:
    """Pushes, schedules, cancellations, retries and manual jobs, mixed with the jobs' own steps.

    Returns what the newest pipelines' checks overlooked.
    """
    chance = simulation.chance
    wrong: list[str] = []

    def checked(job: Job) -> None:
        if (
            job.pipeline.commit == len(simulation.commits) - 1
            and simulation.jobs("running") == [job]
            and stale(simulation)
        ):
            wrong.append(f"pipeline {job.pipeline.number} found nothing wrong with {stale(simulation)}")

    simulation.when_checked = checked
    simulation.breaks = chance.choice([0, 0, 0.2])
    pushes, others = chance.randint(2, 4), chance.randint(0, 5)
    while pushes or others:
        for _ in range(chance.choice([0, 1, 5, 20, 80])):
            simulation.step()
        if pushes and chance.random() < 0.5:
            pushes -= 1
            simulation.push(*chance.sample(sorted(IMAGES), chance.randint(0, 2)))
        elif others:
            others -= 1
            interfere(simulation)
    simulation.finish()
    return wrong


def interfere(simulation: Simulation) -> None:
    chance = simulation.chance
    ended, going, waiting = (
        simulation.jobs("failed", "canceled"),
        simulation.jobs("running", "created"),
        simulation.jobs("manual"),
    )
    match chance.choice(["cancel", "retry", "retry", "start", "schedule"]):
        case "cancel" if going:
            simulation.cancel(chance.choice(going))
        case "retry" if ended:
            simulation.run(chance.choice(ended))
        case "start" if waiting:
            simulation.run(chance.choice(waiting))
        case "schedule":
            simulation.start(events.started_by("schedule"))


def red(simulation: Simulation) -> list[Job]:
    return simulation.jobs("failed", "canceled")


def told(simulation: Simulation) -> str:
    return "\n".join(
        f"pipeline {job.pipeline.number} of commit {job.pipeline.commit}: {job.name} {job.state} {job.output.strip()}"
        for pipeline in simulation.pipelines
        for job in pipeline.jobs.values()
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_latest_is_what_the_newest_commit_gives_or_a_job_is_red(seed: int) -> None:
    simulation = first_run(seed)
    overlooked = live(simulation)
    assert overlooked == [], told(simulation)
    assert "the model broke" not in told(simulation), told(simulation)
    assert not stale(simulation) or red(simulation), (
        f"{stale(simulation)} are stale, and every job is green:\n{told(simulation)}"
    )


@pytest.mark.parametrize("seed", SEEDS[:60])
def test_doing_what_red_jobs_say_repairs_everything(seed: int) -> None:
    simulation = first_run(seed)
    live(simulation)
    simulation.breaks = 0
    for _ in range(12):
        newest = simulation.pipelines[-1]
        if not stale(simulation):
            return
        wrong = [job for job in red(simulation) if job.pipeline is newest] or red(simulation)
        for job in wrong:
            for name in re.findall(r"build-\w+:arm64", job.output):
                if name in newest.jobs and newest.jobs[name].state == "manual":
                    simulation.run(newest.jobs[name])
        simulation.finish()
        for job in wrong:
            simulation.run(job)
        simulation.finish()
    pytest.fail(f"{stale(simulation)} stay stale:\n{told(simulation)}")


@pytest.mark.parametrize("seed", SEEDS[:60])
def test_pushes_at_once_end_green_if_nothing_fails(seed: int) -> None:
    simulation = first_run(seed)
    for changed in (("base",), ("web",), (), ("other", "base"), ("shop",)):
        simulation.push(*changed)
        for _ in range(simulation.chance.choice([0, 5, 20])):
            simulation.step()
    simulation.finish()
    assert (stale(simulation), red(simulation)) == ([], []), told(simulation)


SABOTAGE = {
    "older pipelines publish, too": ("if number is not None and number > own_number:", "if False:"),
    "nothing is checked at last": ("left = stale(images)", "left = []"),
}


@pytest.mark.parametrize("what", SABOTAGE)
def test_the_model_notices_what_the_scripts_prevent(what: str) -> None:
    old, new = SABOTAGE[what]
    changed = {
        name: {**job, "before_script": [line.replace(old, new) for line in job.get("before_script", [])]}
        for name, job in PUBLISHED.items()
    }
    assert changed != PUBLISHED, f"the scripts do not contain {old!r} any more"
    for seed in range(300):
        simulation = first_run(seed, changed)
        if live(simulation) or (stale(simulation) and not red(simulation)):
            return
    pytest.fail("no interleaving shows the difference")
