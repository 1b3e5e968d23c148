"""`python -m sandbox runner`: runs the jobs of pipelines that somebody started through GitLab's API.

It plays the managers of the stack's runners, which do not run in the sandbox: it asks GitLab for waiting jobs, and runs
them like `make build`, with real BuildKit.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import boto3
import requests
from rich.console import Console
from rich.text import Text

from sandbox.builds.environment import BuildEnvironment
from sandbox.builds.errors import BuildError
from sandbox.builds.events import Event, Trigger
from sandbox.builds.gitlab_project import GitLabProject
from sandbox.builds.progress import Job, Progress
from sandbox.builds.run import stack_environment
from sandbox.endpoints import CREDENTIALS, REGION, Endpoints
from sandbox.services.gitlab.pipelines import CI_FILE
from stacks import config
from stacks.architecture import Architecture
from stacks.settings import Settings
from stacks.versions import BUILDER_VERSION

_POLL_SECONDS = 1.0
_INDEX = "application/vnd.oci.image.index.v1+json"
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "size": 2,
}


@dataclass(frozen=True, kw_only=True)
class WaitingJobs:
    """The waiting jobs of the sandbox's GitLab. `runners` are the ids of the runners that take them."""

    endpoints: Endpoints
    environment: BuildEnvironment
    place: Path
    console: Console

    def run(self, *, once: bool) -> None:
        """Run the jobs of one pipeline after the other, until somebody interrupts it, or until none waits."""
        while True:
            ran = [self._run_pipeline(jobs) for jobs in self._pipelines()]
            if once and not any(ran):
                return
            time.sleep(_POLL_SECONDS)

    def _pipelines(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The waiting jobs of each pipeline."""
        jobs = self._ask("GET", "/-/sandbox/jobs")
        for _, group in groupby(sorted(jobs, key=lambda job: job["pipeline_id"]), key=lambda job: job["pipeline_id"]):
            yield list(group)

    def _run_pipeline(self, jobs: Sequence[Mapping[str, Any]]) -> bool:
        """Run the jobs that runners take; whether there was one."""
        taken = {job["name"]: job for job in jobs if self._take(job)}
        if not taken:
            return False
        project, ref = jobs[0]["project"], jobs[0]["ref"]
        try:
            gitlab = GitLabProject(url=self.endpoints.gitlab, path=project, token=self.endpoints.gitlab_token)
            shutil.rmtree(self.place / "checkout", ignore_errors=True)
            event = Event(trigger=Trigger.API, ref=ref)
            checkout = gitlab.check_out(event, self.place / "checkout", self.environment.runner.worker)
            progress = Progress(lambda name, words: self._say(progress.jobs[name], words, taken))
            self.environment.runner.run(checkout, file=CI_FILE, report=progress.take)
        except BuildError as error:
            self._report(taken.values(), "failed", str(error))
            raise
        # Jobs that never ended, such as those that were cut off
        self._report(
            (job for name, job in taken.items() if name not in progress.jobs or progress.jobs[name].passed is None),
            "failed",
            "\n".join(progress.other),
        )
        return True

    def _take(self, job: Mapping[str, Any]) -> bool:
        """Let the first runner take the job that may."""
        for runner in self._ask("GET", f"/api/v4/projects/{job['project'].replace('/', '%2F')}/runners?per_page=100"):
            answer = self._request("POST", f"/-/sandbox/runners/{runner['id']}/jobs?job={job['id']}")
            if answer.ok:
                return True
        return False

    def _say(self, job: Job, words: str, taken: Mapping[str, Mapping[str, Any]]) -> None:
        self.console.print(Text(f"{job.name:28} {words}", no_wrap=True, overflow="ellipsis"), soft_wrap=True)
        if job.passed is not None and job.name in taken:
            status = "success" if job.passed else "failed"
            self._report([taken[job.name]], status, "\n".join(job.tail), seconds=job.seconds or 0)

    def _report(self, jobs: Sequence[Mapping[str, Any]] | Any, status: str, log: str, seconds: float = 0) -> None:
        for job in jobs:
            path = f"/-/sandbox/jobs/{job['id']}?status={status}&duration={seconds:.1f}"
            self._request("PUT", path, log).raise_for_status()

    def _ask(self, method: str, path: str) -> Any:
        answer = self._request(method, path)
        answer.raise_for_status()
        return answer.json()

    def _request(self, method: str, path: str, body: str = "") -> requests.Response:
        headers = {"PRIVATE-TOKEN": self.endpoints.gitlab_token}
        return requests.request(
            method, f"{self.endpoints.gitlab}{path}", headers=headers, data=body.encode(), timeout=60
        )


def run_waiting_jobs(endpoints: Endpoints, directory: Path, console: Console, *, stack: str, once: bool) -> None:
    """Run the waiting jobs of a deployed stack. Raises `BuildError`, and `SettingsError` for wrong settings."""
    settings = config.read_file(stack)
    with stack_environment(endpoints, directory, settings, stack=stack) as (environment, place):
        _push_builder(endpoints, settings, console)
        if not once:
            console.print("Waiting for jobs; Ctrl-C ends it.")
        WaitingJobs(endpoints=endpoints, environment=environment, place=place, console=console).run(once=once)


def _push_builder(endpoints: Endpoints, settings: Settings, console: Console) -> None:
    """Put a stand-in for the builder image into the registry, if there is none: jobs here need no image."""
    if settings.builder_repository is None:
        return
    session = boto3.Session(CREDENTIALS, CREDENTIALS, region_name=REGION)
    ecr = session.client("ecr", endpoint_url=endpoints.aws)
    repository = settings.builder_repository
    wanted: Any = [{"imageTag": BUILDER_VERSION}]
    if ecr.batch_get_image(repositoryName=repository, imageIds=wanted)["images"]:
        return
    children = [_child(ecr, repository, architecture) for architecture in settings.architectures]
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": children}
    ecr.put_image(
        repositoryName=repository,
        imageManifest=json.dumps(index),
        imageManifestMediaType=_INDEX,
        imageTag=BUILDER_VERSION,
    )
    console.print(
        f"Pushed an empty stand-in for the builder image, {repository}:{BUILDER_VERSION}: jobs here run with the "
        "programs of sandbox/builds/tools instead.",
        soft_wrap=True,
    )


def _child(ecr: Any, repository: str, architecture: Architecture) -> Mapping[str, Any]:
    annotations = {"dev.buildyard.sandbox": f"stand-in for {architecture}"}
    image = {
        "schemaVersion": 2,
        "mediaType": _IMAGE,
        "config": _EMPTY,
        "layers": [_EMPTY],
        "annotations": annotations,
    }
    text = json.dumps(image)
    pushed = ecr.put_image(repositoryName=repository, imageManifest=text, imageManifestMediaType=_IMAGE)
    return {
        "mediaType": _IMAGE,
        "digest": pushed["image"]["imageId"]["imageDigest"],
        "size": len(text),
        "platform": {"os": "linux", "architecture": str(architecture)},
    }
