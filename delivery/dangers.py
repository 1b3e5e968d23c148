"""Warnings that a reviewer must not overlook: what is lost, which jobs are interrupted, who gains rights.

There are rules for each dangerous type of resource. A resource without a rule is only in the table of changes.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from delivery import gains, guards, interruptions, starters
from delivery.causes import Causes
from delivery.danger import Concern, Danger, together
from delivery.file_diff import file_diff
from delivery.markdown import code, some
from delivery.preview import Change, Operation
from delivery.repositories import losses
from delivery.resource_types import REPOSITORY, RUNNER

_MOST_NAMES = 8
_FILE = "gitlab:index/repositoryFile:RepositoryFile"
_RULES = (interruptions.RULES, starters.RULES, gains.RULES, guards.RULES)
TYPES = frozenset({*chain(*_RULES), REPOSITORY, _FILE})
"""The types of resources that have a rule."""


def dangers(changes: Sequence[Change], causes: Causes) -> list[Danger]:
    """The dangers of all changes, the worst first."""
    lost = (Danger(concern=Concern.LOSS, rest=text) for text in losses(changes, causes.because))
    return together([*lost, *(danger for change in changes for danger in _of(change, causes))])


def _of(change: Change, causes: Causes) -> Iterator[Danger]:
    for rules in _RULES:
        if rule := rules.get(change.type):
            yield from rule(change, causes)
    if change.type == _FILE:
        yield from _published_file(change)
    yield from _secrets(change, causes)


def _published_file(change: Change) -> Iterator[Danger]:
    path = code(f"{change.new.get('filePath') or change.old.get('filePath', change.name)}")
    project = code(f"{change.new.get('project') or change.old.get('project', '')}")
    if change.operation is Operation.DELETE:
        text = f"The file {path} of {project} is deleted; a project without it has no pipeline."
    elif change.operation is Operation.CREATE:
        text = f"The file {path} is published to {project}."
    elif change.changes("content", "filePath", "branch", "project"):
        text = f"The published file {path} of {project} changes."
    else:
        return
    yield Danger(concern=Concern.PIPELINE, rest=text, diff=file_diff(change.old, change.new))


def _secrets(change: Change, causes: Causes) -> Iterator[Danger]:
    secrets = some([code(found.path) for found in change.properties if found.secret], _MOST_NAMES)
    if not secrets:
        return
    if any(runner.operation is Operation.REPLACE for runner in causes.used(change, RUNNER)):
        verb, rest = "gets the token", f" of a new runner: {secrets}. The manager gets it in the same update."
    else:
        verb, rest = "changes", f": {secrets}. Whatever uses the old value must get the new one."
    yield Danger(concern=Concern.SECRET, noun="secret", names=(change.name,), verb=verb, rest=rest)
