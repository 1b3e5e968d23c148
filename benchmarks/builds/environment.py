"""The environment for measuring builds: its own sandbox with a deployed stack, and jobs that run as in a new pod."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

from benchmarks.builds.context import Context
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.model import Job, Pipeline
from sandbox.builds import tools
from sandbox.builds.environment import BuildEnvironment, build_environment
from sandbox.builds.events import Event
from sandbox.builds.gitlab_project import Checkout, GitLabProject
from sandbox.builds.pod_identity import find_service_account
from sandbox.builds.prerequisites import require
from sandbox.builds.worker import Worker
from sandbox.endpoints import REGION, read_endpoints
from sandbox.scratch import ScratchProject, scratch_project
from sandbox.services.aws.tokens import signing_key
from stacks.names import default_namespace
from stacks.parsing import parse

_PROJECT, _BRANCH, _CONTEXT = "platform/images", "master", "measured"
_RUNNER = "the stack's"
"""The only runner. The default branch is protected, so its jobs are of the protected tier."""
_SOURCE = "the benchmark's stack"
_JOBS = Path(__file__).parent / "jobs"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A job: its script, and its variables besides those that every job has."""

    script: str
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A job that succeeded: its duration, its processor time and its output.

    The processor time is that of all of the job's processes, without the registry's. Other work on the machine hardly
    changes it.
    """

    seconds: float
    processor_seconds: float
    output: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Images with one repository each, the jobs that build them, and one context for all."""

    aws: str
    """The URL of AWS."""
    context: Context
    around: BuildEnvironment
    worker: Worker
    checkout: Checkout
    pipeline: Pipeline

    def published(self, image: str) -> Pod:
        """The job of the published pipeline that builds an image for this machine's processor."""
        jobs = {job.name: job for job in self.pipeline.jobs}
        job = resolve(jobs[f"build-{image}:{tools.machine()}"], jobs)
        return Pod(script="\n".join(str(line) for line in (*job.before_script, *job.script)), variables=job.variables)

    def written(self, name: str, image: str) -> Pod:
        """A hand-written job from `jobs/`."""
        variables = {
            "BUILDKITD_FLAGS": "--oci-worker-no-process-sandbox",
            "CONTEXT_PATH": _CONTEXT,
            "IMAGE_URL": f"{self.around.registry_host}/{_PROJECT}/{image}",
            # A tag of its own, as in branch pipelines: the tags in these repositories are immutable.
            "IMAGE_TAG": f"{time.time_ns()}",
        }
        return Pod(script=(_JOBS / f"{name}.sh").read_text(), variables=variables)

    def variables(self, home: Path) -> dict[str, str]:
        """The variables of every process of a pod, whose own files are in `home`."""
        return {
            **self.worker.environment,
            **self.around.runner.environment,
            **self.around.runner.identities[_RUNNER],
            "HOME": str(home),
            "TMPDIR": str(self.worker.own(home / "tmp")),
        }

    def run(self, pod: Pod) -> Run:
        """Run a job with nothing left from other jobs. Raises RuntimeError with its output if it fails."""
        with self.worker.scratch() as home:
            environment = {**self.variables(home), **pod.variables, **self.checkout.variables}
            started, worked = time.perf_counter(), _processor_seconds()
            process = self.worker.start(
                ["sh", "-ec", pod.script],
                cwd=self.checkout.directory,
                env=environment,
                umask=0o022,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
            )
            output = process.communicate()[0].decode(errors="replace")
            seconds, processor_seconds = time.perf_counter() - started, _processor_seconds() - worked
        if process.returncode:
            raise RuntimeError(f"a build failed:\n{output}")
        return Run(seconds=seconds, processor_seconds=processor_seconds, output=output)


def _processor_seconds() -> float:
    """The processor time of all child processes that have ended, and of their own children."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def open_environment(images: Sequence[str], kind: type[Context] = Context) -> Iterator[Environment]:
    """Deploy a stack with these images, and run what builds need while the context is open.

    `kind` is that of the context that all of the images have.
    """
    with open_stack(stack_config(images), kind) as environment:
        environment.context.write()
        yield environment


@contextmanager
def open_stack(config: Mapping[str, Any], kind: type[Context] = Context) -> Iterator[Environment]:
    """Deploy a stack with this `config`, and run what builds need while the context is open."""
    with scratch_project() as project, tempfile.TemporaryDirectory(prefix="buildyard-bench-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)  # the worker must be able to enter it
        worker = require(directory)
        endpoints = _deploy(project, config)
        account = find_service_account("ci", default_namespace("sandbox"), aws=endpoints.aws, region=REGION)
        if account is None:
            raise RuntimeError("the deployed stack gives its build pods no role")
        with build_environment(
            aws=endpoints.aws,
            region=REGION,
            accounts={_RUNNER: account},
            token_key=signing_key(project.data),
            directory=worker.own(directory / "builds"),
            worker=worker,
        ) as around:
            source = GitLabProject(url=endpoints.gitlab, path=_PROJECT, token=endpoints.gitlab_token)
            checkout = source.check_out(Event.on_schedule(_BRANCH), worker.own(directory / "run") / "checkout", worker)
            yield Environment(
                aws=endpoints.aws,
                context=kind(checkout.directory / _CONTEXT),
                around=around,
                worker=worker,
                checkout=checkout,
                pipeline=published_pipeline(config, around.registry_host),
            )


def stack_config(images: Sequence[str]) -> dict[str, Any]:
    """The `config` of a stack with these images, all with one context and for this machine's processor."""
    return config_of([{"name": name, "context": _CONTEXT} for name in images])


def config_of(images: Sequence[Mapping[str, Any]], registry: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The `config` of a stack with images that have these keys, all for this machine's processor."""
    declared = [{**image, "architectures": [str(tools.machine())]} for image in images]
    return {
        "buildyard:registry": {**(registry or {})},
        "aws:region": REGION,
        "buildyard:cluster": {"name": "ci"},
        "buildyard:projects": [{"path": _PROJECT, "default-branch": _BRANCH, "images": declared}],
    }


def _deploy(project: ScratchProject, config: Mapping[str, Any]) -> Any:
    project.write_config(config)
    done = project.sandbox("up")
    if done.returncode:
        raise RuntimeError(f"the benchmark's stack was not deployed:\n{done.stdout}{done.stderr}")
    return read_endpoints(project.data)


def published_pipeline(config: Mapping[str, Any], registry_host: str) -> Pipeline:
    """The pipeline that a stack publishes to its only project."""
    prefix = "buildyard:"
    values = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    settings = parse(values, source=_SOURCE)
    return generate(
        PipelineInputs(settings=settings, project=settings.projects[0], registry_host=registry_host, source=_SOURCE)
    )


def resolve(job: Job, jobs: Mapping[str, Job]) -> Job:
    """Resolve the templates that a job extends, as far as a runner's shell needs them."""
    script, before, variables = job.script, job.before_script, dict(job.variables)
    for name in reversed(job.extends):
        parent = resolve(jobs[name], jobs)
        script, before = script or parent.script, before or parent.before_script
        variables = {**parent.variables, **variables}
    return replace(job, script=script, before_script=before, variables=variables)
