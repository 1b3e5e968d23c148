"""The pipelines of all projects of a stack, as files."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.render import PipelineFile, render
from stacks.problems import Problem, SettingsError
from stacks.projects import Project
from stacks.settings import Settings

Pipelines = Mapping[str, Sequence[PipelineFile]]
"""The files of each project's pipeline, by the project's path."""


def generate_all(settings: Settings, projects: Iterable[Project], registry_host: str, *, source: str) -> Pipelines:
    """The pipelines of those of a stack's projects that have images to build.

    Raises `SettingsError` with everything that GitLab would refuse, of all these projects.
    """
    pipelines: dict[str, Sequence[PipelineFile]] = {}
    problems: list[Problem] = []
    for project in projects:
        if not project.built:
            continue
        inputs = PipelineInputs(settings=settings, project=project, registry_host=registry_host, source=source)
        try:
            pipelines[project.path] = render(generate(inputs))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems, source=source)
    return pipelines
