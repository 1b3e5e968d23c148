"""One test build per trust tier and architecture, on the stack's own runners."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby

import gitlab

from delivery.doctor.build_jobs import Choice, pipeline_text
from delivery.doctor.gitlab_builds import Job, RefusalError, TestPipeline, TestProject
from delivery.doctor.outputs import Deployed, Place, title_of
from delivery.doctor.report import Check, failed, noticed, passed, skipped
from delivery.doctor.terminal import last_lines
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from stacks.architecture import Architecture
from stacks.config import file_name
from stacks.settings import Settings
from stacks.trust import Tier

_LAST_LINES = 10
_POLL_SECONDS = 3.0
_WHAT = "Test build"
# https://docs.gitlab.com/api/jobs/: reasons of which the log says nothing
_REASONS = {
    "stuck_or_timeout_failure": "GitLab gave up waiting for a runner",
    "runner_system_failure": "the runner could not run the job",
    "job_execution_timeout": "the job ran into its timeout",
    "runner_unsupported": "the runner is too old for the job",
    "scheduler_failure": "GitLab could not give the job to a runner",
}


@dataclass(frozen=True, kw_only=True)
class Builds:
    """The test builds of a deployed stack. `say` gets each job's progress."""

    stack: str
    settings: Settings
    client: gitlab.Gitlab
    choices: Mapping[Architecture, Choice]
    timeout_minutes: float
    say: Callable[[str], None]

    def check(self, deployed: Deployed, unfit: Collection[Place]) -> list[Check]:
        """Build on every runner at the same time, but not on the `unfit` ones, whose jobs would wait for ever."""
        checks: dict[Place, Check] = {}
        for place in deployed.runners:
            if place in unfit:
                checks[place] = skipped(title_of(_WHAT, place), "its runner takes no jobs, see above")
            elif place[1] not in self.choices:
                checks[place] = skipped(title_of(_WHAT, place), "no image is built for this architecture")
        able = [place for place in deployed.runners if place not in checks]
        with ExitStack() as temporary:
            started = [
                self._start(temporary, tier, list(places), deployed.registry_host)
                for (tier, _), places in groupby(sorted(able, key=self._key), key=self._key)
            ]
            self._follow(started)
            for each in started:
                for place in each.places:
                    checks[place] = self._judge(place, each, deployed.runners[place])
        return [checks[place] for place in deployed.runners]

    def _key(self, place: Place) -> tuple[Tier, str]:
        """Group the builds by pipeline: those of one tier and image."""
        return place[0], self.choices[place[1]].path

    def _start(self, temporary: ExitStack, tier: Tier, places: list[Place], registry_host: str) -> "_Started":
        choice, architectures = self.choices[places[0][1]], [architecture for _, architecture in places]
        inputs = PipelineInputs(
            settings=self.settings, project=choice.project, registry_host=registry_host, source=file_name(self.stack)
        )
        project = TestProject(
            client=self.client, path=choice.project.path, branch=choice.project.default_branch, warn=self.say
        )
        started = _Started(choice=choice, places=places)
        try:
            started.pipeline = temporary.enter_context(
                project.pipeline(
                    lambda path: pipeline_text(inputs, choice.image, architectures, path),
                    protected=self.settings.trust.access_level(tier) == "ref_protected",
                    unprotected=tier is Tier.UNPROTECTED,
                )
            )
        except RefusalError as refusal:
            started.refusal = str(refusal)
        return started

    def _follow(self, started: Sequence["_Started"]) -> None:
        """Wait until all jobs have ended, or the time is over."""
        deadline = time.monotonic() + self.timeout_minutes * 60
        while unfinished := [each for each in started if not each.has_ended]:
            for each in unfinished:
                for job in each.update():
                    self.say(_progress(each.places[0][0], job))
            if time.monotonic() >= deadline:
                return
            if not all(each.has_ended for each in unfinished):
                time.sleep(_POLL_SECONDS)

    def _judge(self, place: Place, started: "_Started", runner: int) -> Check:
        title, choice = title_of(_WHAT, place), started.choice
        if started.refusal:
            return failed(title, started.refusal, "Fix that, or leave out --build.")
        job, path = started.jobs.get(names.build(choice.image, place[1])), choice.path
        if job is None:
            return failed(title, f"GitLab made no job for {path}", "Check that CI/CD is enabled in the project.")
        if job.status == "success":
            return self._succeeded(title, path, job, runner)
        if job.status == "failed":
            return _broken(title, path, job)
        if job.has_ended:
            return failed(title, f"the build of {path} was {job.status}: {job.url}", "Start the test again.")
        waited = f"{self.timeout_minutes:g} minutes"
        if job.runner is None:
            return failed(
                title,
                f"no runner took the job within {waited}, although runner {runner} is online: {job.url}",
                "Its manager has as many jobs as it may (buildyard:runners.concurrent), or has stopped less than two "
                f"hours ago: run `kubectl -n {self.settings.runners.namespace_of(self.stack, place[0])} get pods`.",
            )
        return failed(
            title,
            f"the build of {path} did not end within {waited}: {job.url}",
            "Read the job's log: if its pod waits for a node, docs/operations.md says where to look. A longer build "
            "needs --timeout.",
        )

    def _succeeded(self, title: str, path: str, job: Job, runner: int) -> Check:
        found = f"{path} was built" + (f" in {job.seconds:.0f} s" if job.seconds is not None else "")
        if job.runner not in (None, runner):
            return noticed(
                title,
                f"runner {job.runner} took the job, not the stack's runner {runner}: another runner has the same tags",
                "Remove that runner, or its tags, or pause it.",
                found=found,
            )
        return passed(title, found)


@dataclass(kw_only=True)
class _Started:
    """A pipeline of test builds, with its state as GitLab told it last."""

    choice: Choice
    places: list[Place]
    pipeline: TestPipeline | None = None
    refusal: str = ""
    jobs: Mapping[str, Job] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        return bool(self.refusal) or (bool(self.jobs) and all(job.has_ended for job in self.jobs.values()))

    def update(self) -> Iterator[Job]:
        """Ask for the state; gives the jobs whose status has changed."""
        if self.pipeline is None:
            return
        before = self.jobs
        try:
            self.jobs = self.pipeline.jobs()
        except RefusalError as refusal:
            self.refusal = str(refusal)
            return
        yield from (job for name, job in self.jobs.items() if name not in before or before[name].status != job.status)


def _broken(title: str, path: str, job: Job) -> Check:
    reason = _REASONS.get(job.failure, "")
    message = "\n".join(
        [
            f"the build of {path} failed{f', since {reason}' if reason else ''}: {job.url}",
            *(f"| {line}" for line in last_lines(job.log, _LAST_LINES)),
        ]
    )
    return failed(title, message, "docs/operations.md says what messages of jobs mean, and what to do.")


def _progress(tier: Tier, job: Job) -> str:
    seconds = f" in {job.seconds:.0f} s" if job.has_ended and job.seconds is not None else ""
    return f"{tier} {job.name}: {job.status}{seconds}"
