"""Checks that concern several keys of a stack's settings.

Every check yields the problems that it finds, and does not stop the other checks.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from stacks import registry_checks
from stacks.fields import MAX_REPOSITORY_NAME, REPOSITORY_NAME
from stacks.names import dotenv_suffix
from stacks.problems import Problem, echo, nearest
from stacks.projects import FromVariable, Image, Project, common_group, is_git_data
from stacks.quantities import Quantity
from stacks.runners import Bounds, Resources
from stacks.settings import Settings
from stacks.trust import Tier
from stacks.warm import When

T = TypeVar("T")

RESOURCES = {"cpu": "CPU", "memory": "memory", "ephemeral_storage": "ephemeral storage"}
"""The fields of `Resources` and `Ceilings`, each with its name for messages."""

CREDENTIALS = (
    *("AWS_ACCESS_KEY*", "AWS_SECRET_*", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_BEARER_TOKEN*"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_*", "AWS_CONTAINER_*", "AWS_ENDPOINT_URL*", "AWS_EC2_METADATA_SERVICE_*"),
    "DOCKER_AUTH_CONFIG",
)
"""Patterns of variables that clients of AWS and of its registry prefer to a pod's role. The published jobs unset them.
"""

MOST_NAMES = 20
"""The most names in a message. Nobody reads a cycle of 1,000 images."""

MAX_NAMESPACE = 63
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names"""

_RUNNERS = "buildyard:runners"
_PROJECTS = "buildyard:projects"


def check(settings: Settings) -> Iterator[Problem]:
    """Every problem that concerns several keys."""
    yield from _runner_scope(settings)
    yield from _runner_resources(settings)
    yield from _duplicates("project", ((project.path, f"{path}.path") for path, project in _projects(settings)))
    yield from _duplicates("repository", _repositories(settings))
    yield from _repository_names(settings)
    yield from _namespaces(settings)
    yield from _warm(settings)
    yield from registry_checks.check(settings, CREDENTIALS)
    for path, project in _projects(settings):
        names = ((image.name, f"{image_path}.name") for image_path, image in _images(path, project))
        yield from _duplicates("image", names)
        yield from _dotenv_suffixes(path, project)
        yield from _dependencies(settings, path, project)
        for image_path, image in _images(path, project):
            yield from _image(settings, image_path, image)


def _located(path: str, items: Iterable[T]) -> Iterator[tuple[str, T]]:
    return ((f"{path}[{position}]", item) for position, item in enumerate(items))


def _projects(settings: Settings) -> Iterator[tuple[str, Project]]:
    return _located(_PROJECTS, settings.projects)


def _images(path: str, project: Project) -> Iterator[tuple[str, Image]]:
    return _located(f"{path}.images", project.images)


def _repositories(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.builder_repository:
        yield settings.builder_repository, f"{_RUNNERS}.builder-image"
    for path, project in _projects(settings):
        names: set[str] = set()
        for image_path, image in _images(path, project):
            if image.repository:
                yield settings.repository_of(project, image), f"{image_path}.repository"
            elif image.name not in names:  # a second image of this name is reported elsewhere
                yield settings.repository_of(project, image), f"{image_path}.name"
            else:
                continue
            names.add(image.name)
            if review := settings.review_repository_of(project, image):
                yield review, f"{image_path}.{'repository' if image.repository else 'name'}"


def _dotenv_suffixes(path: str, project: Project) -> Iterator[Problem]:
    """Find images whose variables in dotenv reports have the same names."""
    first: dict[str, str] = {}
    for image_path, image in _images(path, project):
        suffix = dotenv_suffix(image.name)
        other = first.setdefault(suffix, image.name)
        if other != image.name:
            yield Problem(
                path=f"{image_path}.name",
                message=f"{other} and {image.name} would both report IMAGE_DIGEST_{suffix}",
                hint="Rename one of the two, so that they differ in a letter or digit.",
            )


def _namespaces(settings: Settings) -> Iterator[Problem]:
    """Find a namespace that is too long with the suffix of the unprotected tier."""
    namespace = settings.runners.namespace or ""
    longest = Tier.UNPROTECTED.of(namespace)
    if Tier.UNPROTECTED in settings.trust.tiers and len(longest) > MAX_NAMESPACE:
        yield Problem(
            path=f"{_RUNNERS}.namespace",
            message=f"the namespace for merge requests, {longest}, has more than {MAX_NAMESPACE} characters",
            hint=f"Use at most {MAX_NAMESPACE - len(longest) + len(namespace)} characters.",
        )


def _repository_names(settings: Settings) -> Iterator[Problem]:
    """Find names that ECR refuses, though each of their parts is valid."""
    for repository, path in _repositories(settings):
        if len(repository) > MAX_REPOSITORY_NAME:
            message = f"the repository's name, {echo(repository)}, has {len(repository)} characters"
            yield Problem(
                path=path,
                message=f"{message}, and ECR takes {MAX_REPOSITORY_NAME} at most",
                hint="Shorten it, buildyard:registry.prefix, or set a shorter repository.",
            )
        elif not re.fullmatch(REPOSITORY_NAME, repository):
            yield Problem(
                path=path,
                message=f"the repository's name would be {echo(repository)}, which ECR refuses",
                hint="Set repository: lower-case words joined by '/', '.', '_' or '-'.",
            )


def _runner_scope(settings: Settings) -> Iterator[Problem]:
    """Find projects that cannot use the runners: their jobs would stay pending for ever."""
    runners = settings.runners
    if runners.group and runners.project:
        yield Problem(
            path=f"{_RUNNERS}.project",
            message="the runners belong to a group and to a project",
            hint="Remove group or project.",
        )
        return
    group = settings.runner_group
    if not (group or runners.project):
        common = common_group(project.path for project in settings.projects)
        advice = (
            f"Name the group, such as {common}" if common else "Use one stack per top-level group, and name the group"
        )
        yield Problem(
            path=f"{_RUNNERS}.group",
            message="is missing, and the projects do not all lie directly in one group",
            hint=f"{advice}. Every project of that group and its subgroups can then start build jobs.",
        )
        return
    for path, project in _projects(settings):
        if runners.project and project.path != runners.project:
            yield Problem(
                path=f"{path}.path",
                message=f"{project.path} cannot use the runners, which belong to the project {runners.project}",
                hint=f"Give them to a group that contains both, with {_RUNNERS}.group.",
            )
        elif group and not project.path.startswith(f"{group}/"):
            yield Problem(
                path=f"{path}.path",
                message=f"{project.path} cannot use the runners, which belong to the group {group}",
                hint=f"Give them to a group that contains all projects, with {_RUNNERS}.group.",
            )


def _runner_resources(settings: Settings) -> Iterator[Problem]:
    runners = settings.runners
    for field, resource in RESOURCES.items():
        ceiling: Quantity = getattr(runners.ceilings, field)
        for name, resources in (("helper", runners.helper), ("services", runners.services)):
            yield from _bounds(f"{_RUNNERS}.{name}", resources, Resources(), field)
            bounds: Bounds = getattr(resources, field)
            if bounds.request and not bounds.limit and bounds.request > ceiling:
                yield Problem(
                    path=f"{_RUNNERS}.{name}.{_key(field)}.request",
                    message=f"{bounds.request} of {resource} is above the ceiling of {ceiling}, its default limit",
                    hint=f"Set {_RUNNERS}.{name}.{_key(field)}.limit, or lower the request.",
                )
        yield from _bounds(f"{_RUNNERS}.defaults", runners.defaults, Resources(), field)
        for bound, quantity in _given(getattr(runners.defaults, field)):
            if quantity > ceiling:
                yield Problem(
                    path=f"{_RUNNERS}.ceilings.{_key(field)}",
                    message=f"{ceiling} is below the default {bound} of {resource}, {quantity}",
                    hint=f"Raise it to at least {quantity}, or lower {_RUNNERS}.defaults.{_key(field)}.{bound}.",
                )


def _image(settings: Settings, path: str, image: Image) -> Iterator[Problem]:
    for field, resource in RESOURCES.items():
        yield from _bounds(f"{path}.resources", image.resources, settings.runners.defaults, field)
        ceiling: Quantity = getattr(settings.runners.ceilings, field)
        for bound, quantity in _given(getattr(image.resources, field)):
            if quantity > ceiling:
                yield Problem(
                    path=f"{path}.resources.{_key(field)}.{bound}",
                    message=f"{quantity} of {resource} is above the ceiling of {ceiling}",
                    hint=f"Lower it to at most {ceiling}, or raise {_RUNNERS}.ceilings.{_key(field)}.",
                )
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
        if any(fnmatchcase(variable, pattern) for pattern in CREDENTIALS):
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
            f"or raise {_RUNNERS}.maximum-timeout-minutes.",
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


def _bounds(path: str, resources: Resources, defaults: Resources, field: str) -> Iterator[Problem]:
    """Find a request above its limit: Kubernetes would refuse the pod. One of the two may be a default."""
    own: Bounds = getattr(resources, field)
    effective = own.over(getattr(defaults, field))
    if own == Bounds() or not (effective.request and effective.limit and effective.request > effective.limit):
        return
    inherited = "" if own.request and own.limit else f", and one of them is from {_RUNNERS}.defaults"
    bound, hint = (
        ("request", f"Lower it to at most {effective.limit}, or raise the limit.")
        if own.request
        else ("limit", f"Raise it to at least {effective.request}, or lower the request.")
    )
    yield Problem(
        path=f"{path}.{_key(field)}.{bound}",
        message=f"the request of {effective.request} is above the limit of {effective.limit}{inherited}",
        hint=hint,
    )


def _dependencies(settings: Settings, path: str, project: Project) -> Iterator[Problem]:
    images = {image.name: image for image in project.images}
    known = tuple(images)
    graph: dict[str, tuple[str, ...]] = {}
    for image_path, image in _images(path, project):
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


def _warm(settings: Settings) -> Iterator[Problem]:
    """Pause pods ask for what the default job requests of CPU and memory."""
    warm, path = settings.runners.warm, f"{_RUNNERS}.warm"
    if warm.when is When.OFF:
        return
    for resource in ("cpu", "memory"):
        if getattr(settings.runners.defaults, resource).request is None:
            yield Problem(
                path=f"{_RUNNERS}.defaults.{resource}.request",
                message="is missing, but is the size of the places that runners.warm keeps",
                hint=f"Set it, or set {path}.when to off.",
            )
    for tier in warm.tiers or ():
        if tier not in settings.trust.tiers:
            yield Problem(
                path=f"{path}.tiers",
                message=f"with trust: {settings.trust}, the stack has no tier {tier}",
                hint=f"Use {' and '.join(map(str, settings.trust.tiers))}, or leave the key out.",
            )
    if warm.when is When.HOURS and warm.hours.since >= warm.hours.until:
        yield Problem(
            path=f"{path}.hours.until",
            message=f"{warm.hours.until} is not after {warm.hours.since}",
            hint="Use hours of one day.",
        )


def _duplicates(what: str, values: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for value, path in values:
        if value in first:
            yield Problem(
                path=path,
                message=f"the {what} {value} already exists, at {first[value]}",
                hint="Rename one of the two.",
            )
        first.setdefault(value, path)


def _given(bounds: Bounds) -> Iterator[tuple[str, Quantity]]:
    return ((bound, quantity) for bound, quantity in bounds if quantity is not None)


def _key(field: str) -> str:
    return field.replace("_", "-")
