"""Warnings that a reviewer must not overlook: what is lost, which jobs are interrupted, who gains rights.

There is one rule for each dangerous type of resource. A resource without a rule is only in the table of changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from delivery.file_diff import file_diff, text_diff
from delivery.markdown import code, count, some
from delivery.preview import Change, Operation
from delivery.repositories import losses
from delivery.rights import Grant, UnreadableError, gained, iam_denials, iam_grants, kubernetes_grants
from delivery.values import find, is_secret, is_unknown, shown

_MOST_NAMES = 8


class Concern(IntEnum):
    """The subject of a danger. The worst comes first in the note."""

    LOSS = 0
    INTERRUPTION = 1
    RIGHTS = 2
    PIPELINE = 3
    SECRET = 4


@dataclass(frozen=True, kw_only=True)
class Danger:
    """A warning: `text` is a sentence or two in Markdown, `diff` is a unified diff to show with it, or empty."""

    concern: Concern
    text: str
    diff: str = ""


def dangers(changes: Sequence[Change]) -> list[Danger]:
    """The dangers of all changes, the worst first."""
    found = [Danger(concern=Concern.LOSS, text=text) for text in losses(changes)]
    for change in changes:
        rule = _RULES.get(change.type)
        found += [*(rule(change) if rule else ()), *_secrets(change)]
    return sorted(found, key=lambda danger: danger.concern)


def _goes(change: Change) -> bool:
    return change.operation in (Operation.DELETE, Operation.REPLACE)


def _will_be(change: Change) -> str:
    return "is replaced" if change.operation is Operation.REPLACE else "is deleted"


def _reasons(change: Change) -> str:
    reasons = [code(reason.path) for reason in change.properties if reason.replaces]
    return f" because {some(reasons, _MOST_NAMES)} cannot change in place" if reasons else ""


def _namespace(change: Change) -> Iterator[Danger]:
    if _goes(change):
        yield Danger(
            concern=Concern.LOSS,
            text=f"The namespace {code(change.name)} {_will_be(change)}{_reasons(change)}, **with all that is in it**: "
            "runner managers, running builds, secrets.",
        )


def _node_group(change: Change) -> Iterator[Danger]:
    name = code(change.name)
    if _goes(change):
        yield Danger(
            concern=Concern.INTERRUPTION,
            text=f"The node group {name} {_will_be(change)}{_reasons(change)}. The update pauses its runner first and "
            "waits for the running jobs, for as long as the runner's timeout allows.",
        )
    elif change.operation is Operation.UPDATE and change.changes("launchTemplate", "version", "releaseVersion"):
        yield Danger(
            concern=Concern.INTERRUPTION,
            # https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
            text=f"The nodes of {name} are replaced, and the jobs on them are evicted. The update fails if a "
            "disruption budget forbids that for longer than 15 minutes.",
        )


def _runner(change: Change) -> Iterator[Danger]:
    group = change.new.get("groupId")
    if change.operation in (Operation.CREATE, Operation.REPLACE) and group is not None:
        which = "a GitLab group" if is_unknown(group) else f"the GitLab group with the ID {code(shown(group) or '')}"
        releases = change.new.get("accessLevel") == "ref_protected"
        how = " from branches that it protects itself, and so publish this stack's releases" if releases else ""
        yield _rights(
            f"Every project of {which}, subgroups included, can start build jobs on the runner {code(change.name)}"
            f"{how}. Use a group that contains image projects alone."
        )
    if _goes(change):
        yield Danger(
            concern=Concern.INTERRUPTION,
            text=f"The runner {code(change.name)} {_will_be(change)}{_reasons(change)}. The update pauses it first "
            "and waits for its jobs, for as long as its timeout allows.",
        )
    if change.operation is not Operation.DELETE and change.old:
        yield from _access(change)


def _access(change: Change) -> Iterator[Danger]:
    """Warn of a runner that opens to unprotected refs, or closes to them."""
    before, after = change.old.get("accessLevel"), change.new.get("accessLevel")
    if before == after:
        return
    runner = f"The runner {code(change.name)}"
    if before == "ref_protected":
        yield _rights(
            f"{runner} **opens to every branch and merge request**: whoever may push a branch can use its role, and so "
            "replace what releases are built from."
        )
    elif after == "ref_protected":
        yield Danger(
            concern=Concern.INTERRUPTION,
            text=f"{runner} takes only jobs of protected branches and tags from now on. Jobs of other refs need the "
            "pipeline file of this update: merge the default branch into open branches. Their caches in the release "
            "repositories stay: delete the tags there if you do not trust what branches wrote.",
        )


def _release(change: Change) -> Iterator[Danger]:
    yield from _gained_rules(change, "values.rbac.rules", f"The runner manager {code(change.name)}")
    if change.operation is Operation.CREATE or (change.operation is Operation.UPDATE and not _restarts(change)):
        return
    values = change.old.get("values")
    grace = values.get("terminationGracePeriodSeconds") if isinstance(values, Mapping) else None
    patience = f"after {grace:g} seconds" if isinstance(grace, (int, float)) else "after the chart's grace period"
    verb = "restarts" if change.operation is Operation.UPDATE else _will_be(change)
    yield Danger(
        concern=Concern.INTERRUPTION,
        text=f"The runner manager {code(change.name)} {verb}{_reasons(change)}. It takes no new jobs and waits for "
        f"its running ones; those that still run {patience} are cut off.",
        diff=_config_diff(change) if change.operation is Operation.UPDATE else "",
    )


def _config_diff(change: Change) -> str:
    """The diff of the jobs' settings: resources, ceilings, security contexts."""
    before, after = (find(inputs, "values.runners.config") for inputs in (change.old, change.new))
    if not (isinstance(before, str) and isinstance(after, str)) or is_secret([before, after]) or is_unknown(after):
        return ""
    return text_diff(before, after, "a/config.toml", "b/config.toml")


def _restarts(change: Change) -> bool:
    return change.changes("values", "version", "chart", "valueYamlFiles")


def _iam_policy(property_name: str, subject: str, gains: str) -> Callable[[Change], Iterator[Danger]]:
    def rule(change: Change) -> Iterator[Danger]:
        after = change.new.get(property_name)
        before = change.old.get(property_name) or ""
        if change.operation is Operation.DELETE or after is None or after == before:
            return
        about = f"{subject} {code(change.name)}"
        if is_unknown(after) or is_secret(after):
            yield _rights(f"{about} cannot be compared: its content is known only during the update.")
            return
        try:
            # A replaced resource may belong to another identity, for which all of its rights are new.
            old = "" if change.operation is Operation.REPLACE else str(before)
            new_grants = gained(iam_grants(old), iam_grants(str(after)))
            no_longer_denied = set(iam_denials(old)) - set(iam_denials(str(after)))
        except UnreadableError:
            yield _rights(f"{about} cannot be compared: it is not an IAM policy document.")
            return
        if new_grants:
            yield _rights(f"{about} {gains}: {_granted(new_grants)}.")
        if no_longer_denied:
            yield _rights(f"{about} no longer forbids: {some([code(text) for text in sorted(no_longer_denied)], 3)}.")

    return rule


def _attached_policy(change: Change) -> Iterator[Danger]:
    if change.operation in (Operation.CREATE, Operation.REPLACE):
        role, policy = (_named(change.new.get(key), kind) for key, kind in (("role", "role"), ("policyArn", "policy")))
        yield _rights(f"All rights of {policy} go to {role}.")


def _pod_identity(change: Change) -> Iterator[Danger]:
    if change.operation in (Operation.CREATE, Operation.REPLACE) or change.changes("roleArn", "targetRoleArn"):
        account = code("/".join(str(change.new.get(key, "")) for key in ("namespace", "serviceAccount")))
        yield _rights(f"Pods of the service account {account} can assume {_named(change.new.get('roleArn'), 'role')}.")


def _named(value: object, kind: str) -> str:
    return f"a {kind} that this update creates" if is_unknown(value) else f"the {kind} {code(str(value or ''))}"


def _kubernetes_role(change: Change) -> Iterator[Danger]:
    yield from _gained_rules(change, "rules", f"The Kubernetes role {code(change.name)}")


def _gained_rules(change: Change, path: str, about: str) -> Iterator[Danger]:
    """Warn of the rights that the Kubernetes rules at this path of the new inputs add to those of the old inputs."""
    try:
        before, after = (kubernetes_grants(find(inputs, path) or ()) for inputs in (change.old, change.new))
    except UnreadableError:
        yield _rights(f"{about} gets rules that cannot be compared.")
        return
    if new_grants := gained(before, after):
        yield _rights(f"{about} gains rights: {_granted(new_grants)}.")


def _kubernetes_binding(change: Change) -> Iterator[Danger]:
    if change.operation is not Operation.DELETE and (not change.old or change.changes("subjects", "roleRef")):
        yield _rights(f"The role binding {code(change.name)} gives its role to other subjects than before.")


def _admission_policy(change: Change) -> Iterator[Danger]:
    name = code(change.name)
    if change.operation is Operation.DELETE:
        yield _rights(f"The admission policy {name} is deleted: its namespace then admits any pod.")
        return
    before, after = (_admission_rules(inputs) for inputs in (change.old, change.new))
    if lost := [message for expression, message in before.items() if expression not in after]:
        rules = some([code(message) for message in lost], _MOST_NAMES)
        yield _rights(f"These rules of the admission policy {name} change or end: {rules}.")
    changed = [path for path in _ADMISSION_SCOPE if change.old and find(change.old, path) != find(change.new, path)]
    if changed:
        keys = some([code(path.removeprefix("spec.")) for path in changed], _MOST_NAMES)
        yield _rights(f"The admission policy {name} judges pods by other {keys} than before.")


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


def _admission_binding(change: Change) -> Iterator[Danger]:
    denies = "Deny" in (find(change.new, "spec.validationActions") or ())
    if change.operation is Operation.DELETE or not denies:
        yield _rights(f"The admission policy {code(change.name)} is no longer in effect: its namespace admits any pod.")


def _network_policy(change: Change) -> Iterator[Danger]:
    name = code(change.name)
    if change.operation is Operation.DELETE:
        yield _rights(f"The network policy {name} is deleted: build pods can then reach every pod of the cluster.")
        return
    before, after = (_networks(inputs) for inputs in (change.old, change.new))
    if change.old and (opened := sorted((after.allowed - before.allowed) | (before.denied - after.denied))):
        networks = some([code(network) for network in opened], _MOST_NAMES)
        yield _rights(f"The network policy {name} lets build pods reach more: {networks}.")


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
        ports = ", ".join(f"{port.get('port')}" for port in rule.get("ports", ()))
        for peer in rule.get("to", ()):
            block = peer.get("ipBlock", {})
            allowed.add(f"{block.get('cidr')}" + (f" port {ports}" if ports else ""))
            denied |= set(block.get("except", ()))
    return _Networks(allowed=frozenset(allowed), denied=frozenset(denied))


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
    yield Danger(concern=Concern.PIPELINE, text=text, diff=file_diff(change.old, change.new))


def _secrets(change: Change) -> Iterator[Danger]:
    secrets = [code(found.path) for found in change.properties if found.secret]
    if secrets:
        yield Danger(
            concern=Concern.SECRET,
            text=f"A secret of {code(change.name)} changes: {some(secrets, _MOST_NAMES)}. Whatever uses the old value "
            "must get the new one.",
        )


def _rights(text: str) -> Danger:
    return Danger(concern=Concern.RIGHTS, text=text)


def _granted(grants: Iterable[Grant]) -> str:
    """The grants as text, grouped: actions on one target, then targets of the same actions."""
    actions_on: dict[tuple[str, str, str], list[str]] = {}
    for grant in grants:
        actions_on.setdefault((grant.who, grant.condition, grant.target), []).append(grant.action)
    targets_of: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (who, condition, target), actions in actions_on.items():
        targets_of.setdefault((who, condition, tuple(actions)), []).append(target)
    parts = []
    for (who, condition, together), targets in targets_of.items():
        said = some([code(action) for action in together], _MOST_NAMES)
        on = "" if who and targets == ["*"] else f" on {some([code(target) for target in targets], _MOST_NAMES)}"
        given = f", given {code(condition)}" if condition else ""
        parts.append(f"{code(who)} may {said}{on}{given}" if who else f"{said}{on}{given}")
    return "; ".join(parts[:_MOST_NAMES]) + (
        f"; and {count(len(parts) - _MOST_NAMES, 'more group')}" if len(parts) > _MOST_NAMES else ""
    )


_RULES: Mapping[str, Callable[[Change], Iterator[Danger]]] = {
    "kubernetes:core/v1:Namespace": _namespace,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "gitlab:index/userRunner:UserRunner": _runner,
    "kubernetes:helm.sh/v3:Release": _release,
    "aws:iam/policy:Policy": _iam_policy("policy", "The IAM policy", "newly allows"),
    "aws:iam/rolePolicy:RolePolicy": _iam_policy("policy", "The IAM policy", "newly allows"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _iam_policy("policy", "The repository policy", "newly allows"),
    "aws:iam/role:Role": _iam_policy("assumeRolePolicy", "The IAM role", "can now be assumed by more principals"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attached_policy,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _pod_identity,
    "kubernetes:rbac.authorization.k8s.io/v1:Role": _kubernetes_role,
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": _kubernetes_binding,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy": _admission_policy,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding": _admission_binding,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _network_policy,
    "gitlab:index/repositoryFile:RepositoryFile": _published_file,
}
