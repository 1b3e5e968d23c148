"""GitLab's choice of a runner for a job: by tags, and by whether the pipeline's ref is protected.

Source: https://docs.gitlab.com/ci/runners/configure_runners/
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GitLabRunner:
    """A runner that a project may use, as GitLab describes it."""

    name: str
    tags: frozenset[str]
    only_protected: bool
    """Whether it refuses jobs of refs that are not protected."""
    untagged: bool
    paused: bool

    def takes(self, tags: Collection[str], *, protected: bool) -> bool:
        """Whether it runs a job with these tags."""
        if self.paused or (self.only_protected and not protected):
            return False
        return self.tags.issuperset(tags) if tags else self.untagged


def choose(runners: Iterable[GitLabRunner], tags: Collection[str], *, protected: bool) -> GitLabRunner | None:
    """The runner of a job. None if the job would wait for ever."""
    return next((runner for runner in runners if runner.takes(tags, protected=protected)), None)


def expanded(tags: Iterable[str], variables: Mapping[str, str]) -> Sequence[str]:
    """Tags with the values of variables, which GitLab puts there when it creates the pipeline."""
    return [
        re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda found: variables.get(found[1] or found[2], ""), tag) for tag in tags
    ]
