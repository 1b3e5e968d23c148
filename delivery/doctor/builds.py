"""One test build per trust tier and architecture, on the stack's own runners."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import gitlab

from delivery.doctor.build_jobs import Choice, pipeline_text
from delivery.doctor.gitlab_builds import Job, RefusalError, TestProject
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

    def check(self, deployed: Deployed, unfit: Collection[Place]) -> Iterator[Check]:
        """Build on every runner but the `unfit` ones, whose jobs would wait for ever."""
        for tier in self.settings.trust.tiers:
            due = [place for place in deployed.runners if place[0] is tier]
            for place in due:
                title = title_of(_WHAT, place)
                if place in unfit:
                    yield skipped(title, "its runner takes no jobs, see above")
                elif place[1] not in self.choices:
                    yield skipped(title, "no image is built for this architecture")
            able = [place[1] for place in due if place not in unfit and place[1] in self.choices]
            for _, group in groupby(sorted(able, key=self._path), key=self._path):
                architectures = list(group)
                yield from self._build(tier, self.choices[architectures[0]], architectures, deployed)

    def _path(self, architecture: Architecture) -> str:
        return self.choices[architecture].path

    def _build(
        self, tier: Tier, choice: Choice, architectures: list[Architecture], deployed: Deployed
    ) -> Iterator[Check]:
        inputs = PipelineInputs(
            settings=self.settings,
            project=choice.project,
            registry_host=deployed.registry_host,
            source=file_name(self.stack),
        )
        project = TestProject(
            client=self.client, path=choice.project.path, branch=choice.project.default_branch, warn=self.say
        )
        jobs = {names.build(choice.image, each): (tier, each) for each in architectures}
        deadline = time.monotonic() + self.timeout_minutes * 60
        try:
            with project.pipeline(
                lambda path: pipeline_text(inputs, choice.image, architectures, path),
                protected=self.settings.trust.access_level(tier) == "ref_protected",
            ) as pipeline:
                followed = pipeline.follow(deadline, lambda job: self.say(_progress(tier, job)))
        except RefusalError as error:
            for place in jobs.values():
                yield failed(title_of(_WHAT, place), str(error), "Nothing was built.")
            return
        for name, place in jobs.items():
            yield self._judge(place, followed.get(name), choice, deployed.runners[place])

    def _judge(self, place: Place, job: Job | None, choice: Choice, runner: int) -> Check:
        title = title_of(_WHAT, place)
        path = choice.path
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
