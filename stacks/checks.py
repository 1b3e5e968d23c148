"""Checks that concern several keys of a stack's settings.

Every check yields the problems that it finds, and does not stop the other checks.
"""

import re
from collections.abc import Iterator

from stacks import image_checks, node_checks, registry_checks, resource_checks, retirement_checks, runner_extras
from stacks.fields import MAX_REPOSITORY_NAME, REPOSITORY_NAME
from stacks.problems import Problem, duplicates, echo, located
from stacks.projects import Project, common_group
from stacks.settings import Settings
from stacks.trust import Tier
from stacks.warm import When

MAX_NAMESPACE = 63
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names"""

_RUNNERS = "buildyard:runners"
_PROJECTS = "buildyard:projects"


def check(settings: Settings) -> Iterator[Problem]:
    """Every problem that concerns several keys."""
    yield from _runner_scope(settings)
    yield from resource_checks.of_runners(settings)
    yield from duplicates("project", ((project.path, f"{path}.path") for path, project in _projects(settings)))
    yield from duplicates("repository", repositories(settings))
    yield from _repository_names(settings)
    yield from _namespaces(settings)
    yield from node_checks.check(settings)
    yield from _warm(settings)
    yield from registry_checks.check(settings)
    yield from runner_extras.check(settings.runners)
    yield from retirement_checks.check(settings)
    for path, project in _projects(settings):
        yield from image_checks.check(settings, path, project)


def _projects(settings: Settings) -> Iterator[tuple[str, Project]]:
    return located(_PROJECTS, settings.projects)


def repositories(settings: Settings) -> Iterator[tuple[str, str]]:
    """The full name of every repository of the stack, each with the key that decides it."""
    if settings.builder_repository:
        yield settings.builder_repository, f"{_RUNNERS}.builder-image"
    for path, project in _projects(settings):
        names: set[str] = set()
        for image_path, image in image_checks.images_of(path, project):
            if image.repository:
                yield settings.repository_of(project, image), f"{image_path}.repository"
            elif image.name not in names:  # a second image of this name is reported elsewhere
                yield settings.repository_of(project, image), f"{image_path}.name"
            else:
                continue
            names.add(image.name)
            if review := settings.review_repository_of(project, image):
                yield review, f"{image_path}.{'repository' if image.repository else 'name'}"


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
    for repository, path in repositories(settings):
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
    if runners.projects_only:
        for key in ("group", "project"):
            if getattr(runners, key):
                yield Problem(
                    path=f"{_RUNNERS}.projects-only",
                    message=f"the runners belong to the projects of the settings, and to a {key}",
                    hint=f"Remove {key} or projects-only.",
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
            hint=f"{advice}. Every project of that group and its subgroups can then start build jobs. Or set "
            f"{_RUNNERS}.projects-only: true.",
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
