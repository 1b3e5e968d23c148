"""Warnings of interruptions: jobs that are cut off or that the update waits for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from delivery.causes import NAMESPACE, NODE_GROUP, RELEASE, RUNNER, Causes
from delivery.danger import Concern, Danger
from delivery.file_diff import text_diff
from delivery.preview import Change, Operation
from delivery.values import find, is_secret, is_unknown

_JOBS_FAIL = "**Running jobs fail.**"
_ALL_GOES = "**All that is in it is deleted with it**: runner managers, running builds, secrets."
_NODES_END = "**EKS terminates nodes after 5 minutes, whatever runs on them.**"
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html"""
_WAITS = "The update first pauses the runner and waits for its jobs, at most until they time out."


def interruptions(change: Change, causes: Causes) -> Iterator[Danger]:
    """The jobs that this change interrupts, and what is lost with it."""
    rule = RULES.get(change.type)
    return rule(change, causes) if rule else iter(())


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
        yield Danger(
            concern=Concern.INTERRUPTION,
            noun="node group",
            names=(change.name,),
            verb=_gone(change),
            rest=f"{causes.because(change)}. {_end_of_jobs(list(causes.users(change, RUNNER)), _NODES_END)}",
        )
    elif change.operation is Operation.UPDATE and change.changes("launchTemplate", "version", "releaseVersion"):
        yield Danger(
            concern=Concern.INTERRUPTION,
            noun="node group",
            names=(change.name,),
            verb="gets new nodes",
            # https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
            rest=": the jobs on the old ones are evicted. The update fails if a disruption budget forbids that for "
            "longer than 15 minutes.",
        )


def _runner(change: Change, causes: Causes) -> Iterator[Danger]:
    if _goes(change):
        yield Danger(
            concern=Concern.INTERRUPTION,
            noun="runner",
            names=(change.name,),
            verb=_gone(change),
            rest=f"{causes.because(change)}. {_end_of_jobs([change], _JOBS_FAIL)}",
        )


def _end_of_jobs(runners: Sequence[Change], otherwise: str) -> str:
    """The fate of the jobs of the runners that go with a resource."""
    return _WAITS if runners and all(_goes(runner) and runner.waits for runner in runners) else otherwise


def _release(change: Change, causes: Causes) -> Iterator[Danger]:
    restarts = change.operation is Operation.UPDATE and change.changes("values", "version", "chart", "valueYamlFiles")
    if not restarts and not _goes(change):
        return
    yield Danger(
        concern=Concern.INTERRUPTION,
        noun="runner manager",
        names=(change.name,),
        verb="restarts" if restarts else _gone(change),
        rest=f"{causes.because(change)}. {_WAITS if change.waits and not restarts else _grace(change)}",
        diff=_config_diff(change) if restarts else "",
    )


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


RULES: Mapping[str, Callable[[Change, Causes], Iterator[Danger]]] = {
    NAMESPACE: _namespace,
    NODE_GROUP: _node_group,
    RUNNER: _runner,
    RELEASE: _release,
}
"""By type. The others interrupt nothing."""
