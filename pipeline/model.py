"""A GitLab pipeline as plain immutable values; `dataclasses.replace` makes a variation.

The words are GitLab's own: https://docs.gitlab.com/ci/yaml/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class When(str, Enum):
    """Whether and how a job runs whose rule matches."""

    ON_SUCCESS = "on_success"
    MANUAL = "manual"
    NEVER = "never"

    def __str__(self) -> str:
        return self.value


class AutoCancel(str, Enum):
    """Which jobs a new commit cancels in the pipelines of the older ones."""

    INTERRUPTIBLE = "interruptible"
    NONE = "none"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Files of which at least one changed, as glob patterns; since `compare_to`, or since the last push."""

    paths: tuple[str, ...]
    compare_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The first rule whose conditions all hold decides about the job."""

    condition: str | None = None
    """GitLab's `if`."""
    changes: Changes | None = None
    when: When = When.ON_SUCCESS
    allow_failure: bool = False
    """For a manual job: the pipeline goes on without it."""


@dataclass(frozen=True, kw_only=True)
class WorkflowRule:
    """Whether a pipeline comes to be at all."""

    condition: str
    when: When | None = None
    on_new_commit: AutoCancel | None = None


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """When there is a pipeline, and what a newer one does to it."""

    on_new_commit: AutoCancel
    rules: tuple[WorkflowRule, ...]


@dataclass(frozen=True, kw_only=True)
class Need:
    """A job to wait for, and to take artifacts and variables from."""

    job: str
    optional: bool = False
    """The job may be absent from the pipeline."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Failures after which the job runs again: those of a kind, or with an exit code."""

    times: int
    when: tuple[str, ...]
    exit_codes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Files to hand to the jobs that need this one."""

    paths: tuple[str, ...] = ()
    dotenv: str | None = None
    expire_in: str = "1 week"


@dataclass(frozen=True)
class Reference:
    """The value of another job's key: `!reference [job, key]`."""

    job: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, or a hidden template (its name starts with a dot). What is None or empty, the file leaves out."""

    name: str
    origin: str
    """The settings' key that this job comes from, for messages: `buildyard:projects[0].images[1]`."""
    extends: tuple[str, ...] = ()
    stage: str | None = None
    tags: tuple[str, ...] = ()
    image: str | None = None
    """Started with an empty entrypoint, so that the job's shell is the container's process."""
    variables: Mapping[str, str] = field(default_factory=dict)
    interruptible: bool = False
    timeout: str | None = None
    retry: Retry | None = None
    needs: tuple[Need, ...] | None = None
    """None inherits them from the template; no needs at all starts the job at once."""
    rules: tuple[Rule | Reference, ...] = ()
    before_script: tuple[str | Reference, ...] = ()
    script: tuple[str | Reference, ...] = ()
    artifacts: Artifacts | None = None

    @property
    def hidden(self) -> bool:
        """Whether it is a template, which GitLab does not run."""
        return self.name.startswith(".")


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The pipeline of one GitLab project."""

    project: str
    """The project's path in GitLab."""
    path: str
    """The file to publish it as."""
    source: str
    """The file to edit instead of it."""
    stages: tuple[str, ...]
    workflow: Workflow
    jobs: tuple[Job, ...]
    """Templates and jobs in the order of the file: what all share, then each image's own."""
