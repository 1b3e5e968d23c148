"""The JSON form of a preview, as `pulumi preview --json` prints it, so that one reader serves both engines."""

from typing import Any

from sandbox.engine import urn as urns
from sandbox.engine.config import StackConfig
from sandbox.engine.journal import Journal
from sandbox.engine.resource import to_masked_json
from sandbox.engine.steps import Operation, Step

_PREFIXES = {"warning": "warning: ", "error": "error: "}


def preview_digest(journal: Journal, config: StackConfig, duration: float) -> dict[str, Any]:
    """Write a preview that took `duration` seconds. Secrets show as `[secret]`, unknown values as Pulumi's sentinel."""
    digest: dict[str, Any] = {}
    if masked := config.masked():
        digest["config"] = dict(sorted(masked.items()))
    digest["steps"] = [_step(step) for step in journal.steps if _is_listed(step)]
    if journal.messages:
        digest["diagnostics"] = [
            ({"urn": message.urn} if message.urn else {})
            | {"message": f"{_PREFIXES.get(message.severity, '')}{message.text}\n", "severity": message.severity}
            for message in journal.messages
        ]
    digest["duration"] = int(duration * 1e9)
    digest["changeSummary"] = journal.counts()
    return digest


def _is_listed(step: Step) -> bool:
    """Pulumi lists a replacement once, and of what stays the same the stack and changes of protection alone."""
    if step.operation is Operation.SAME and step.old and step.new:
        return step.resource.type == urns.STACK_TYPE or step.old.protect != step.new.protect
    return not step.operation.is_part and not urns.is_default_provider(step.urn)


def _step(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"op": str(step.operation), "urn": step.urn}
    if step.resource.provider:
        data["provider"] = step.resource.provider
    if step.old:
        data["oldState"] = to_masked_json(step.old)
    if step.new:
        data["newState"] = to_masked_json(step.new)
    diff = step.diff
    if diff and diff.changed_keys:
        data["diffReasons"] = list(diff.changed_keys)
    if diff and diff.replace_keys:
        data["replaceReasons"] = list(diff.replace_keys)
    data["detailedDiff"] = (
        {path: {"kind": item.kind, "inputDiff": item.input_diff} for path, item in diff.detailed.items()}
        if diff and diff.detailed is not None
        else None
    )
    return data
