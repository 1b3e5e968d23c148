"""A GitLab pipeline as immutable values; use `dataclasses.replace` to make a variant.

The names are GitLab's own: https://docs.gitlab.com/ci/yaml/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class When(str, Enum):
    """Whether and how a job runs when its rule matches."""

    ON_SUCCESS = "on_success"
    MANUAL = "manual"
    NEVER = "never"

    def __str__(self) -> str:
        return self.value


class AutoCancel(str, Enum):
    """The jobs that a new commit cancels in the pipelines of older commits."""

    INTERRUPTIBLE = "interruptible"
    NONE = "none"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Changes:
    """A condition: at least one file that matches a glob pattern changed since `compare_to`, or since the last push."""

    paths: "tuple[str, ...] | Reference"
    compare_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of a job. The first rule whose conditions all hold decides."""

    condition: str | None = None
    """GitLab's `if`."""
    changes: Changes | None = None
    when: When = When.ON_SUCCESS
    allow_failure: bool = False
    """For a manual job: the pipeline continues without it."""
    interruptible: bool = False
    """A newer commit of the same ref cancels the job."""


@dataclass(frozen=True, kw_only=True)
class WorkflowRule:
    """A rule that decides whether a pipeline is created."""

    condition: str
    when: When | None = None
    on_new_commit: AutoCancel | None = None


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """The rules that decide when a pipeline is created, and which jobs a newer one cancels."""

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
    """Failures after which the job runs again, by reason or by exit code."""

    times: int
    when: tuple[str, ...]
    exit_codes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Files to pass to the jobs that need this one."""

    paths: tuple[str, ...] = ()
    dotenv: str | None = None
    metrics: str | None = None
    codequality: str | None = None
    expire_in: str = "1 week"


@dataclass(frozen=True)
class Reference:
    """The value of another job's key: `!reference [job, key]`."""

    job: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job, or a hidden template, whose name starts with a dot. The file omits None, and what is empty but `needs`."""

    name: str
    origin: str
    """The key of the settings that the job comes from, for messages: `buildyard:projects[0].images[1]`."""
    extends: tuple[str, ...] = ()
    stage: str | None = None
    tags: tuple[str, ...] = ()
    image: str | None = None
    """Started with an empty entrypoint, so that the job's shell is the container's process."""
    variables: Mapping[str, str] = field(default_factory=dict)
    inherits: bool = True
    """Whether the `default` and `variables` of the whole pipeline count for the job."""
    timeout: str | None = None
    retry: Retry | None = None
    resource_group: str | None = None
    """Jobs of one group run one after the other, whichever pipelines they are in."""
    needs: tuple[Need, ...] | None = None
    """None inherits the template's needs; an empty tuple starts the job at once."""
    dependencies: tuple[str, ...] | None = None
    """The jobs of earlier stages to take artifacts from; None takes those of all."""
    rules: tuple[Rule | Reference, ...] = ()
    before_script: tuple[str | Reference, ...] = ()
    script: tuple[str | Reference, ...] = ()
    artifacts: Artifacts | None = None
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of a template that only references read. GitLab checks the keys of no template by itself."""

    @property
    def hidden(self) -> bool:
        """Whether it is a template, which GitLab does not run."""
        return self.name.startswith(".")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable of the whole pipeline, which GitLab shows to people who start one."""

    value: str
    description: str
    options: tuple[str, ...] = ()
    """The values to choose from; any value if there are none."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The pipeline of one GitLab project."""

    project: str
    """The project's path in GitLab."""
    path: str
    """The path of the published file."""
    source: str
    """The file that people edit instead of the published one."""
    stages: tuple[str, ...]
    workflow: Workflow
    is_whole: bool
    """Whether the file is all of the project's pipeline. An included file has no `stages` and `workflow`."""
    variables: Mapping[str, Variable]
    jobs: tuple[Job, ...]
    """Templates and jobs in the order of the file: first what all images share, then each image's own."""
