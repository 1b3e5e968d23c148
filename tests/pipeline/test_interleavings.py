"""Never green and stale: whatever pipelines and people do, `latest` is what the newest commit gives, or a job is red.

The red job says which one to start.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.pipeline import events
from tests.pipeline.interleaving import Job, World
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


def stale(world: World) -> list[str]:
    return [name for name in IMAGES if world.latest(REPOSITORIES, name) != world.from_nothing(name)]


def first_run(seed: int, published: Mapping[str, Any] = PUBLISHED) -> World:
    """A world in which everything is built and published once."""
    world = World(published, IMAGES, seed)
    world.start(events.started_by("schedule"))
    world.finish()
    assert stale(world) == [], world.jobs("failed")
    return world


def live(world: World) -> list[str]:
    """Pushes, schedules, cancellations, retries and manual jobs, mixed with the jobs' own steps.

    Returns what the newest pipelines' checks overlooked.
    """
    chance = world.chance
    wrong: list[str] = []

    def checked(job: Job) -> None:
        if job.pipeline.commit == len(world.commits) - 1 and world.jobs("running") == [job] and stale(world):
            wrong.append(f"pipeline {job.pipeline.number} found nothing wrong with {stale(world)}")

    world.when_checked = checked
    world.breaks = chance.choice([0, 0, 0.2])
    pushes, others = chance.randint(2, 4), chance.randint(0, 5)
    while pushes or others:
        for _ in range(chance.choice([0, 1, 5, 20, 80])):
            world.step()
        if pushes and chance.random() < 0.5:
            pushes -= 1
            world.push(*chance.sample(sorted(IMAGES), chance.randint(0, 2)))
        elif others:
            others -= 1
            interfere(world)
    world.finish()
    return wrong


def interfere(world: World) -> None:
    chance = world.chance
    ended, going, waiting = world.jobs("failed", "canceled"), world.jobs("running", "created"), world.jobs("manual")
    match chance.choice(["cancel", "retry", "retry", "start", "schedule"]):
        case "cancel" if going:
            world.cancel(chance.choice(going))
        case "retry" if ended:
            world.run(chance.choice(ended))
        case "start" if waiting:
            world.run(chance.choice(waiting))
        case "schedule":
            world.start(events.started_by("schedule"))


def red(world: World) -> list[Job]:
    return world.jobs("failed", "canceled")


def told(world: World) -> str:
    return "\n".join(
        f"pipeline {job.pipeline.number} of commit {job.pipeline.commit}: {job.name} {job.state} {job.output.strip()}"
        for pipeline in world.pipelines
        for job in pipeline.jobs.values()
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_latest_is_what_the_newest_commit_gives_or_a_job_is_red(seed: int) -> None:
    world = first_run(seed)
    overlooked = live(world)
    assert overlooked == [], told(world)
    assert "the model broke" not in told(world), told(world)
    assert not stale(world) or red(world), f"{stale(world)} are stale, and every job is green:\n{told(world)}"


@pytest.mark.parametrize("seed", SEEDS[:60])
def test_doing_what_red_jobs_say_repairs_everything(seed: int) -> None:
    world = first_run(seed)
    live(world)
    world.breaks = 0
    for _ in range(12):
        newest = world.pipelines[-1]
        if not stale(world):
            return
        wrong = [job for job in red(world) if job.pipeline is newest] or red(world)
        for job in wrong:
            for name in re.findall(r"build-\w+:arm64", job.output):
                if name in newest.jobs and newest.jobs[name].state == "manual":
                    world.run(newest.jobs[name])
        world.finish()
        for job in wrong:
            world.run(job)
        world.finish()
    pytest.fail(f"{stale(world)} stay stale:\n{told(world)}")


@pytest.mark.parametrize("seed", SEEDS[:60])
def test_pushes_at_once_end_green_if_nothing_fails(seed: int) -> None:
    world = first_run(seed)
    for changed in (("base",), ("web",), (), ("other", "base"), ("shop",)):
        world.push(*changed)
        for _ in range(world.chance.choice([0, 5, 20])):
            world.step()
    world.finish()
    assert (stale(world), red(world)) == ([], []), told(world)


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
        world = first_run(seed, changed)
        if live(world) or (stale(world) and not red(world)):
            return
    pytest.fail("no interleaving shows the difference")
