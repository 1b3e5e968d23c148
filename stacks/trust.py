"""Trust tiers: which Git refs share runners, a role and repositories.

GitLab decides whether a ref is protected, and its protected runners take no jobs of other refs. So a branch that edits
the pipeline cannot leave its tier. All names that depend on the tier are made here.
"""

from enum import Enum

from stacks.architecture import Architecture

TIER_VARIABLE = "BUILDYARD_TIER"
"""The CI/CD variable that contains a job's tier.

The pipeline's file sets it to `unprotected`. A protected variable of the project sets it to `protected`: GitLab prefers
the project's variables to those of the file, and gives protected ones only to pipelines of protected refs.
"""

TIER_TAG = "buildyard:tier"
"""The AWS tag of repositories of the unprotected tier."""

_REVIEW = "review"


class Tier(str, Enum):
    """The Git refs whose jobs share runners, a namespace, a role, node groups and repositories."""

    PROTECTED = "protected"
    """Protected branches and tags. With `trust: shared`, this tier builds all other refs, too."""
    UNPROTECTED = "unprotected"
    """Merge requests and all other branches and tags."""

    def __str__(self) -> str:
        return self.value

    def of(self, name: str) -> str:
        """This tier's variant of a name. The protected tier's is the name itself."""
        return name if self is Tier.PROTECTED else f"{name}-{self.value}"


class Trust(str, Enum):
    """Which refs may build, and what separates merge requests from releases."""

    ISOLATED = "isolated"
    """Two tiers. A merge request cannot change what a protected branch or tag builds, pulls or publishes."""
    SHARED = "shared"
    """One tier: every branch may push to every repository of the stack, and write every cache."""
    PROTECTED_ONLY = "protected-only"
    """Protected branches and tags are built. Merge requests and all other refs have no jobs."""

    def __str__(self) -> str:
        return self.value

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that the stack has."""
        return tuple(Tier) if self is Trust.ISOLATED else (Tier.PROTECTED,)

    def access_level(self, tier: Tier) -> str:
        """GitLab's access level of a tier's runners, which decides whether they take jobs of unprotected refs."""
        only_protected = tier is Tier.PROTECTED and self is not Trust.SHARED
        return "ref_protected" if only_protected else "not_protected"

    def runner_tags(self, tier: Tier, architecture: Architecture) -> tuple[str, ...]:
        """The GitLab tags of a tier's runners of one architecture."""
        return architecture.runner_tags if self is Trust.SHARED else (*architecture.runner_tags, str(tier))

    @property
    def job_tags(self) -> tuple[str, ...]:
        """The tags, besides the architecture's, by which a job gets a runner of its ref's tier."""
        by_trust = {Trust.ISOLATED: f"${TIER_VARIABLE}", Trust.PROTECTED_ONLY: str(Tier.PROTECTED)}
        return (by_trust[self],) if self in by_trust else ()


def review_repository(repository: str) -> str:
    """The repository that the unprotected tier pushes to, for the image of another repository."""
    return f"{repository}/{_REVIEW}"
