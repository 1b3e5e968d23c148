"""Comparison of the published build on a node that keeps BuildKit's state with one without, and with a warm daemon."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from statistics import median

from benchmarks.builds.environment import Environment, Pod, open_environment
from benchmarks.builds.large_context import LargeContext
from sandbox.builds.worker import Worker
from stacks.names import STATE_VARIABLE

RUNS = 3
DAEMON_JOB = "warm-daemon"
"""The job that uses the daemon, in `jobs/`."""


class Place(str, Enum):
    """Where a build's earlier results come from."""

    REGISTRY = "registry cache"
    """The published job in a new pod, on a node without a disk for BuildKit's state."""
    KEPT = "kept state"
    """The published job in a new pod, on a node that keeps the state of earlier jobs."""
    DAEMON = "warm daemon"
    """`buildctl` and a daemon that never stops, without a build cache in the registry."""

    def __str__(self) -> str:
        return self.value


CHANGES: Mapping[str, Callable[[LargeContext], None]] = {
    "first build": LargeContext.write,
    "nothing changed": lambda _: None,
    "source changed, and only copied": LargeContext.change_source,
    "source changed, and compiled": LargeContext.change_program,
    "a package more": LargeContext.change_dependencies,
}
"""What differs from the previous build, in the order of the builds."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One build, from the start of its job's script to the end. `change` is one of `CHANGES`."""

    run: int
    place: Place
    change: str
    seconds: float


def measure(runs: int = RUNS) -> Iterator[Measurement]:
    """Measure all builds. The repositories, the disk and the daemon are empty at the start of a run."""
    images = [_image(place, run) for place in Place for run in range(runs)]
    with open_environment(images, LargeContext) as environment, environment.worker.scratch() as folder:
        for run in range(runs):
            with _daemon(environment, folder / f"daemon-{run}") as address:
                yield from _run(environment, run, disk=folder / f"disk-{run}", address=address)


def _run(environment: Environment, run: int, *, disk: Path, address: str) -> Iterator[Measurement]:
    context = LargeContext(environment.context.directory)
    places = list(Place)
    for change, apply in CHANGES.items():
        apply(context)
        for place in [*places[run % 3 :], *places[: run % 3]]:  # so that the order differs between runs
            done = environment.run(_pod(environment, place, run, disk, address))
            yield Measurement(run=run, place=place, change=change, seconds=done.seconds)


def _pod(environment: Environment, place: Place, run: int, disk: Path, address: str) -> Pod:
    image = _image(place, run)
    if place is Place.DAEMON:
        pod = environment.written(DAEMON_JOB, image)
        return replace(pod, variables={**pod.variables, "DAEMON": address})
    pod = environment.published(image)
    if place is Place.KEPT:
        return replace(pod, variables={**pod.variables, STATE_VARIABLE: str(environment.worker.own(disk))})
    return pod


def _image(place: Place, run: int) -> str:
    return f"{place.replace(' ', '-')}-{run}"


@contextmanager
def _daemon(environment: Environment, folder: Path) -> Iterator[str]:
    """Run a BuildKit daemon, as jobs do, but for the whole run. The value is its address."""
    worker: Worker = environment.worker
    home = worker.own(folder)
    address = f"unix://{home}/buildkitd.sock"
    command = ["rootlesskit", "emulated-node.sh", "buildkitd", "--oci-worker-no-process-sandbox"]
    variables = {**environment.variables(home), "XDG_RUNTIME_DIR": str(worker.own(home / "run"))}
    with (home / "log").open("w") as log:
        process = worker.start(
            [*command, f"--root={home}/state", f"--addr={address}"], env=variables, stdout=log, stderr=log, cwd="/"
        )
        try:
            asked = ["buildctl", "--addr", address, "debug", "workers"]
            while worker.run(asked, env=variables, capture_output=True).returncode:
                if process.poll() is not None:
                    raise RuntimeError(f"the daemon ended: {(home / 'log').read_text()}")
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait()


def seconds(measured: Sequence[Measurement], place: Place, change: str) -> float:
    """The median over all runs."""
    return median(each.seconds for each in measured if (each.place, each.change) == (place, change))


def ratio(measured: Sequence[Measurement], place: Place, change: str, to: Place) -> float:
    """The median of the ratios of a place's time to another's in the same run."""
    of = {(each.run, each.place): each.seconds for each in measured if each.change == change}
    return median(value / of[run, to] for (run, where), value in of.items() if where is place)
