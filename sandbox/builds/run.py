"""`make build`: the pipeline of a project in the sandbox's GitLab, run from a clone to the images in the registry."""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.builds.environment import BuildEnvironment, build_environment
from sandbox.builds.errors import BuildError
from sandbox.builds.events import Event
from sandbox.builds.gitlab_project import Checkout, GitLabProject
from sandbox.builds.images import REPORT_KEYS, PublishedImage, look_up, reports
from sandbox.builds.pod_identity import ServiceAccount, find_service_account
from sandbox.builds.pod_settings import PodSettings, deployed_pod_settings
from sandbox.builds.prerequisites import require
from sandbox.builds.progress import Job, Progress
from sandbox.endpoints import REGION, Endpoints
from sandbox.services.aws.tokens import signing_key
from stacks import config
from stacks.names import stack_name
from stacks.projects import Project
from stacks.registries import split_reference
from stacks.settings import Identity, Settings


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a pipeline."""

    passed: bool
    jobs: Sequence[Job]
    images: Sequence[PublishedImage]
    stuck: Mapping[str, Sequence[str]]
    """The jobs that no runner takes, with their tags."""


def build(
    endpoints: Endpoints,
    directory: Path,
    console: Console,
    *,
    stack: str,
    event: Callable[[str], Event] = Event.on_schedule,
    manual: Sequence[str] = (),
    project: str | None = None,
) -> bool:
    """Run a pipeline of a deployed stack in the sandbox, and show its progress and its result.

    `event` gives the event for a default branch. By default that is a schedule, which builds every image of the stack's
    first project. Returns
    whether all jobs passed. Raises `BuildError`, and `SettingsError` for wrong settings.
    """
    settings = config.read_file(stack)
    wanted = _project(settings, project)
    with stack_environment(endpoints, directory, settings, stack=stack) as (environment, place):
        gitlab = GitLabProject(url=endpoints.gitlab, path=wanted.path, token=endpoints.gitlab_token)
        checkout = gitlab.check_out(event(wanted.default_branch), place / "checkout", environment.runner.worker)
        if not (checkout.directory / wanted.pipeline_path).exists():
            raise BuildError(f"{wanted.path} has no {wanted.pipeline_path}: deploy the stack first, with `make up`.")
        result = run(environment, checkout, wanted.pipeline_path, manual, console)
    _show(console, result)
    return result.passed


@contextmanager
def stack_environment(
    endpoints: Endpoints, directory: Path, settings: Settings, *, stack: str
) -> Iterator[tuple[BuildEnvironment, Path]]:
    """The environment of a deployed stack's jobs, for one command at a time, and the folder for its checkouts.

    Raises `BuildError`.
    """
    worker = require(directory)
    accounts = _service_accounts(endpoints, settings, stack)
    with (
        _alone(worker.own(directory / "builds")) as place,
        build_environment(
            aws=endpoints.aws,
            region=REGION,
            accounts=accounts,
            token_key=signing_key(directory),
            directory=place,
            worker=worker,
            ecr_hosts=_pulled_hosts(settings),
            pods=_pod_settings(endpoints, settings, stack),
        ) as environment,
    ):
        yield environment, place


def run(
    environment: BuildEnvironment, checkout: Checkout, file: str, manual: Sequence[str], console: Console
) -> Result:
    """Run the pipeline in a checkout's file, and read its results."""

    def say(job: str, words: str) -> None:
        console.print(Text(f"{job:28} {words}", no_wrap=True, overflow="ellipsis"), soft_wrap=True)

    progress = Progress(say)
    outcome = environment.runner.run(checkout, file=file, manual=manual, report=progress.take)
    jobs = list(progress.jobs.values())
    if not jobs and not outcome.stuck:
        raise BuildError("\n".join(["The runner started no job. Its output:", *progress.other]))
    images = [
        look_up(report, environment.images, environment.runner.worker)
        for report in reports(environment.runner.artifacts(checkout))
    ]
    # A manual job may fail in GitLab without failing the pipeline, but here somebody asked for it.
    passed = outcome.status == 0 and all(job.passed for job in jobs)
    return Result(passed=passed, jobs=jobs, images=images, stuck=outcome.stuck)


def _pulled_hosts(settings: Settings) -> set[str]:
    """The hosts of other ECR registries that builds pull from."""
    return {split_reference(each, "")[0] for each in settings.registry.pull_from} - {""}


def _pod_settings(endpoints: Endpoints, settings: Settings, stack: str) -> PodSettings:
    """The settings of the stack's pods, which are the same for all its runners."""
    tier, architecture = settings.trust.tiers[0], settings.architectures[0]
    manager = f"{tier.of(stack_name(stack))}-{architecture}"
    namespace = settings.runners.namespace_of(stack, tier)
    return deployed_pod_settings(endpoints.kubernetes, namespace, manager).without_proxies()


def _project(settings: Settings, path: str | None) -> Project:
    for project in settings.projects:
        if path in (None, project.path):
            return project
    raise BuildError(f"The stack has no project {path}, only {', '.join(each.path for each in settings.projects)}.")


def _service_accounts(endpoints: Endpoints, settings: Settings, stack: str) -> Mapping[str, ServiceAccount]:
    """The service account of the pods of each of the stack's runners."""
    if settings.identity is not Identity.POD_IDENTITY:
        raise BuildError("Builds here need EKS Pod Identity: set buildyard:identity to pod-identity.")
    accounts = {}
    for tier in settings.trust.tiers:
        namespace = settings.runners.namespace_of(stack, tier)
        account = find_service_account(settings.cluster.name, namespace, aws=endpoints.aws, region=REGION)
        if account is None:
            raise BuildError("The stack's build pods have no role yet: deploy the stack first, with `make up`.")
        for architecture in settings.architectures:
            accounts[f"{tier.of(stack_name(stack))}-{architecture}"] = account
    return accounts


@contextmanager
def _alone(place: Path) -> Iterator[Path]:
    """Lock the folder of builds for one command, and remove the previous checkout."""
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildError("Another build is running in this sandbox; wait until it ends.") from None
        shutil.rmtree(place / "checkout", ignore_errors=True)
        yield place


def _show(console: Console, result: Result) -> None:
    for name, tags in result.stuck.items():
        console.print(Text(f"{name} waits for a runner with the tags {', '.join(tags)} that takes jobs of this ref."))
    for job in result.jobs:
        if job.passed is False:
            console.print(Text(f"\nThe last lines of {job.name}:", style="bold red"))
            console.print(Text("\n".join(job.tail)), soft_wrap=True)
    console.print()
    console.print(_table(result.jobs))
    for image in result.images:
        console.print(Text(f"\n{image.reference}", style="bold"), soft_wrap=True)
        for platform, machine in image.machines.items():
            console.print(f"  {platform}: runs on {machine}", soft_wrap=True)
        for name, value in next(iter(image.labels.values())).items():
            console.print(f"  {name.removeprefix('org.opencontainers.image.')}: {value}", soft_wrap=True)
        for key in REPORT_KEYS:
            console.print(f"  build.env: {key}={image.report[key]}", soft_wrap=True)


def _table(jobs: Sequence[Job]) -> Table:
    table = Table("job", box=None)
    for column in ("seconds", "steps", "from the cache", "result"):
        table.add_column(column, justify="right")
    for job in jobs:
        counts = (str(len(job.steps)), str(job.cached)) if job.steps else ("", "")
        verdict = {True: "passed", False: f"failed ({job.exit_code})", None: "cut off"}[job.passed]
        table.add_row(job.name, f"{job.seconds:.1f}" if job.seconds is not None else "", *counts, verdict)
    return table
