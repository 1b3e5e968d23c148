"""The runner's output, parsed into jobs, their durations, and the steps of their builds."""

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_LINE = re.compile(r"(?P<job>\S+) +(?P<said>starting |finished in |[>$] ?)(?P<text>.*)")
# Steps of a Dockerfile, `[stage 2/4] RUN ...`, without FROM, which has nothing to cache.
_STEP = re.compile(r"#(?P<number>\d+) \[(?:\S+ )?\d+/\d+\] (?!FROM )(?P<instruction>.*)")
# A cached step is fetched if a later one needs its files, and may then end as DONE. Only cached steps are fetched.
_OUTCOME = re.compile(r"#(?P<number>\d+) (?P<outcome>CACHED|(?:extracting )?sha256:.*|DONE .*|ERROR.*)")
_FAILURE = re.compile(r" (?:FAIL|WARN) (?P<code>\d+)\s*")
_TAIL_LINES = 25


@dataclass
class Step:
    """An instruction of a Dockerfile; `cached` if its result came from the cache."""

    instruction: str
    cached: bool = False


@dataclass
class Job:
    """A job that started. `seconds`, `passed` and `exit_code` are None until it is finished."""

    name: str
    started: float
    seconds: float | None = None
    passed: bool | None = None
    exit_code: int | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    @property
    def cached(self) -> int:
        """How many of the steps came from the cache."""
        return sum(step.cached for step in self.steps.values())


class Progress:
    """Parses the runner's lines in order, and passes a summary of them to `say`."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        """`say` gets a job's name and its new state."""
        self.jobs: dict[str, Job] = {}
        self.other: list[str] = []
        """Lines that belong to no job, such as an error in the pipeline."""
        self._say = say

    def take(self, line: str) -> None:
        match = _LINE.fullmatch(line.rstrip())
        if match and match["said"] == "starting ":
            self.jobs[match["job"]] = Job(name=match["job"], started=time.monotonic())
            self._say(match["job"], "started")
        elif match and (job := self.jobs.get(match["job"])):
            self._take(job, match["said"], match["text"])
        elif line.strip():
            self.other.append(line)

    def _take(self, job: Job, said: str, text: str) -> None:
        if said == "finished in ":
            job.seconds = time.monotonic() - job.started
            # The runner warns of a failed job that may fail, as manual jobs may: it has failed all the same.
            failure = _FAILURE.search(text)
            job.exit_code = int(failure["code"]) if failure else 0
            job.passed = failure is None
            self._say(job.name, f"{'done' if job.passed else 'FAILED'} in {job.seconds:.1f} s")
        elif said.startswith(">"):
            job.tail.append(text)
            self._take_buildkit(job, text)

    def _take_buildkit(self, job: Job, text: str) -> None:
        if step := _STEP.fullmatch(text):
            if step["number"] not in job.steps:
                job.steps[step["number"]] = Step(instruction=step["instruction"])
                self._say(job.name, step["instruction"])
            return
        outcome = _OUTCOME.fullmatch(text)
        known = job.steps.get(outcome["number"]) if outcome else None
        if outcome and known and not known.cached:
            known.cached = not outcome["outcome"].startswith(("DONE", "ERROR"))
            self._say(job.name, f"{known.instruction}: {'cached' if known.cached else outcome['outcome'].lower()}")
