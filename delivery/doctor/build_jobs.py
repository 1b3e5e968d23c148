"""The pipeline of a test build: the published build jobs of one image, and nothing else.

A build job pushes by digest, so nothing is tagged: ECR deletes what it pushed with other untagged images.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import AutoCancel, Job, Pipeline, Rule, Workflow, WorkflowRule
from pipeline.render import render
from stacks.architecture import Architecture
from stacks.problems import Problem, SettingsError, nearest
from stacks.projects import Image, Project
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The image to build, and where it is."""

    project: Project
    image: Image

    @property
    def path(self) -> str:
        """The project's path and the image's name."""
        return f"{self.project.path}/{self.image.name}"


def choose(settings: Settings, name: str | None, *, source: str) -> Mapping[Architecture, Choice]:
    """The image to build for each architecture.

    That is the one with this name or path (`PROJECT/NAME`), by default the one that requests least CPU of those that
    need no other image and no secret. Raises `SettingsError` for a name that no image or more than one image has.
    """
    every = [Choice(project=project, image=image) for project in settings.projects for image in project.images]
    if name is not None:
        [chosen] = [_named(every, name, source)]
        return dict.fromkeys(settings.architectures_of(chosen.image), chosen)
    simple = [each for each in every if not each.image.depends_on and not each.image.secrets]
    order = sorted(simple or every, key=lambda each: settings.resources_of(each.image).cpu.request or 0)
    found: dict[Architecture, Choice] = {}
    for architecture in settings.architectures:
        fitting = (each for each in order if architecture in settings.architectures_of(each.image))
        if chosen_for := next(fitting, None):
            found[architecture] = chosen_for
    return found


def _named(every: Iterable[Choice], name: str, source: str) -> Choice:
    paths = {each.path: each for each in every}
    found = {path: each for path, each in paths.items() if name in (path, each.image.name)}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        message, hint = f"several projects have an image {name}", f"Use one of {', '.join(found)}."
    else:
        message, hint = f"the stack has no image {name}", nearest(name, list(paths))
    raise SettingsError([Problem(path="--build", message=message, hint=hint)], source=source)


def pipeline_text(inputs: PipelineInputs, image: Image, architectures: Iterable[Architecture], path: str) -> str:
    """The text of a whole pipeline, to be the file `path`, whose jobs run in any pipeline of a branch."""
    published = generate(inputs)
    builds = {names.build(image, architecture) for architecture in architectures}
    jobs = (_started(job) for job in published.jobs if _is_needed(job, inputs, image, builds))
    test = replace(
        published,
        path=path,
        is_whole=True,
        workflow=Workflow(on_new_commit=AutoCancel.NONE, rules=(WorkflowRule(condition="$CI_COMMIT_BRANCH"),)),
        variables={},
        jobs=tuple(jobs),
    )
    return _text(test)


def _is_needed(job: Job, inputs: PipelineInputs, image: Image, builds: Iterable[str]) -> bool:
    if job.hidden:
        return job.origin in (inputs.origin, inputs.origin_of(image))
    return job.name in builds


def _started(job: Job) -> Job:
    """The job without conditions, and without jobs to wait for: the pipeline has no others."""
    return job if job.hidden else replace(job, rules=(Rule(),), needs=())


def _text(pipeline: Pipeline) -> str:
    [file] = render(pipeline)
    return file.text
