"""The rules that decide when images are built: for which files, on which events.

| pipeline | an image with changes | the others |
| --- | --- | --- |
| merge request to the default branch | built | manual |
| push to the default branch | built | manual |
| Git tag, schedule | built | built |
| any other: another branch, started from the web, ... | manual | manual |
"""

import posixpath
import re
from collections.abc import Mapping
from functools import lru_cache

from pipeline import limits
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import AutoCancel, Changes, Reference, Rule, When, Workflow, WorkflowRule
from stacks.settings import Image
from stacks.trust import TIER_VARIABLE, Tier, Trust

_MERGE_REQUEST = '$CI_PIPELINE_SOURCE == "merge_request_event"'


def workflow(default_branch: str) -> Workflow:
    """One pipeline per commit: a branch with an open merge request has only the merge request's pipeline.

    The default branch keeps its own pipelines even if a merge request merges it into another branch. A new commit
    cancels the older pipelines of its merge request and no others.
    """
    return Workflow(
        on_new_commit=AutoCancel.NONE,
        rules=(
            WorkflowRule(condition=_MERGE_REQUEST, on_new_commit=AutoCancel.INTERRUPTIBLE),
            WorkflowRule(
                condition=f'$CI_PIPELINE_SOURCE == "push" && $CI_OPEN_MERGE_REQUESTS && '
                f'$CI_COMMIT_BRANCH != "{default_branch}"',
                when=When.NEVER,
            ),
            WorkflowRule(condition="$CI_COMMIT_BRANCH || $CI_COMMIT_TAG"),
        ),
    )


def when_changed(inputs: PipelineInputs, image: Image) -> tuple[Rule, ...]:
    """The rules that build an image when its own files changed, or those of an image that it depends on.

    A merge request is compared with the default branch, so that its second commit builds no less than its first. A
    push to the default branch is compared with the push before it: comparing the branch with itself would never find a
    change. Without a push, GitLab evaluates `changes` as true, hence the conditions beside it.
    Source: https://docs.gitlab.com/ci/yaml/#ruleschanges
    """
    branch = inputs.project.default_branch
    merge_request = f'{_MERGE_REQUEST} && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "{branch}"'
    push = f'$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "{branch}"'
    lists = [Reference(names.files(image), key) for key in path_lists(inputs, image)]
    return (
        *(
            Rule(condition=merge_request, changes=Changes(paths=paths, compare_to=f"refs/heads/{branch}"))
            for paths in lists
        ),
        *(Rule(condition=push, changes=Changes(paths=paths)) for paths in lists),
    )


def by_trust(inputs: PipelineInputs) -> tuple[Rule, ...]:
    """The rules that come before all others: without runners for unprotected refs, their jobs would wait for ever."""
    if inputs.settings.trust is not Trust.PROTECTED_ONLY:
        return ()
    return (Rule(condition=f'${TIER_VARIABLE} != "{Tier.PROTECTED}"', when=When.NEVER),)


def changed_paths(inputs: PipelineInputs, image: Image) -> tuple[str, ...]:
    """The patterns of the files that the image is made from, with those of the images that it is built on."""
    images = inputs.with_dependencies(image)
    return tuple(dict.fromkeys(path for each in images for path in _paths(each.context, each.dockerfile)))


def path_lists(inputs: PipelineInputs, image: Image) -> Mapping[str, tuple[str, ...]]:
    """The same patterns in lists that are short enough for a rule: `paths`, `paths-2`, ..."""
    paths, most = changed_paths(inputs, image), limits.MAX_CHANGES
    starts = enumerate(range(0, len(paths), most), start=1)
    return {"paths" if number == 1 else f"paths-{number}": paths[start : start + most] for number, start in starts}


def always() -> tuple[Rule, ...]:
    """The rules that build every image: for releases, and for schedules, which pick up new base images."""
    return (Rule(condition="$CI_COMMIT_TAG"), Rule(condition='$CI_PIPELINE_SOURCE == "schedule"'))


MANUAL = Rule(when=When.MANUAL, allow_failure=True)
"""A job that somebody must start. The pipeline passes without it."""

IN_EVERY_PIPELINE = Rule()
"""For jobs that follow others. A job without rules would be missing from merge request pipelines."""


@lru_cache(maxsize=4096)
def _paths(context: str, dockerfile: str) -> tuple[str, ...]:
    """The patterns of an image's own files."""
    if context == ".":
        return ("**/*",)
    own = f"{_literal(context)}/**/*"
    file = posixpath.normpath(posixpath.join(context, dockerfile))
    return (own,) if file.startswith(f"{context}/") else (own, _literal(file))


def _literal(path: str) -> str:
    """The glob pattern that matches only this path.

    GitLab expands `$NAME` and `%NAME%` in patterns before it matches them, and has no escape for them here. Brackets
    around the sign prevent the expansion.
    """
    return re.sub(r"[$%]", r"[\g<0>]", re.sub(r"[\\*?\[\]{}]", r"\\\g<0>", path))
