"""When images are built: which files, which events.

| pipeline | an image with changes | the others |
| --- | --- | --- |
| merge request to the default branch | built | by hand |
| push to the default branch | built | by hand |
| Git tag, schedule | built | built |
| any other: another branch, started from the web, ... | by hand | by hand |
"""

import posixpath
import re
from collections.abc import Iterator

from pipeline.inputs import PipelineInputs
from pipeline.model import AutoCancel, Changes, Rule, When, Workflow, WorkflowRule
from stacks.settings import Image

_MERGE_REQUEST = '$CI_PIPELINE_SOURCE == "merge_request_event"'


def workflow(default_branch: str) -> Workflow:
    """One pipeline a commit: a branch with an open merge request gets the merge request's alone.

    The default branch is not such a branch even if it is merged into another one. A new commit cancels the older
    pipelines of a merge request and nothing else.
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
    """The rules that build an image because its files changed, or those of an image that it is built on.

    A merge request is compared with the default branch as a whole, so that its second commit builds no less than its
    first. A push to the default branch is compared with the push before it: comparing the branch with itself would
    never find a change. Where there was no push, GitLab takes `changes` for true, hence the conditions beside it.
    Source: https://docs.gitlab.com/ci/yaml/#ruleschanges
    """
    branch = inputs.project.default_branch
    paths = tuple(dict.fromkeys(_paths(inputs, image)))
    return (
        Rule(
            condition=f'{_MERGE_REQUEST} && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "{branch}"',
            changes=Changes(paths=paths, compare_to=f"refs/heads/{branch}"),
        ),
        Rule(
            condition=f'$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "{branch}"',
            changes=Changes(paths=paths),
        ),
    )


def always() -> tuple[Rule, ...]:
    """The rules that build every image: releases, and schedules, which renew what images are built on."""
    return (Rule(condition="$CI_COMMIT_TAG"), Rule(condition='$CI_PIPELINE_SOURCE == "schedule"'))


MANUAL = Rule(when=When.MANUAL, allow_failure=True)
"""A job that waits to be started, while the pipeline passes without it."""

IN_EVERY_PIPELINE = Rule()
"""For jobs that follow others. Without any rule, a job would be left out of merge requests."""


def _paths(inputs: PipelineInputs, image: Image) -> Iterator[str]:
    dockerfile = posixpath.normpath(posixpath.join(image.context, image.dockerfile))
    context = posixpath.normpath(image.context)
    yield "**/*" if context == "." else f"{_literal(context)}/**/*"
    if context != "." and not dockerfile.startswith(f"{context}/"):
        yield _literal(dockerfile)
    for name in image.depends_on:
        yield from _paths(inputs, inputs.image(name))


def _literal(path: str) -> str:
    """A path as a pattern that matches only itself.

    GitLab expands `$NAME` and `%NAME%` in patterns before it matches them, and knows no escape for them here: a bracket
    around the sign keeps it from being read as a variable.
    """
    return re.sub(r"[$%]", r"[\g<0>]", re.sub(r"[\\*?\[\]{}]", r"\\\g<0>", path))
