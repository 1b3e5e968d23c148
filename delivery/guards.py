"""Warnings of guards that weaken: admission and network policies, permissions boundaries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.causes import Causes
from delivery.danger import Danger, Rule, right, rights
from delivery.markdown import code, some
from delivery.preview import Change, Operation
from delivery.resource_types import ROLE
from delivery.values import find, shown

_MOST_NAMES = 8


def _admission_policy(change: Change, _: Causes) -> Iterator[Danger]:
    name = code(change.name)
    if change.operation is Operation.DELETE:
        yield right(f"The admission policy {name} is deleted: its namespace then admits any pod.")
        return
    before, after = (_admission_rules(inputs) for inputs in (change.old, change.new))
    if lost := [message for expression, message in before.items() if expression not in after]:
        rules = some([code(message) for message in lost], _MOST_NAMES)
        yield right(f"These rules of the admission policy {name} change or end: {rules}.")
    changed = [path for path in _ADMISSION_SCOPE if change.old and find(change.old, path) != find(change.new, path)]
    if changed:
        keys = some([code(path.removeprefix("spec.")) for path in changed], _MOST_NAMES)
        yield rights("admission policy", change.name, "judges pods", f" by other {keys} than before.")


_ADMISSION_SCOPE = ("spec.variables", "spec.matchConstraints", "spec.matchConditions", "spec.failurePolicy")
"""The keys of an admission policy that decide what its rules see, and whether they are asked."""


def _admission_rules(inputs: Mapping[str, Any]) -> dict[str, str]:
    """The messages of a policy's rules, by their expressions."""
    rules = find(inputs, "spec.validations")
    return {
        str(rule.get("expression")): str(rule.get("message"))
        for rule in (rules if isinstance(rules, Sequence) else ())
        if isinstance(rule, Mapping)
    }


def _admission_binding(change: Change, _: Causes) -> Iterator[Danger]:
    denies = "Deny" in (find(change.new, "spec.validationActions") or ())
    if change.operation is Operation.DELETE or not denies:
        yield right(f"The admission policy {code(change.name)} is no longer in effect: its namespace admits any pod.")


def _network_policy(change: Change, _: Causes) -> Iterator[Danger]:
    name = code(change.name)
    if change.operation is Operation.DELETE:
        yield right(f"The network policy {name} is deleted: build pods can then reach every pod of the cluster.")
        return
    before, after = (_networks(inputs) for inputs in (change.old, change.new))
    if change.old and (opened := sorted((after.allowed - before.allowed) | (before.denied - after.denied))):
        networks = some([code(network) for network in opened], _MOST_NAMES)
        yield rights("network policy", change.name, "opens", f" for build pods: {networks}.")


@dataclass(frozen=True, kw_only=True)
class _Networks:
    """The networks that a network policy names in its rules for connections to elsewhere."""

    allowed: frozenset[str]
    denied: frozenset[str]


def _networks(inputs: Mapping[str, Any]) -> _Networks:
    allowed: set[str] = set()
    denied: set[str] = set()
    rules = find(inputs, "spec.egress")
    for rule in rules if isinstance(rules, Sequence) else ():
        ports = ", ".join(dict.fromkeys(f"{port.get('port')}" for port in rule.get("ports", ())))
        blocks = [peer.get("ipBlock", {}) for peer in rule.get("to", ())]
        names = [block.get("cidr", "pods with certain labels") for block in blocks] or ["every address"]
        allowed |= {f"{name} port {ports}" if ports else f"{name}" for name in names}
        denied |= {network for block in blocks for network in block.get("except", ())}
    return _Networks(allowed=frozenset(allowed), denied=frozenset(denied))


def _permissions_boundary(change: Change, _: Causes) -> Iterator[Danger]:
    """Warn of a role whose permissions boundary goes, or becomes another policy, whose content no preview has."""
    before, after = (inputs.get("permissionsBoundary") for inputs in (change.old, change.new))
    if change.operation is Operation.DELETE or not before or before == after:
        return
    old = code(shown(before) or "")
    if after:
        rest = f" from {old} to {code(shown(after) or '')}. Compare them: the second may allow what the first did not."
        yield rights("IAM role", change.name, "changes the permissions boundary", rest)
    else:
        rest = f" {old}. Only the policies of a role limit it then: whoever may change these can give it any right."
        yield rights("IAM role", change.name, "loses the permissions boundary", rest)


RULES: Mapping[str, Rule] = {
    ROLE: _permissions_boundary,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy": _admission_policy,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding": _admission_binding,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _network_policy,
}
"""By type."""
