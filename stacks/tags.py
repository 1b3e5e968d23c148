"""The names of tags in the registry.

The pipeline's scripts get these names as values. Components make the repositories' tag filter and lifecycle policy of
them. A different prefix leaves the old caches behind: nothing reads them, and the new lifecycle policy keeps them.
"""

import re

LATEST = "latest"
"""The newest image of the default branch."""

CACHE_PREFIX = "buildcache-"
"""The beginning of every build cache's tag."""

RELEASES = "v*"
"""The pattern of the Git tags of images with `semver: true`."""

UNRELEASED = ("2*_*-*", "3*_*-*")
"""The patterns of `yymmdd_HHMMSS-commit`, from 2020 to 2039: images of merge requests and other branches."""


def version_prefix(default_branch: str) -> str:
    """The beginning of the versions of a default branch: its slug, as in GitLab's `CI_COMMIT_REF_SLUG`, and a dash."""
    slug = re.sub(r"[^a-z0-9]", "-", default_branch.lower())[:63].strip("-")
    # A branch without a letter or digit of ASCII has no slug. One that begins like a cache would be taken for one.
    return "default-" if not slug or f"{slug}-".startswith(CACHE_PREFIX) else f"{slug}-"


def version_pattern(default_branch: str) -> str:
    """The pattern of the versions `BRANCH-yymmdd_HHMMSS-commit` of a default branch, in ECR's notation."""
    return f"{version_prefix(default_branch)}*_*-*"


def cache_pattern() -> str:
    """The pattern that matches the tags of all build caches and nothing else, in ECR's notation."""
    return f"{CACHE_PREFIX}*"


def movable() -> tuple[str, ...]:
    """The patterns of tags that builds move. All other tags are immutable."""
    return (LATEST, cache_pattern())


def mutability(default_branch: str | None = None, *, semver: bool = False) -> tuple[str, tuple[str, ...]]:
    """A repository's setting in ECR for tags that move, and the patterns of tags that it does not apply to.

    With `semver`, `1.4` and `1` move. No pattern matches just these, so the setting is turned around, and its patterns
    are those of tags that never move. ECR takes five patterns with two `*` in each, hence `v*` for releases, and not
    what would match `1.4.2` but not `1.4`.
    Source: https://github.com/hashicorp/terraform-provider-aws/pull/43642, which checks these limits
    """
    if not semver:
        return "IMMUTABLE_WITH_EXCLUSION", movable()
    versions = (f"{version_prefix(default_branch)}*_*",) if default_branch else ()
    return "MUTABLE_WITH_EXCLUSION", (RELEASES, *versions, *(pattern.removesuffix("-*") for pattern in UNRELEASED))


def reserved(default_branch: str) -> tuple[str, ...]:
    """The patterns of tags that move or expire. No Git tag may match one, since releases stay for ever."""
    return (*movable(), version_pattern(default_branch), *UNRELEASED)
