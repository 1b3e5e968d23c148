"""Whether GitLab protects the branches and tags that release images.

Only pipelines of protected refs are of the protected tier. A name in GitLab's settings may contain wildcards:
https://docs.gitlab.com/user/project/repository/branches/protected/#use-wildcard-rules
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from stacks.problems import Notice, Problem
from stacks.projects import Project
from stacks.trust import Trust

_WHERE = "in GitLab's settings of the project, under Repository"


def protects(names: Iterable[str], ref: str) -> bool:
    """Whether one of these names of protected branches or tags matches the ref, or every ref of a pattern."""
    return any(re.fullmatch(re.escape(name).replace(r"\*", ".*"), ref) for name in names)


def problems(project: Project, path: str, *, branches: Sequence[str], tags: Sequence[str]) -> Iterator[Problem]:
    """Find refs of a project that are not protected but must be. `path` is the project's key in the settings."""
    if not protects(branches, project.default_branch):
        yield Problem(
            path=f"{path}.default-branch",
            message=f"{project.path} does not protect the branch {project.default_branch}, so its builds cannot "
            f"publish: protected runners take no jobs of it",
            hint=f"Protect it {_WHERE}, or set buildyard:trust to shared.",
        )
    for key, pattern in _release_tags(project):
        if not protects(tags, pattern):
            yield Problem(
                path=f"{path}.{key}",
                message=f"{project.path} does not protect the Git tags {pattern}, so their builds cannot publish a "
                "release: protected runners take no jobs of them",
                hint=f"Protect them {_WHERE}, or remove the pattern here.",
            )


def _release_tags(project: Project) -> Iterator[tuple[str, str]]:
    """The patterns of Git tags that release images, by their keys in the project's settings."""
    for position, pattern in enumerate(project.release_tags or ()):
        yield f"release-tags[{position}]", pattern
    for number, image in enumerate(project.images):
        for position, pattern in enumerate(() if image.retired else image.git_tags or ()):
            yield f"images[{number}].git-tags[{position}]", pattern


def notices(trust: Trust, project: Project, *, branches: Sequence[str], tags: Sequence[str]) -> Iterator[Notice]:
    """Warnings to reviewers about a project's protected branches and tags."""
    if not tags and project.release_tags is None and not project.has_git_tags:
        outcome = {
            Trust.ISOLATED: "images of Git tags go to the repositories of merge requests, and expire",
            Trust.PROTECTED_ONLY: "Git tags build no images",
        }[trust]
        yield Notice(
            message=f"{project.path} protects no Git tags, so {outcome}",
            hint=f"Protect the tags of releases {_WHERE}, and name them in release-tags; with `release-tags: []`, this "
            "warning ends.",
        )
    for kind, names in (("branches", branches), ("tags", tags)):
        if everything := [name for name in names if set(name) == {"*"}]:
            yield Notice(
                message=f"{project.path} protects all {kind}, by the name {everything[0]}: everybody who may push one "
                "can publish releases",
                hint="Protect only what releases.",
            )
