"""Comparison of the published build with others, per kind of change: seconds, and ratios to the hand-written job."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

from benchmarks.builds.context import Context
from benchmarks.builds.environment import Environment, Pod, open_environment

RUNS = 3
PAIRS = 8


class Contender(str, Enum):
    """A way to build. The names are those of the scripts in `jobs/`."""

    HAND_WRITTEN = "hand-written"
    """The job that this platform replaces, as written: one platform, a cache that is written and never read."""
    CORRECTED = "hand-written-corrected"
    """The same job with its one wrong tag corrected, so that it reads the cache that it writes."""
    BUILDYARD = "buildyard"
    """The published job: one platform, its own cache."""
    ONE_JOB = "one-job"
    """Both platforms in one job, one of them emulated, with a cache that works."""
    NO_CACHE = "no-cache"
    """One platform, without any cache."""

    def __str__(self) -> str:
        return self.value


class Change(str, Enum):
    """The difference from the previous build, in the order of the builds."""

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
    processor_seconds: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A contender's result over all runs: the medians of its seconds and of its ratios to the hand-written job.

    A ratio compares two builds of one run, since the machine may be slow for a time and slow down both. `work` is the
    ratio of processor time, which changes less when the machine is slow.
    """

    seconds: float
    ratio: float
    work: float
    runs: int


def measure(runs: int = RUNS) -> Iterator[Measurement]:
    """Measure all builds, each in a pod of its own. The repositories are empty at the start of a run.

    The job for both platforms is only in the last run: it takes minutes, and its ratios are clear.
    """
    with open_environment([_image(contender, run) for contender in Contender for run in range(runs)]) as environment:
        for run in range(runs):
            taking_part = [each for each in Contender if each is not Contender.ONE_JOB or run == runs - 1]
            first = run % len(taking_part)  # so that the order differs between runs
            yield from _run(environment, run, [*taking_part[first:], *taking_part[:first]])


def _run(environment: Environment, run: int, contenders: Sequence[Contender]) -> Iterator[Measurement]:
    environment.context.write()
    for change in Change:
        _apply(change, environment.context)
        for contender in contenders:
            yield _measured(environment, contender, run, change)


def _apply(change: Change, context: Context) -> None:
    if change is Change.SOURCE:
        context.change_source()
    elif change is Change.DEPENDENCIES:
        context.change_dependencies()


def measure_first_builds(pairs: int = PAIRS) -> Iterator[Measurement]:
    """Measure first builds of the published and the hand-written job only, in alternation.

    They do the same work, so more runs than for the other changes are needed to see a difference.
    """
    both = [Contender.HAND_WRITTEN, Contender.BUILDYARD]
    with open_environment([_image(contender, run) for contender in both for run in range(pairs)]) as environment:
        environment.context.write()
        for run in range(pairs):
            for contender in both if run % 2 else reversed(both):
                yield _measured(environment, contender, run, Change.COLD)


def _measured(environment: Environment, contender: Contender, run: int, change: Change) -> Measurement:
    done = environment.run(_pod(environment, contender, run))
    return Measurement(
        run=run,
        contender=contender,
        change=change,
        seconds=done.seconds,
        processor_seconds=done.processor_seconds,
    )


def _pod(environment: Environment, contender: Contender, run: int) -> Pod:
    image = _image(contender, run)
    return (
        environment.published(image) if contender is Contender.BUILDYARD else environment.written(str(contender), image)
    )


def _image(contender: Contender, run: int) -> str:
    return f"{contender}-{run}"


def figure(measured: Sequence[Measurement], contender: Contender, change: Change) -> Figure:
    """The medians over all of the contender's runs."""
    pairs = _pairs(measured, contender, change)
    return Figure(
        seconds=median(each.seconds for each, _ in pairs),
        ratio=median(ratios(measured, contender, change)),
        work=median(each.processor_seconds / other.processor_seconds for each, other in pairs),
        runs=len(pairs),
    )


def ratios(measured: Sequence[Measurement], contender: Contender, change: Change) -> list[float]:
    """The ratio of the contender's time to the hand-written job's, for every run."""
    return [each.seconds / other.seconds for each, other in _pairs(measured, contender, change)]


def _pairs(
    measured: Sequence[Measurement], contender: Contender, change: Change
) -> list[tuple[Measurement, Measurement]]:
    """The contender's builds, each with the hand-written job's build of the same run."""
    of = {(each.run, each.contender): each for each in measured if each.change is change}
    return [(each, of[run, Contender.HAND_WRITTEN]) for (run, who), each in of.items() if who is contender]
