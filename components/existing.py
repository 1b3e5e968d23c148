"""Lookups of what exists already under a stack's names: ECR repositories, and nodes that run.

A repository is the stack's by its tag. The stack takes it in even if its state has no record of it: it left the
settings before, or the state was lost.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pulumi_aws as aws

from components.labels import aws_tags
from stacks import checks
from stacks.names import STACK_TAG
from stacks.problems import Notice, Problem, echo
from stacks.settings import Settings
from stacks.trust import Tier

_GENERATED = r"-[0-9a-f]{7}"
"""Pulumi's addition to a resource's name, so that two generations of it can exist."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """An ECR repository that the stack needs, and that exists without the stack's tag.

    `kms_key` is None if ECR's own key encrypts it.
    """

    name: str
    path: str
    """The key of the settings that decides its name."""
    tags: Mapping[str, str]
    kms_key: str | None


@dataclass(frozen=True, kw_only=True)
class Repositories:
    """Those of the stack's repositories that exist: `own` with its tag, `others` without."""

    own: frozenset[str]
    others: tuple[Repository, ...]

    @property
    def taken_in(self) -> frozenset[str]:
        """The names of all, once there are no problems."""
        return self.own | {each.name for each in self.others}


def repositories(settings: Settings, stack: str, listed: Iterable[str]) -> Repositories:
    """The stack's repositories that exist. `listed` are the names of all in the region."""
    names = set(listed)
    wanted = {name: path for name, path in checks.repositories(settings) if name in names}
    if not wanted:
        return Repositories(own=frozenset(), others=())
    tagged = aws.resourcegroupstaggingapi.get_resources(
        resource_type_filters=["ecr:repository"],
        tag_filters=[{"key": key, "values": [value]} for key, value in aws_tags(stack, {}).items()],
    )
    tagged_names = {each.resource_arn.partition(":repository/")[2] for each in tagged.resource_tag_mapping_lists}
    # The list may be older than a repository: ECR itself is asked about those that are missing in it.
    found = [_repository(name, path) for name, path in wanted.items() if name not in tagged_names]
    own = [each.name for each in found if aws_tags(stack, {}).items() <= each.tags.items()]
    return Repositories(
        own=frozenset(wanted.keys() & tagged_names).union(own),
        others=tuple(each for each in found if each.name not in own),
    )


def _repository(name: str, path: str) -> Repository:
    found = aws.ecr.get_repository(name=name)
    [encryption] = found.encryption_configurations
    return Repository(name=name, path=path, tags=found.tags, kms_key=encryption.kms_key or None)


def problems(settings: Settings, others: tuple[Repository, ...]) -> Iterator[Problem]:
    """Find repositories that the stack must not or cannot take in."""
    reviews = set(settings.pushed_repositories(Tier.UNPROTECTED)) if Tier.UNPROTECTED in settings.trust.tiers else set()
    for each in others:
        if (owner := each.tags.get(STACK_TAG)) is not None:
            message, hint = (
                f"the repository {each.name} exists already, and belongs to the stack {echo(owner)}",
                "Set another repository here, or buildyard:registry.prefix for all of this stack.",
            )
        elif each.name in reviews:
            message, hint = (
                f"the repository {each.name} exists already, and the images of merge requests, which expire, need it",
                "Set another repository here, or delete that one.",
            )
        elif not settings.registry.adopt:
            message, hint = (
                f"the repository {each.name} exists already, and is not of this stack",
                "To take it in with its images, set buildyard:registry.adopt: true. Or set another repository here.",
            )
        elif not _same_encryption(each.kms_key, settings.registry.kms_key):
            actual, wanted = (key or "ECR's own key" for key in (each.kms_key, settings.registry.kms_key))
            message, hint = (
                f"the repository {each.name} is encrypted with {actual}, which ECR cannot change to {wanted}",
                "Take it in while buildyard:registry.kms-key is the same, and change that afterwards: it concerns "
                "new repositories. Or set another repository here.",
            )
        else:
            continue
        yield Problem(path=each.path, message=message, hint=hint)


def _same_encryption(actual: str | None, wanted: str | None) -> bool:
    if wanted and ":alias/" in wanted:  # ECR returns the key that it had when the repository was made
        return actual is not None
    return actual == wanted


def notices(settings: Settings, others: tuple[Repository, ...]) -> Iterator[Notice]:
    """Warnings to reviewers about repositories that the stack takes in."""
    days = settings.registry.keep_untagged_days
    for each in others:
        yield Notice(
            message=f"The stack takes in the repository {each.name} with its images. From now on its tags cannot move, "
            f"except latest, and images without a tag expire after {days} days",
            hint="Tag those that are deployed by digest.",
        )


def generations(name: str, running: Mapping[str, int]) -> int:
    """The most nodes that run in one generation of a node group."""
    generation = re.compile(re.escape(name) + _GENERATED)
    return max((nodes for each, nodes in running.items() if generation.fullmatch(each)), default=0)
