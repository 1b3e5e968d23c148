"""Checks of images at the end of their life: retired ones, and those whose deletion the settings allow."""

from collections.abc import Iterator

from stacks.problems import Problem, nearest
from stacks.settings import Settings


def check(settings: Settings) -> Iterator[Problem]:
    """Every problem."""
    yield from _deletions(settings)
    yield from _nothing_built(settings)
    yield from _dependents(settings)


def _deletions(settings: Settings) -> Iterator[Problem]:
    """Find words for a deletion that concern no repository: whoever wrote them believes that they do."""
    known = tuple(settings.release_repositories)
    for position, name in enumerate(settings.registry.delete_images):
        if name not in known:
            yield Problem(
                path=f"buildyard:registry.delete-images[{position}]",
                message=f"no image of this stack has the repository {name}",
                hint="If its image has just left the settings, remove this, too: the deployed settings count. Else: "
                f"{nearest(name, known)}",
            )


def _nothing_built(settings: Settings) -> Iterator[Problem]:
    if not any(project.built for project in settings.projects):
        yield Problem(
            path="buildyard:projects",
            message="every image is retired, so the stack builds nothing",
            hint="Use `pulumi destroy`, which keeps the repositories with their images.",
        )


def _dependents(settings: Settings) -> Iterator[Problem]:
    """Find images that are built on retired ones."""
    for number, project in enumerate(settings.projects):
        retired = {image.name: image for image in project.images if image.retired}
        for place, image in enumerate(project.images):
            for position, name in enumerate(() if image.retired else image.depends_on):
                if name in retired:
                    repository = settings.repository_of(project, retired[name])
                    yield Problem(
                        path=f"buildyard:projects[{number}].images[{place}].depends-on[{position}]",
                        message=f"{name} is retired, so no pipeline builds it for {image.name}",
                        hint=f"Retire {image.name}, too. Or remove {name} here, set contexts: {{{name}: "
                        f"docker-image://REGISTRY/{repository}:TAG@sha256:DIGEST}}, and add {repository} to "
                        "buildyard:registry.pull-from.",
                    )
