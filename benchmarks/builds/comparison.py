"""The published build beside others, by what changed since the last: seconds, and ratios to the hand-written one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

from benchmarks.builds.yard import Pod, Yard, build_yard

RUNS = 3


class Contender(str, Enum):
    """A way to build; the names are those of the scripts in `jobs/`."""

    HAND_WRITTEN = "hand-written"
    """The job that this platform replaces: one platform, a cache that is written and never read."""
    BUILDYARD = "buildyard"
    """The published job: one platform, its own cache."""
    ONE_JOB = "one-job"
    """Both platforms in one job, one of them emulated, with a cache that works."""
    NO_CACHE = "no-cache"
    """One platform, without any cache."""

    def __str__(self) -> str:
        return self.value


class Change(str, Enum):
    """What is different from the build before, in the order of the builds."""

    COLD = "first build"
    NOTHING = "nothing changed"
    SOURCE = "source changed"
    DEPENDENCIES = "dependencies changed"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One build, from the start of its job's script to the end."""

    run: int
    contender: Contender
    change: Change
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What all runs say of a contender: the median of its seconds, and that of its ratios to the hand-written job.

    A ratio is of two builds of one run, which follow each other: a slow spell of the machine makes both slow.
    """

    seconds: float
    ratio: float


def measure(runs: int = RUNS) -> Iterator[Measurement]:
    """All builds, each in a pod of its own, with repositories that are empty at the start of a run."""
    with build_yard([_image(contender, run) for contender in Contender for run in range(runs)]) as yard:
        for run in range(runs):
            yield from _run(yard, run)


def _run(yard: Yard, run: int) -> Iterator[Measurement]:
    yard.context.write()
    in_turn = [*list(Contender)[run % len(Contender) :], *list(Contender)[: run % len(Contender)]]
    for change in Change:
        if change is Change.SOURCE:
            yard.context.change_source()
        elif change is Change.DEPENDENCIES:
            yard.context.change_dependencies()
        for contender in in_turn:
            seconds = yard.run(_pod(yard, contender, run)).seconds
            yield Measurement(run=run, contender=contender, change=change, seconds=seconds)


def _pod(yard: Yard, contender: Contender, run: int) -> Pod:
    image = _image(contender, run)
    return yard.published(image) if contender is Contender.BUILDYARD else yard.written(str(contender), image)


def _image(contender: Contender, run: int) -> str:
    return f"{contender}-{run}"


def figure(measured: Sequence[Measurement], contender: Contender, change: Change) -> Figure:
    """The medians over all runs."""
    of = {(each.run, each.contender): each.seconds for each in measured if each.change is change}
    runs = {run for run, _ in of}
    return Figure(
        seconds=median(of[run, contender] for run in runs),
        ratio=median(of[run, contender] / of[run, Contender.HAND_WRITTEN] for run in runs),
    )
