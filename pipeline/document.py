"""The model as plain values for YAML, with the keys in the order in which people read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.model import Artifacts, Changes, Job, Need, Reference, Retry, Rule, Variable, Workflow, WorkflowRule


class Inline(list[Any]):
    """A list that is written on one line."""


class Block(str):
    """A text of several lines, written as a literal block."""


def workflow(value: Workflow) -> dict[str, Any]:
    """The top-level key `workflow`."""
    return {
        "auto_cancel": {"on_new_commit": str(value.on_new_commit)},
        "rules": [_workflow_rule(rule) for rule in value.rules],
    }


def variables(values: Mapping[str, Variable]) -> dict[str, Any]:
    """The top-level key `variables`."""
    return {name: _variable(each) for name, each in values.items()}


def jobs(values: Sequence[Job]) -> dict[str, Any]:
    """The jobs, keyed by name."""
    return {job.name: _job(job) for job in values}


def _job(job: Job) -> dict[str, Any]:
    return _given(
        {
            "extends": job.extends[0] if len(job.extends) == 1 else Inline(job.extends) or None,
            "stage": job.stage,
            "tags": Inline(job.tags) or None,
            "image": {"name": job.image, "entrypoint": Inline([""])} if job.image else None,
            "variables": dict(job.variables) or None,
            "inherit": None if job.inherits else {"default": False, "variables": False},
            "timeout": job.timeout,
            "retry": job.retry and _retry(job.retry),
            "resource_group": job.resource_group,
            "needs": None if job.needs is None else _needs(job.needs),
            "dependencies": None if job.dependencies is None else Inline(job.dependencies),
            "rules": [rule if isinstance(rule, Reference) else _rule(rule) for rule in job.rules] or None,
            "before_script": [_line(line) for line in job.before_script] or None,
            "script": [_line(line) for line in job.script] or None,
            "artifacts": job.artifacts and _artifacts(job.artifacts),
            **{key: list(values) for key, values in job.lists.items()},
        }
    )


def _variable(variable: Variable) -> dict[str, Any]:
    options = Inline(variable.options) or None
    return _given({"value": variable.value, "options": options, "description": variable.description})


def _needs(needs: Sequence[Need]) -> list[Any]:
    if any(need.optional for need in needs):
        return [{"job": need.job, "optional": need.optional} for need in needs]
    return Inline(need.job for need in needs)


def _rule(rule: Rule) -> dict[str, Any]:
    implied = rule.when.ON_SUCCESS if rule.condition else None
    return _given(
        {
            "if": rule.condition,
            "changes": rule.changes and _changes(rule.changes),
            "when": None if rule.when is implied else str(rule.when),
            "allow_failure": rule.allow_failure or None,
            "interruptible": rule.interruptible or None,
        }
    )


def _changes(changes: Changes) -> dict[str, Any]:
    paths = changes.paths if isinstance(changes.paths, Reference) else list(changes.paths)
    return _given({"paths": paths, "compare_to": changes.compare_to})


def _workflow_rule(rule: WorkflowRule) -> dict[str, Any]:
    return _given(
        {
            "if": rule.condition,
            "when": rule.when and str(rule.when),
            "auto_cancel": {"on_new_commit": str(rule.on_new_commit)} if rule.on_new_commit else None,
        }
    )


def _retry(retry: Retry) -> dict[str, Any]:
    return {"max": retry.times, "when": Inline(retry.when), "exit_codes": Inline(retry.exit_codes)}


def _artifacts(artifacts: Artifacts) -> dict[str, Any]:
    return _given(
        {
            "paths": Inline(artifacts.paths) or None,
            "reports": _given(
                {"dotenv": artifacts.dotenv, "metrics": artifacts.metrics, "codequality": artifacts.codequality}
            )
            or None,
            "expire_in": artifacts.expire_in,
        }
    )


def _line(line: str | Reference) -> Any:
    return Block(line) if isinstance(line, str) and "\n" in line else line


def _given(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}
