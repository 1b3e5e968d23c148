"""Real builds of the example groups' projects, and helpers for assertions about them."""

import gzip
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from components import node_cache
from sandbox.builds.environment import BuildEnvironment, build_environment
from sandbox.builds.events import Event, Trigger
from sandbox.builds.gitlab_project import Checkout, GitLabProject
from sandbox.builds.other_registries import Login
from sandbox.builds.pod_settings import PodSettings
from sandbox.builds.prerequisites import MissingPrerequisitesError, require
from sandbox.builds.progress import Job
from sandbox.builds.run import Result, run
from sandbox.builds.worker import Worker
from sandbox.endpoints import REGION
from stacks.trust import Tier, Trust
from tests.sandbox.builds.example_group import BRANCH, RUNNERS, ExampleGroup, ImageProject, account, example_group

DOCKERFILE = """\
FROM busybox:1.37
COPY dependencies /dependencies
RUN cat /dependencies > /installed
COPY source /source
"""
FILES = {"app/Dockerfile": DOCKERFILE, "app/dependencies": "one\n", "app/source": "print 1\n"}
"""An image whose second step depends on `dependencies` alone, and whose third on `source`."""
KEEPING = PodSettings(environment=node_cache.VARIABLES, node_folders=frozenset(node_cache.VARIABLES.values()))
"""The pods of a runner whose nodes have a disk for BuildKit's state."""


@dataclass(kw_only=True)
class Environment:
    """Runs pipelines, each in a new clone and with a new BuildKit state."""

    group: ExampleGroup
    builds: BuildEnvironment
    directory: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def project(
        self,
        images: Sequence[Mapping[str, Any]] | None = None,
        files: Mapping[str, str] | None = None,
        trust: Trust = Trust.ISOLATED,
        registry: Mapping[str, Any] | None = None,
    ) -> ImageProject:
        """A project of its own for a test; by default with the one image `app` for amd64."""
        default = [{"name": "app", "context": "app", "architectures": ["amd64"]}]
        return self.group.project(
            f"{self.directory.name}-{next(self._numbers)}", images or default, files or FILES, trust, registry
        )

    def check_out(self, project: ImageProject, event: Event | None = None) -> Checkout:
        """A clone for an event's pipeline; by default a schedule's, which builds everything."""
        worker = self.builds.runner.worker
        source = GitLabProject(url=self.group.gitlab, path=project.path, token=self.group.token)
        directory = worker.own(self.directory / f"run-{next(self._numbers)}") / "checkout"
        return source.check_out(event or Event.on_schedule(BRANCH), directory, worker)

    def run(self, checkout: Checkout, manual: Sequence[str] = ()) -> Result:
        """Run a pipeline's jobs, or run them all again as retries do."""
        return run(self.builds, checkout, ".gitlab-ci.yml", manual, Console(quiet=True))

    def build(self, project: ImageProject, event: Event | None = None, manual: Sequence[str] = ()) -> Result:
        """Run an event's pipeline, from a clone of its own."""
        return self.run(self.check_out(project, event), manual)

    def tags(self, project: ImageProject, image: str = "app") -> set[str]:
        """The tags of an image's repository, as ECR's API lists them."""
        pages = self.group.client("ecr").get_paginator("list_images").paginate(repositoryName=f"{project.path}/{image}")
        return {each["imageTag"] for page in pages for each in page["imageIds"] if "imageTag" in each}

    def file(self, project: ImageProject, tag: str, name: str, image: str = "app") -> str | None:
        """The content of a file in an image for one architecture. None if no layer has the file."""
        images, repository = self.builds.images, f"{project.path}/{image}"
        content = None
        for layer in images.read(f"{repository}/manifests/{tag}")["layers"]:
            url = f"{images.url}/v2/{repository}/blobs/{layer['digest']}"
            data = gzip.decompress(requests.get(url, timeout=30).content)
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                if name in archive.getnames() and (file := archive.extractfile(name)):
                    content = file.read().decode()
        return content


def node_disk(nodes: Environment, tier: Tier = Tier.PROTECTED) -> Path:
    """Where the disk for BuildKit's state is mounted on a tier's nodes."""
    return nodes.directory / "nodes" / account(Trust.ISOLATED, tier).namespace / node_cache.JOB_FOLDER.strip("/")


def on_branch(branch: str, trigger: Trigger = Trigger.SCHEDULE) -> Event:
    return Event(trigger=trigger, ref=branch)


def job(result: Result, name: str) -> Job:
    """The job of this name, which must have run."""
    return next(each for each in result.jobs if each.name == name)


def words(job: Job) -> str:
    """The last lines of the job's output, for a failing assertion."""
    return "\n".join(job.tail)


def find_worker() -> Worker:
    """The user of builds. Skips the test where something is missing that builds need, and fails it in CI."""
    try:
        return require(Path(tempfile.gettempdir()))
    except MissingPrerequisitesError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


@contextmanager
def temporary_example() -> Iterator[tuple[ExampleGroup, Path]]:
    """The example groups, and a folder for them and their builds."""
    with tempfile.TemporaryDirectory(prefix="buildyard-test-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        directory.chmod(0o755)  # the worker runs in it
        with example_group(directory) as made:
            yield made, directory


@contextmanager
def open_environment(
    example: tuple[ExampleGroup, Path],
    worker: Worker,
    name: str = "builds",
    *,
    ecr_hosts: Iterable[str] = (),
    logins: Sequence[Login] = (),
    pods: PodSettings | None = None,
) -> Iterator[Environment]:
    made, directory = example
    place = worker.own(directory / name)
    with build_environment(
        aws=made.aws,
        region=REGION,
        accounts=RUNNERS,
        token_key=made.token_key,
        directory=place,
        worker=worker,
        ecr_hosts=ecr_hosts,
        logins=logins,
        pods=pods,
    ) as builds:
        yield Environment(group=made, builds=builds, directory=place)
