"""The rules that decide when images are built: for which files, on which events.

| pipeline | an image with changes | the others |
| --- | --- | --- |
| merge request to the default branch | built | manual |
| push to the default branch | built | manual |
| Git tag, schedule | built | built |
| any other: another branch, started from the web, ... | manual | manual |

If `BUILDYARD_IMAGES` is set, in a schedule or by somebody who starts a pipeline, it decides instead: the images that it
names are built, with all that are built on them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline import paths
from pipeline.inputs import PipelineInputs
from pipeline.jobs import names
from pipeline.model import AutoCancel, Changes, Job, Reference, Rule, Variable, When, Workflow, WorkflowRule
from stacks.projects import Image
from stacks.trust import TIER_VARIABLE, Tier, Trust

VARIABLES = {
    "BUILDYARD_IMAGES": Variable(
        value="",
        description="The images to build, with those that are built on them: names with commas between, or * for all. "
        "If empty, start the jobs by hand.",
    ),
    "BUILDYARD_CACHE": Variable(
        value="use",
        options=("use", "renew"),
        description="`renew` runs every step again, such as `apt-get upgrade`, and writes the cache anew.",
    ),
}
"""The choices of somebody who starts a pipeline or sets up a schedule."""

_REQUESTED = "$BUILDYARD_IMAGES"
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
            WorkflowRule(condition=_has_merge_request(default_branch), when=When.NEVER),
            WorkflowRule(condition="$CI_COMMIT_BRANCH || $CI_COMMIT_TAG"),
        ),
    )


def _has_merge_request(default_branch: str) -> str:
    """The condition of a push to a branch whose merge request has a pipeline for the same commit."""
    return f'$CI_PIPELINE_SOURCE == "push" && $CI_OPEN_MERGE_REQUESTS && $CI_COMMIT_BRANCH != "{default_branch}"'


def completed(inputs: PipelineInputs, job: Job) -> Job:
    """The job with what all rules have in common.

    Only in merge requests does a newer commit cancel it. If the project has jobs of its own, the project's `workflow`
    decides which pipelines there are, and the job is in one pipeline per commit, as `workflow` has it.
    Source: https://docs.gitlab.com/ci/yaml/#rulesinterruptible (GitLab 16.10)
    """
    if not any(isinstance(rule, Rule) for rule in job.rules):
        return job
    duplicate = Rule(condition=_has_merge_request(inputs.project.default_branch), when=When.NEVER)
    first = (duplicate,) if inputs.project.has_own_jobs else ()
    return replace(job, rules=(*first, *(each for rule in job.rules for each in _interruptible(rule))))


def _interruptible(rule: Rule | Reference) -> Iterator[Rule | Reference]:
    if isinstance(rule, Reference) or rule.when is When.NEVER:
        yield rule
    elif rule.condition is None:
        yield replace(rule, condition=_MERGE_REQUEST, interruptible=True)
        yield rule
    else:
        yield replace(rule, interruptible=rule.condition.startswith(_MERGE_REQUEST))


def when_changed(inputs: PipelineInputs, image: Image) -> tuple[Rule, ...]:
    """The rules that build an image when its own files changed, or those of an image that it depends on.

    A merge request is compared with the default branch, so that its second commit builds no less than its first. A
    push to the default branch is compared with the push before it: comparing the branch with itself would never find a
    change. Without a push, GitLab evaluates `changes` as true, hence the conditions beside it.
    Source: https://docs.gitlab.com/ci/yaml/#ruleschanges
    """
    lists = [Reference(names.files(image), key) for key in paths.lists(paths.changed(inputs, image))]
    return _when_changed(inputs.project.default_branch, lists)


def when_requested(inputs: PipelineInputs, image: Image) -> Rule:
    """The rule that builds an image if `BUILDYARD_IMAGES` names it, or one that it is built on."""
    accepted = "|".join(re.escape(each.name) for each in inputs.with_dependencies(image))
    return Rule(condition=rf"{_REQUESTED} =~ /(^|[, ])(\*|{accepted})([, ]|$)/")


def when_any_is_built(inputs: PipelineInputs) -> tuple[Rule, ...]:
    """The rules that match whenever an image is built without somebody who starts its jobs."""
    return (OTHERS_REQUESTED, *_when_any_changed(inputs), *always())


def when_any_is_built_on_the_default_branch(inputs: PipelineInputs) -> tuple[Rule, ...]:
    """The same for pipelines of the default branch alone."""
    other = Rule(condition=f'$CI_COMMIT_BRANCH != "{inputs.project.default_branch}"', when=When.NEVER)
    merge_request = Rule(condition=_MERGE_REQUEST, when=When.NEVER)
    return (other, merge_request, *when_any_is_built(inputs))


def _when_any_changed(inputs: PipelineInputs) -> tuple[Rule, ...]:
    patterns = (each for image in inputs.project.built for each in paths.own(image))
    lists = paths.lists(tuple(dict.fromkeys(patterns))).values()
    return _when_changed(inputs.project.default_branch, lists)


def _when_changed(branch: str, lists: Iterable[tuple[str, ...] | Reference]) -> tuple[Rule, ...]:
    """One rule for each list of paths for merge requests, and one for pushes."""
    lists = tuple(lists)
    by_request = f'{_MERGE_REQUEST} && $CI_MERGE_REQUEST_TARGET_BRANCH_NAME == "{branch}"'
    by_push = f'$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "{branch}"'
    return (
        *(Rule(condition=by_request, changes=Changes(paths=each, compare_to=f"refs/heads/{branch}")) for each in lists),
        *(Rule(condition=by_push, changes=Changes(paths=each)) for each in lists),
    )


def by_trust(inputs: PipelineInputs) -> tuple[Rule, ...]:
    """The rules that come before all others: without runners for unprotected refs, their jobs would wait for ever."""
    if inputs.settings.trust is not Trust.PROTECTED_ONLY:
        return ()
    return (Rule(condition=f'${TIER_VARIABLE} != "{Tier.PROTECTED}"', when=When.NEVER),)


def by_git_tag(inputs: PipelineInputs, image: Image) -> tuple[Rule, ...]:
    """The rules that leave an image out of the pipelines of Git tags that release other images.

    Source: https://docs.gitlab.com/ci/jobs/job_rules/#compare-a-variable-to-a-regular-expression
    """
    if image.git_tags:
        patterns = "|".join(re.sub(r"[./]", r"\\\g<0>", each).replace("*", ".*") for each in image.git_tags)
        return (Rule(condition=f"$CI_COMMIT_TAG && $CI_COMMIT_TAG !~ /^({patterns})$/", when=When.NEVER),)
    if inputs.project.has_git_tags:
        return (Rule(condition=r"$CI_COMMIT_TAG && $CI_COMMIT_TAG =~ /\//", when=When.NEVER),)
    return ()


def always() -> tuple[Rule, ...]:
    """The rules that build every image: for releases, and for schedules, which pick up new base images."""
    return (Rule(condition="$CI_COMMIT_TAG"), Rule(condition='$CI_PIPELINE_SOURCE == "schedule"'))


MANUAL = Rule(when=When.MANUAL, allow_failure=True)
"""A job that somebody must start. The pipeline passes without it."""

OTHERS_REQUESTED = Rule(condition=_REQUESTED)
"""`BUILDYARD_IMAGES` names something: after `when_requested`, other images than this one."""

IN_EVERY_PIPELINE = Rule()
"""For jobs that follow others. A job without rules would be missing from merge request pipelines."""
