"""Names that two stacks cannot both have, found by comparing a stack's file with the others beside it.

AWS and GitLab would refuse them in the middle of an update; some of them nobody would refuse.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stacks import config
from stacks.names import SANDBOX, stack_name
from stacks.problems import Notice, Problem, SettingsError
from stacks.registries import cached_upstreams
from stacks.settings import Settings
from stacks.trust import Tier


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack's settings, and where it is deployed, as far as its file says that."""

    name: str
    settings: Settings
    region: str | None
    gitlab: str | None

    @property
    def source(self) -> str:
        """The stack's file, for messages."""
        return config.file_name(self.name)

    @property
    def account(self) -> str | None:
        """The AWS account."""
        return self.settings.registry.account

    @property
    def repositories(self) -> Iterator[str]:
        """The names of its ECR repositories."""
        for tier in self.settings.trust.tiers:
            yield from self.settings.pushed_repositories(tier)
        if self.settings.builder_repository:
            yield self.settings.builder_repository

    @property
    def caches(self) -> Iterator[str]:
        """The prefixes of its pull-through caches."""
        registry = self.settings.registry
        for each in cached_upstreams(registry.pull_through):
            yield from (each.prefix(registry.prefix, tier) for tier in self.settings.trust.tiers)

    @property
    def namespaces(self) -> Iterator[str]:
        """Its Kubernetes namespaces."""
        return (self.settings.runners.namespace_of(self.name, tier) for tier in self.settings.trust.tiers)

    @property
    def roles(self) -> Iterator[str]:
        """The beginnings of its roles' names, up to what the role is for."""
        return (tier.of(stack_name(self.name)) for tier in self.settings.trust.tiers)

    @property
    def runner_tags(self) -> Iterator[frozenset[str]]:
        """The tags of its runners, which are also those of its jobs."""
        settings = self.settings
        for tier in settings.trust.tiers:
            for architecture in settings.architectures:
                yield frozenset(settings.runners.tags.named(settings.trust.runner_tags(tier, architecture)))


@dataclass(frozen=True, kw_only=True)
class Collisions:
    """`notices` are collisions if two stacks are in one AWS account, which their files do not say."""

    problems: Sequence[Problem]
    notices: Sequence[Notice]


def collisions(name: str, settings: Settings) -> Collisions:
    """The names that the stack cannot have, since another stack has them."""
    problems: list[Problem] = []
    notices: list[Notice] = []
    own = _stack(name, settings)
    if own is None:
        return Collisions(problems=[], notices=[])
    for other in _others(name):
        problems += _in_gitlab(own, other)
        found = list(_in_aws(own, other))
        if own.account and other.account:
            problems += found if own.account == other.account else ()
        else:
            notices += (Notice(message=f"{each.path}: {each.message}, {_IF}", hint=_HOW_TO_TELL) for each in found)
    return Collisions(problems=problems, notices=notices)


_IF = "if both stacks are in one AWS account"
_HOW_TO_TELL = "With buildyard:registry.account in both files, the preview can tell."


def _others(name: str) -> Iterator[Stack]:
    """The other stacks that have a file without mistakes. Those of a file with mistakes are in its own preview."""
    for path in sorted(config.DIRECTORY.glob("Pulumi.*.yaml")):
        other = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        if other != name and (found := _stack(other)):
            yield found


def _stack(name: str, settings: Settings | None = None) -> Stack | None:
    if name == SANDBOX:
        return None
    try:
        values = config.read_values(name)
        return Stack(
            name=name,
            settings=settings or config.read_file(name),
            region=_text(values.get("aws:region")),
            gitlab=_text(values.get("gitlab:baseUrl")),
        )
    except SettingsError:
        return None


def _text(value: Any) -> str | None:
    return str(value).rstrip("/") if value else None


def _in_gitlab(own: Stack, other: Stack) -> Iterator[Problem]:
    if own.gitlab != other.gitlab:
        return
    theirs = {project.path for project in other.settings.projects}
    for position, project in enumerate(own.settings.projects):
        if project.path in theirs:
            yield Problem(
                path=f"buildyard:projects[{position}].path",
                message=f"{project.path} is in {other.source}, too, and both would publish its pipeline",
                hint="Remove it from one of the two files. One registry can replicate its images to other regions.",
            )
    shared = [tags for tags in own.runner_tags if any(tags <= each or each <= tags for each in other.runner_tags)]
    if shared and _share_projects(own.settings, other.settings):
        yield Problem(
            path="buildyard:runners.tags.prefix",
            message=f"{other.source} has runners with the tags {', '.join(sorted(shared[0]))} for the same projects, "
            "too: each stack's jobs would run with the other's role",
            hint="Set different prefixes in the two files, or give one stack's runners to another group.",
        )


def _share_projects(own: Settings, other: Settings) -> bool:
    """Whether a project may use the runners of both."""
    ones, twos = ([f"{path}/" for path in each.runner_projects or (each.runner_group,)] for each in (own, other))
    return any(one.startswith(two) or two.startswith(one) for one in ones for two in twos)


def _in_aws(own: Stack, other: Stack) -> Iterator[Problem]:
    where = f"{other.source} has"
    if same := _same(own.roles, other.roles):
        yield Problem(
            path=own.source,
            message=f"{where} roles named {same[0]}-..., too, for the tier {Tier.UNPROTECTED} of one of the two stacks",
            hint="Use another name for the stack.",
        )
    if own.region != other.region:
        return
    if same := _same(own.repositories, other.repositories):
        yield Problem(
            path="buildyard:registry.prefix",
            message=f"{where} the repository {same[0]}{_more(same)}, too",
            hint="Set different prefixes in the two files. For the builder's repository alone, set "
            "buildyard:runners.builder-image in one of them to the image in the other's.",
        )
    if same := _same(own.caches, other.caches):
        yield Problem(
            path="buildyard:registry.prefix",
            message=f"{where} the pull-through cache {same[0]}{_more(same)}, too",
            hint="Set different prefixes in the two files.",
        )
    if own.settings.registry.blob_mounting is True and other.settings.registry.blob_mounting is True:
        yield Problem(
            path="buildyard:registry.blob-mounting",
            message=f"{other.source} turns it on, too, and it is one setting of the account and region",
            hint="Write elsewhere in one of the two files: the builds of both stacks use it.",
        )
    if own.settings.cluster.name == other.settings.cluster.name and (same := _same(own.namespaces, other.namespaces)):
        yield Problem(
            path="buildyard:runners.namespace",
            message=f"{where} the namespace {same[0]} in the cluster {own.settings.cluster.name}, too",
            hint="Use another namespace.",
        )


def _same(own: Iterable[str], others: Iterable[str]) -> Sequence[str]:
    return sorted(set(own) & set(others))


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
