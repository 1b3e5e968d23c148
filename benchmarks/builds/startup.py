"""What a pod pays around a build that takes everything from the cache: where an unchanged image's second goes."""

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
_PACKAGES = 2  # nothing of the dependencies is touched, so they may be few
_TRACE = Path(__file__).parent / "trace.sh"
_TRACED = ("buildctl", "docker-credential-ecr-login", "python3")
_STEPS = {
    "[internal] load metadata": "  of these: look up the base image",
    "importing cache": "  of these: read the cache's manifest",
    "exporting to": "  of these: push the image's manifest",
    "exporting cache": "  of these: write the cache's manifest",
}


class _Call(NamedTuple):
    """A program's run: begin and end in nanoseconds, and what was called."""

    began: int
    ended: int
    name: str


def measure(runs: int = RUNS) -> dict[str, float]:
    """Milliseconds of each phase, in order, and of the whole: medians."""
    with open_environment([_IMAGE]) as environment, _traced_programs() as programs:
        environment.context.write(_PACKAGES)
        pod = _with_exact_times(environment.published(_IMAGE))
        environment.run(pod)
        measured = [_phases(environment, pod, programs) for _ in range(runs)]
    return {phase: median(each[phase] for each in measured) for phase in measured[0]}


@contextmanager
def _traced_programs() -> Iterator[Path]:
    """A folder of programs to put first in a job's PATH, which write down their runs."""
    with tempfile.TemporaryDirectory(prefix="buildyard-trace-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the worker goes through it
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
    phases = {
        "the script, until it starts BuildKit": probe.began - started,
        "  of these: Python": _total(calls, "python3"),
        "BuildKit's daemon, until it answers": build.began - probe.began,
        "the build": build.ended - build.began,
        "  of these: ECR's credential helper": _total(calls, "docker-credential-ecr-login"),
    }
    return {
        **{phase: nanoseconds / 1e6 for phase, nanoseconds in phases.items()},
        **steps(run.output),
        "end of the daemon, and of what it stored": (ended - build.ended) / 1e6,
        "all": (ended - started) / 1e6,
    }


def _read(trace: Path) -> Iterator[_Call]:
    for line in trace.read_text().splitlines():
        began, ended, name = line.split(maxsplit=2)
        yield _Call(int(began), int(ended), name.strip())


def _total(calls: Iterable[_Call], name: str) -> int:
    return sum(call.ended - call.began for call in calls if call.name == name)


def _with_exact_times(pod: Pod) -> Pod:
    """The job with BuildKit's progress in JSON: its plain progress knows tenths of seconds."""
    return replace(pod, script=pod.script.replace("--progress=plain", "--progress=rawjson"))


def steps(output: str) -> dict[str, float]:
    """Milliseconds of what BuildKit says itself, a line of JSON for each change of its state."""
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
    """Of a time such as `2026-01-02T03:04:05.123456789Z`, whose digits are more than Python's own times hold."""
    whole, _, fraction = time_of_day.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
