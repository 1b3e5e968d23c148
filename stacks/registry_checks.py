"""Checks of the registries that builds pull from, and of who pulls from the stack's."""

from collections.abc import Iterator

from stacks.credentials import is_unset
from stacks.problems import Problem, echo
from stacks.registries import MAX_CACHE_PREFIX, cache_folder, cached_upstreams, matches, split_reference
from stacks.settings import Settings
from stacks.trust import Tier

_REGISTRY = "buildyard:registry"


def check(settings: Settings) -> Iterator[Problem]:
    """Every problem."""
    yield from pulled(settings, own_host="")
    yield from _logins(settings)
    yield from _caches(settings)


def pulled(settings: Settings, *, own_host: str) -> Iterator[Problem]:
    """Find repositories to pull from that merge requests write to: a release could contain what they pushed.

    Names with a host are compared with `own_host`, the stack's registry.
    """
    if Tier.UNPROTECTED not in settings.trust.tiers:
        return
    written = [*settings.pushed_repositories(Tier.UNPROTECTED), *_cached(settings, Tier.UNPROTECTED)]
    for position, reference in enumerate(settings.registry.pull_from):
        host, name = split_reference(reference, own_host)
        found = next((each for each in written if host == own_host and matches(each, name)), None)
        if found:
            yield Problem(
                path=f"{_REGISTRY}.pull-from[{position}]",
                message=f"{echo(reference)} includes {found}, which merge requests write to and releases never read",
                hint="Name the repositories one by one, without those of this stack.",
            )


def _cached(settings: Settings, tier: Tier) -> Iterator[str]:
    """A name in each of the tier's caches."""
    for each in cached_upstreams(settings.registry.pull_through):
        yield f"{each.prefix(settings.registry.prefix, tier)}/image"


def _logins(settings: Settings) -> Iterator[Problem]:
    for host, login in settings.registry.logins.items():
        path = f"{_REGISTRY}.logins.{host}"
        if login.job_token and (login.user or login.password):
            yield Problem(
                path=path,
                message="has the job's token, and a user or a password",
                hint="Remove job-token, or remove user and password.",
            )
        elif not login.job_token and not (login.user and login.password):
            yield Problem(
                path=path,
                message="has no complete login",
                hint="Set user, and password to the name of a CI/CD variable; or job-token: true for the container "
                "registry of the GitLab instance that runs the jobs.",
            )
        if login.password and is_unset(login.password):
            yield Problem(
                path=f"{path}.password",
                message=f"every job unsets {login.password}, so that it logs in with the pod's role",
                hint="Use another name for the variable with this password.",
            )


def _caches(settings: Settings) -> Iterator[Problem]:
    registry = settings.registry
    for each in cached_upstreams(registry.pull_through):
        longest = max((each.prefix(registry.prefix, tier) for tier in settings.trust.tiers), key=len)
        if len(longest) > MAX_CACHE_PREFIX:
            yield Problem(
                path=f"{_REGISTRY}.pull-through.{each.upstream.key}",
                message=f"the prefix of its cached repositories, {longest}, has {len(longest)} characters, and ECR "
                f"takes {MAX_CACHE_PREFIX} at most",
                hint="Shorten buildyard:registry.prefix.",
            )
    if any(cached_upstreams(registry.pull_through)):
        yield from _pushed_into_caches(settings)


def _pushed_into_caches(settings: Settings) -> Iterator[Problem]:
    """Find images in a cache: builds could push what other builds believe to be the upstream's image."""
    folder = cache_folder(settings.registry.prefix, Tier.PROTECTED)
    for number, project in enumerate(settings.projects):
        for position, image in enumerate(project.images):
            repository = settings.repository_of(project, image)
            if repository.startswith(f"{folder}/"):
                yield Problem(
                    path=f"buildyard:projects[{number}].images[{position}].repository",
                    message=f"{repository} is in {folder}, which holds the images of buildyard:registry.pull-through",
                    hint="Use another repository.",
                )
