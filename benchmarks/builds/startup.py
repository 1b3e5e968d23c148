"""What a pod pays around a build that takes everything from the cache: where an unchanged image's second goes."""

import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.builds.yard import Pod, Yard, build_yard
from sandbox.builds import tools

RUNS = 7
_IMAGE = "measured"
_PACKAGES = 2  # nothing of the dependencies is touched, so they may be few
_TRACE = Path(__file__).parent / "trace.sh"
_TRACED = ("buildctl", "docker-credential-ecr-login", "python3")
_STEP = re.compile(
    r"#(\d+) (?:DONE (\d+\.\d)s|(\[internal\] load metadata|importing cache|exporting to|exporting cache).*)"
)
_STEPS = {
    "[internal] load metadata": "  of these: look up the base image",
    "importing cache": "  of these: read the cache's manifest",
    "exporting to": "  of these: push the image's manifest",
    "exporting cache": "  of these: write the cache's manifest",
}


def measure(runs: int = RUNS) -> dict[str, float]:
    """Milliseconds of each phase, in order, and of the whole: medians."""
    with build_yard([_IMAGE]) as yard, tempfile.TemporaryDirectory(prefix="buildyard-trace-") as folder:
        yard.context.write(_PACKAGES)
        pod = yard.published(_IMAGE)
        yard.run(pod)
        measured = [_phases(yard, pod, Path(folder)) for _ in range(runs)]
    return {phase: median(each[phase] for each in measured) for phase in measured[0]}


def _phases(yard: Yard, pod: Pod, folder: Path) -> dict[str, float]:
    folder.chmod(0o755)
    for name in _TRACED:
        program = folder / name
        program.unlink(missing_ok=True)
        program.symlink_to(_TRACE)
    trace = folder / "trace"
    trace.write_text("")
    yard.worker.give(trace)
    variables = {**pod.variables, "TRACE": str(trace), "PATH": f"{folder}:{tools.SEARCH_PATH}"}
    started = time.time_ns()
    run = yard.run(replace(pod, variables=variables))
    ended = time.time_ns()
    calls = sorted(_calls(trace))
    probes = [call for call in calls if call[2] == "buildctl debug"]
    [build] = [call for call in calls if call[2] == "buildctl build"]
    phases = {
        "the script, until it starts BuildKit": probes[0][0] - started,
        "  of these: Python": sum(end - begin for begin, end, name in calls if name == "python3"),
        "BuildKit's daemon, until it answers": build[0] - probes[0][0],
        "the build": build[1] - build[0],
        "  of these: ECR's credential helper": sum(
            end - begin for begin, end, name in calls if name == "docker-credential-ecr-login"
        ),
    }
    return {
        **{phase: nanoseconds / 1e6 for phase, nanoseconds in phases.items()},
        **_steps(run.output),
        "end of the daemon, and of what it stored": (ended - build[1]) / 1e6,
        "all": (ended - started) / 1e6,
    }


def _calls(trace: Path) -> Iterator[tuple[int, int, str]]:
    """Begin and end in nanoseconds, and what was called."""
    for line in trace.read_text().splitlines():
        begin, end, name = line.split(maxsplit=2)
        yield int(begin), int(end), name.strip()


def _steps(output: str) -> dict[str, float]:
    """Milliseconds of what BuildKit says itself, in its tenths of seconds."""
    names: dict[str, str] = {}
    done = {}
    for match in _STEP.finditer(output):
        number, seconds, name = match.groups()
        if name:
            names.setdefault(number, _STEPS[name])
        elif number in names:
            done[names[number]] = float(seconds) * 1000
    return {phase: done.get(phase, 0.0) for phase in _STEPS.values()}
