"""Warnings of projects and branches that can start jobs from now on."""

from collections.abc import Iterator, Mapping

from delivery.causes import Causes
from delivery.danger import Concern, Danger, Rule, rights
from delivery.markdown import code
from delivery.preview import Change, Operation
from delivery.resource_types import RUNNER
from delivery.values import is_unknown, shown


def _runner(change: Change, _: Causes) -> Iterator[Danger]:
    yield from _starters(change)
    if change.operation is not Operation.DELETE and change.old:
        yield from _access(change)


def _starters(change: Change) -> Iterator[Danger]:
    """Warn of a group whose projects can start jobs on a runner from now on."""
    group, level = change.new.get("groupId"), change.new.get("accessLevel")
    if group is None or (change.old.get("groupId"), change.old.get("accessLevel")) == (group, level):
        return
    if change.operation not in (Operation.CREATE, Operation.REPLACE):
        return
    which = "a GitLab group" if is_unknown(group) else f"the GitLab group with the ID {code(shown(group) or '')}"
    releases = level == "ref_protected"
    how = " from branches that it protects itself, and so publish this stack's releases" if releases else ""
    yield rights(
        "runner",
        change.name,
        "takes jobs",
        f" of every project of {which}, subgroups included{how}. Use a group that contains image projects alone.",
    )


def _access(change: Change) -> Iterator[Danger]:
    """Warn of a runner that opens to unprotected refs, or closes to them."""
    before, after = change.old.get("accessLevel"), change.new.get("accessLevel")
    if before == after:
        return
    if before == "ref_protected":
        yield rights(
            "runner",
            change.name,
            "opens",
            " **to every branch and merge request**: whoever may push a branch can use the builds' role, and so "
            "replace what releases are built from.",
        )
    elif after == "ref_protected":
        yield Danger(
            concern=Concern.INTERRUPTION,
            noun="runner",
            names=(change.name,),
            verb="takes only jobs",
            rest=" of protected branches and tags from now on. Jobs of other refs need the pipeline file of this "
            "update: merge the default branch into open branches. Their caches in the release repositories stay: "
            "delete the tags there if you do not trust what branches wrote.",
        )


def _enabled_project(change: Change, _: Causes) -> Iterator[Danger]:
    """Warn of a project that can use the runners of another one from now on."""
    before, after = change.old.get("project"), change.new.get("project")
    # The runner may be replaced, and the project enabled for its successor: no gain.
    if change.operation is not Operation.DELETE and before != after:
        yield rights(
            "project",
            shown(after) or "",
            "can start jobs",
            " on this stack's runners from now on. Jobs of branches and tags that a project protects itself can "
            "publish all releases of this stack.",
        )


RULES: Mapping[str, Rule] = {
    RUNNER: _runner,
    "gitlab:index/projectRunnerEnablement:ProjectRunnerEnablement": _enabled_project,
}
"""By type."""
