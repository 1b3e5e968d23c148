"""Measurement of a job that builds an unchanged image, whose steps all come from the cache: the time of each phase."""

import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.builds.environment import Environment, Pod, open_environment
from sandbox.builds import tools

RUNS = 7
_IMAGE = "measured"
_PACKAGES = 2  # the dependencies do not change, so a few are enough
_TRACE = Path(__file__).parent / "trace.sh"
_TRACED = ("buildctl", "docker-credential-ecr-login", "python3")
_STEPS = {
    "[internal] load metadata": "  part of it: look up the base image",
    "importing cache": "  part of it: read the cache's manifest",
    "exporting to": "  part of it: push the image's manifest",
    "exporting cache": "  part of it: write the cache's manifest",
}


class _Call(NamedTuple):
    """A call of a program: begin and end in nanoseconds, and the program's name and command."""

    began: int
    ended: int
    name: str


def measure(runs: int = RUNS) -> dict[str, float]:
    """Measure the phases in order, and the total, as medians in milliseconds."""
    with open_environment([_IMAGE]) as environment, _traced_programs() as programs:
        environment.context.write(_PACKAGES)
        pod = _with_exact_times(environment.published(_IMAGE))
        environment.run(pod)
        measured = [_phases(environment, pod, programs) for _ in range(runs)]
    return {phase: median(each[phase] for each in measured) for phase in measured[0]}


@contextmanager
def _traced_programs() -> Iterator[Path]:
    """A folder of programs that record their calls, to be put first in a job's PATH."""
    with tempfile.TemporaryDirectory(prefix="buildyard-trace-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the worker must be able to enter it
        for program in _TRACED:
            (folder / program).symlink_to(_TRACE)
        yield folder


def _phases(environment: Environment, pod: Pod, programs: Path) -> dict[str, float]:
    trace = programs / "trace"
    trace.write_text("")
    environment.worker.give(trace)
    variables = {**pod.variables, "TRACE": str(trace), "PATH": f"{programs}:{tools.SEARCH_PATH}"}
    started = time.time_ns()
    run = environment.run(replace(pod, variables=variables))
    ended = time.time_ns()
    calls = sorted(_read(trace))
    probe = next(call for call in calls if call.name == "buildctl debug")
    build = next(call for call in calls if call.name == "buildctl build")
    run_build = next(call for call in calls if call.name == "python3 buildctl")
    phases = {
        "the script, until it starts BuildKit": probe.began - started,
        "  part of it: Python": _total((call for call in calls if call.ended < probe.began), "python3"),
        "BuildKit's daemon, until it answers": build.began - probe.began,
        "the build": build.ended - build.began,
        "  part of it: ECR's credential helper": _total(calls, "docker-credential-ecr-login"),
    }
    return {
        **{phase: nanoseconds / 1e6 for phase, nanoseconds in phases.items()},
        **steps(run.output),
        "shutdown of the daemon": (run_build.ended - build.ended) / 1e6,
        "the image's size and the metrics": (ended - run_build.ended) / 1e6,
        "total": (ended - started) / 1e6,
    }


def _read(trace: Path) -> Iterator[_Call]:
    for line in trace.read_text().splitlines():
        began, ended, name = line.split(maxsplit=2)
        yield _Call(int(began), int(ended), name.strip())


def _total(calls: Iterable[_Call], name: str) -> int:
    return sum(call.ended - call.began for call in calls if call.name.split()[0] == name)


def _with_exact_times(pod: Pod) -> Pod:
    """The job with BuildKit's progress in JSON, since its plain progress has only tenths of seconds."""
    return replace(pod, script=pod.script.replace("--progress=plain", "--progress=rawjson"))


def steps(output: str) -> dict[str, float]:
    """Milliseconds of the steps that BuildKit reports, with one line of JSON for each change of its state."""
    found = dict.fromkeys(_STEPS.values(), 0.0)
    for line in output.splitlines():
        for vertex in json.loads(line).get("vertexes") or () if line.startswith("{") else ():
            for beginning, phase in _STEPS.items():
                if vertex["name"].startswith(beginning) and "completed" in vertex:
                    found[phase] = _milliseconds(vertex["started"], vertex["completed"])
    return found


def _milliseconds(began: str, ended: str) -> float:
    return (_seconds(ended) - _seconds(began)) * 1000


def _seconds(time_of_day: str) -> float:
    """The seconds of a time such as `2026-01-02T03:04:05.123456789Z`, which has more digits than Python's own times."""
    whole, _, fraction = time_of_day.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
