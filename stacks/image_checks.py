"""Checks of a project's images: each by itself, and what they say about each other."""

import posixpath
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from stacks import resource_checks
from stacks.credentials import is_unset
from stacks.names import dotenv_suffix
from stacks.problems import Problem, duplicates, echo, located, nearest
from stacks.projects import FromVariable, Image, Project, is_git_data
from stacks.settings import Settings

MOST_NAMES = 20
"""The most names in a message. Nobody reads a cycle of 1,000 images."""


def check(settings: Settings, path: str, project: Project) -> Iterator[Problem]:
    """Every problem of the images of the project at this path."""
    names = ((image.name, f"{image_path}.name") for image_path, image in images_of(path, project))
    yield from duplicates("image", names)
    yield from _dotenv_suffixes(path, project)
    yield from _dependencies(settings, path, project)
    for image_path, image in images_of(path, project):
        yield from _image(settings, image_path, image)


def images_of(path: str, project: Project) -> Iterator[tuple[str, Image]]:
    """The images of the project at this path, each with its own path."""
    return located(f"{path}.images", project.images)


def _dotenv_suffixes(path: str, project: Project) -> Iterator[Problem]:
    """Find images whose variables in dotenv reports have the same names."""
    first: dict[str, str] = {}
    for image_path, image in images_of(path, project):
        suffix = dotenv_suffix(image.name)
        other = first.setdefault(suffix, image.name)
        if other != image.name:
            yield Problem(
                path=f"{image_path}.name",
                message=f"{other} and {image.name} would both report IMAGE_DIGEST_{suffix}",
                hint="Rename one of the two, so that they differ in a letter or digit.",
            )


def _image(settings: Settings, path: str, image: Image) -> Iterator[Problem]:
    yield from resource_checks.of_image(settings, path, image)
    for position, architecture in enumerate(image.architectures or ()):
        if architecture not in settings.nodes:
            yield Problem(
                path=f"{path}.architectures[{position}]",
                message=f"the stack has no {architecture} nodes",
                hint=f"Add buildyard:nodes.{architecture}, or remove {architecture} here.",
            )
    dockerfile = posixpath.normpath(posixpath.join(image.context, image.dockerfile))
    if dockerfile.split("/")[0] in ("..", ""):
        yield Problem(
            path=f"{path}.dockerfile",
            message=f"{echo(image.dockerfile)}, seen from {image.context}, is outside the repository",
            hint="Use a path relative to the context that stays inside the repository.",
        )
    elif is_git_data(dockerfile) or f"{image.context}/".startswith(f"{dockerfile}/"):
        yield Problem(
            path=f"{path}.dockerfile",
            message=f"{echo(image.dockerfile)}, seen from {image.context}, is not a file of the repository",
            hint="Use the path of a Dockerfile, relative to the context.",
        )
    yield from _contexts(path, image)
    variables = [(f"{path}.secrets.{identifier}", variable) for identifier, variable in image.secrets.items()]
    for name, value in image.build_args.items():
        if isinstance(value, FromVariable):
            variables.append((f"{path}.build-args.{name}.from", value.variable))
    for key, variable in variables:
        if is_unset(variable):
            yield Problem(
                path=key,
                message=f"every job unsets {variable}, so that it logs in with the pod's role",
                hint="Use another name for the variable with these credentials.",
            )
    if image.timeout_minutes > settings.runners.maximum_timeout_minutes:
        yield Problem(
            path=f"{path}.timeout-minutes",
            message=f"{image.timeout_minutes} is longer than the runners' limit",
            hint=f"Lower it to at most {settings.runners.maximum_timeout_minutes}, "
            f"or raise buildyard:runners.maximum-timeout-minutes.",
        )


def _contexts(path: str, image: Image) -> Iterator[Problem]:
    """Find named contexts that BuildKit would not use, or that would replace a dependency."""
    for name in image.contexts:
        if name in ("context", "scratch"):
            yield Problem(
                path=f"{path}.contexts.{name}",
                message=f"BuildKit has a meaning of its own for {name}",
                hint="Use another name, here and in the Dockerfile.",
            )
        elif name in image.depends_on:
            yield Problem(
                path=f"{path}.contexts.{name}",
                message=f"{image.name} also depends on an image called {name}",
                hint="Use another name, here and in the Dockerfile.",
            )


def _dependencies(settings: Settings, path: str, project: Project) -> Iterator[Problem]:
    images = {image.name: image for image in project.images}
    known = tuple(images)
    graph: dict[str, tuple[str, ...]] = {}
    for image_path, image in images_of(path, project):
        graph[image.name] = tuple(name for name in image.depends_on if name in images)
        for position, name in enumerate(image.depends_on):
            where = f"{image_path}.depends-on[{position}]"
            if name not in images:
                yield Problem(
                    path=where,
                    message=f"the project {project.path} has no image {name}",
                    hint=nearest(name, known),
                )
                continue
            available = settings.architectures_of(images[name])
            lacking = [each for each in settings.architectures_of(image) if each not in available]
            if lacking:
                yield Problem(
                    path=where,
                    message=f"{image.name} is built for {', '.join(lacking)}, but {name} is not",
                    hint=f"Add it to the architectures of {name}, or remove it from those of {image.name}.",
                )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1][::-1]
        if len(cycle) > MOST_NAMES:
            cycle = [*cycle[: MOST_NAMES - 2], "...", cycle[-1]]
        yield Problem(
            path=f"{path}.images",
            message=f"images depend on each other in a cycle: {' -> '.join(cycle)}",
            hint="Remove one of these from the other's depends-on.",
        )
