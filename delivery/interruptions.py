"""Warnings of interruptions: jobs that are cut off or that the update waits for."""

from collections.abc import Iterator, Mapping, Sequence

from delivery.causes import Causes
from delivery.danger import Concern, Danger, Rule
from delivery.file_diff import text_diff
from delivery.preview import Change, Operation
from delivery.resource_types import NAMESPACE, NODE_GROUP, RELEASE, RUNNER
from delivery.values import find, is_secret, is_unknown

_JOBS_FAIL = "**Running jobs fail.**"
_ALL_GOES = "**All that is in it is deleted with it**: runner managers, running builds, secrets."
_NODES_END = "**EKS terminates nodes after 5 minutes, whatever runs on them.**"
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html"""
_WAITS = "The update first pauses the runner and waits for its jobs, at most until they time out."


def _goes(change: Change) -> bool:
    return change.operation in (Operation.DELETE, Operation.REPLACE)


def _gone(change: Change) -> str:
    return "is replaced" if change.operation is Operation.REPLACE else "is deleted"


def _namespace(change: Change, causes: Causes) -> Iterator[Danger]:
    if not _goes(change):
        return
    # The namespace is deleted last, since all that is in it depends on it.
    outcome = _end_of_jobs(list(causes.siblings(change, RUNNER)), _ALL_GOES)
    yield Danger(
        concern=Concern.LOSS if outcome is _ALL_GOES else Concern.INTERRUPTION,
        noun="namespace",
        names=(change.name,),
        verb=_gone(change),
        rest=f"{causes.because(change)}. {outcome}",
    )


def _node_group(change: Change, causes: Causes) -> Iterator[Danger]:
    if _goes(change):
        outcome = _end_of_jobs(list(causes.users(change, RUNNER)), _NODES_END)
        yield _interruption(change, "node group", _gone(change), f"{causes.because(change)}. {outcome}")
    elif change.operation is Operation.UPDATE and change.changes("launchTemplate", "version", "releaseVersion"):
        # https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
        rest = (
            ": the jobs on the old ones are evicted. The update fails if a disruption budget forbids that for longer "
            "than 15 minutes."
        )
        yield _interruption(change, "node group", "gets new nodes", rest)


def _runner(change: Change, causes: Causes) -> Iterator[Danger]:
    if _goes(change):
        rest = f"{causes.because(change)}. {_end_of_jobs([change], _JOBS_FAIL)}"
        yield _interruption(change, "runner", _gone(change), rest)


def _end_of_jobs(runners: Sequence[Change], otherwise: str) -> str:
    """The fate of the jobs of the runners that go with a resource."""
    return _WAITS if runners and all(_goes(runner) and runner.waits for runner in runners) else otherwise


def _release(change: Change, causes: Causes) -> Iterator[Danger]:
    restarts = change.operation is Operation.UPDATE and change.changes("values", "version", "chart", "valueYamlFiles")
    if not restarts and not _goes(change):
        return
    verb = "restarts" if restarts else _gone(change)
    outcome = _WAITS if change.waits and not restarts else _grace(change)
    diff = _config_diff(change) if restarts else ""
    yield _interruption(change, "runner manager", verb, f"{causes.because(change)}. {outcome}", diff)


def _interruption(change: Change, noun: str, verb: str, rest: str, diff: str = "") -> Danger:
    return Danger(concern=Concern.INTERRUPTION, noun=noun, names=(change.name,), verb=verb, rest=rest, diff=diff)


def _grace(change: Change) -> str:
    values = change.old.get("values")
    grace = values.get("terminationGracePeriodSeconds") if isinstance(values, Mapping) else None
    patience = f"after {grace / 60:g} minutes" if isinstance(grace, (int, float)) else "after the chart's grace period"
    return (
        f"The new one takes the next jobs, the old one finishes its own; those that still run {patience} are cut off."
    )


def _config_diff(change: Change) -> str:
    """The diff of the jobs' settings: resources, ceilings, security contexts."""
    before, after = (find(inputs, "values.runners.config") for inputs in (change.old, change.new))
    if not (isinstance(before, str) and isinstance(after, str)) or is_secret([before, after]) or is_unknown(after):
        return ""
    return text_diff(before, after, "a/config.toml", "b/config.toml")


RULES: Mapping[str, Rule] = {
    NAMESPACE: _namespace,
    NODE_GROUP: _node_group,
    RUNNER: _runner,
    RELEASE: _release,
}
"""By type. The others interrupt nothing."""
