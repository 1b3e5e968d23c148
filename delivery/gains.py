"""Warnings of rights that somebody gains: identities in AWS and Kubernetes, and whoever may start jobs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.causes import RELEASE, RUNNER, Causes
from delivery.danger import Concern, Danger
from delivery.markdown import code, some
from delivery.preview import Change, Operation, qualified_type_of
from delivery.rights import Grant, UnreadableError, gained, iam_denials, iam_grants, kubernetes_grants
from delivery.rights_in_words import granted, principals
from delivery.values import find, is_secret, is_unknown, shown

_MOST_NAMES = 8
_POLICY = "aws:iam/policy:Policy"
_ROLE = "aws:iam/role:Role"
_BUILDS = "buildyard:components:PushIdentity"
"""The component whose policies are the rights of builds."""


def gains(change: Change, causes: Causes) -> Iterator[Danger]:
    """The rights that somebody gains with this change."""
    rule = RULES.get(change.type)
    return rule(change, causes) if rule else iter(())


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
    yield _rights(
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
        yield _rights(
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


def _iam_policy(property_name: str, noun: str) -> Callable[[Change, Causes], Iterator[Danger]]:
    def rule(change: Change, _: Causes) -> Iterator[Danger]:
        after = change.new.get(property_name)
        before = change.old.get(property_name) or ""
        if change.operation is Operation.DELETE or after is None or after == before:
            return
        about = f"The {noun} {code(change.name)}"
        if is_unknown(after) or is_secret(after):
            yield _right(f"{about} cannot be compared: its content is known only during the update.")
            return
        try:
            # A replaced resource may belong to another identity, for which all of its rights are new.
            old = "" if change.operation is Operation.REPLACE else str(before)
            new_grants = gained(iam_grants(old), iam_grants(str(after)))
            no_longer_denied = set(iam_denials(old)) - set(iam_denials(str(after)))
        except UnreadableError:
            yield _right(f"{about} cannot be compared: it is not an IAM policy document.")
            return
        if new_grants:
            yield _right(_newly_allowed(change, about, new_grants))
        if no_longer_denied:
            yield _right(f"{about} no longer forbids: {some([code(text) for text in sorted(no_longer_denied)], 3)}.")

    return rule


def _newly_allowed(change: Change, about: str, grants: Sequence[Grant]) -> str:
    if change.type == _ROLE:
        return f"{about} can now be assumed by {principals(grants)}."
    if _BUILDS in qualified_type_of(change.urn).split("$"):
        return f"Builds with the IAM policy {code(change.name)} may now {granted(grants)}."
    return f"{about} newly allows: {granted(grants)}."


def _attached_policy(change: Change, causes: Causes) -> Iterator[Danger]:
    if change.operation in (Operation.CREATE, Operation.REPLACE):
        role, policy = (
            _named(change, causes, *named) for named in (("role", "role", _ROLE), ("policyArn", "policy", _POLICY))
        )
        yield _right(f"All rights of {policy} go to {role}.")


def _pod_identity(change: Change, causes: Causes) -> Iterator[Danger]:
    if change.operation in (Operation.CREATE, Operation.REPLACE) or change.changes("roleArn", "targetRoleArn"):
        account = code("/".join(str(change.new.get(key, "")) for key in ("namespace", "serviceAccount")))
        role = _named(change, causes, "roleArn", "role", _ROLE)
        yield _right(f"Pods of the service account {account} can assume {role}.")


def _named(change: Change, causes: Causes, key: str, noun: str, kind: str) -> str:
    """The role or policy that a property names, even if its ARN is known only after the update."""
    value = change.new.get(key)
    if not is_unknown(value):
        return f"the {noun} {code(str(value or ''))}"
    names = [used.name for used in causes.used(change, kind)]
    return f"the {noun} {code(names[0])}" if len(names) == 1 else f"a {noun} that this update creates"


def _kubernetes_role(change: Change, _: Causes) -> Iterator[Danger]:
    yield from _gained_rules(change, "rules", "Kubernetes role")


def _manager(change: Change, _: Causes) -> Iterator[Danger]:
    yield from _gained_rules(change, "values.rbac.rules", "runner manager")


def _gained_rules(change: Change, path: str, noun: str) -> Iterator[Danger]:
    """Warn of the rights that the Kubernetes rules at this path of the new inputs add to those of the old inputs."""
    try:
        before, after = (kubernetes_grants(find(inputs, path) or ()) for inputs in (change.old, change.new))
    except UnreadableError:
        yield _right(f"The {noun} {code(change.name)} gets rules that cannot be compared.")
        return
    if new_grants := gained(before, after):
        yield _rights(noun, change.name, "gains rights", f" in Kubernetes: {granted(new_grants)}.")


def _kubernetes_binding(change: Change, _: Causes) -> Iterator[Danger]:
    if change.operation is not Operation.DELETE and (not change.old or change.changes("subjects", "roleRef")):
        yield _right(f"The role binding {code(change.name)} gives its role to other subjects than before.")


def _admission_policy(change: Change, _: Causes) -> Iterator[Danger]:
    name = code(change.name)
    if change.operation is Operation.DELETE:
        yield _right(f"The admission policy {name} is deleted: its namespace then admits any pod.")
        return
    before, after = (_admission_rules(inputs) for inputs in (change.old, change.new))
    if lost := [message for expression, message in before.items() if expression not in after]:
        rules = some([code(message) for message in lost], _MOST_NAMES)
        yield _right(f"These rules of the admission policy {name} change or end: {rules}.")
    changed = [path for path in _ADMISSION_SCOPE if change.old and find(change.old, path) != find(change.new, path)]
    if changed:
        keys = some([code(path.removeprefix("spec.")) for path in changed], _MOST_NAMES)
        yield _rights("admission policy", change.name, "judges pods", f" by other {keys} than before.")


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
        yield _right(f"The admission policy {code(change.name)} is no longer in effect: its namespace admits any pod.")


def _network_policy(change: Change, _: Causes) -> Iterator[Danger]:
    name = code(change.name)
    if change.operation is Operation.DELETE:
        yield _right(f"The network policy {name} is deleted: build pods can then reach every pod of the cluster.")
        return
    before, after = (_networks(inputs) for inputs in (change.old, change.new))
    if change.old and (opened := sorted((after.allowed - before.allowed) | (before.denied - after.denied))):
        networks = some([code(network) for network in opened], _MOST_NAMES)
        yield _rights("network policy", change.name, "opens", f" for build pods: {networks}.")


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


def _right(text: str) -> Danger:
    return Danger(concern=Concern.RIGHTS, rest=text)


def _rights(noun: str, name: str, verb: str, rest: str) -> Danger:
    return Danger(concern=Concern.RIGHTS, noun=noun, names=(name,), verb=verb, rest=rest)


RULES: Mapping[str, Callable[[Change, Causes], Iterator[Danger]]] = {
    RUNNER: _runner,
    RELEASE: _manager,
    _POLICY: _iam_policy("policy", "IAM policy"),
    "aws:iam/rolePolicy:RolePolicy": _iam_policy("policy", "IAM policy"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _iam_policy("policy", "repository policy"),
    _ROLE: _iam_policy("assumeRolePolicy", "IAM role"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attached_policy,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _pod_identity,
    "kubernetes:rbac.authorization.k8s.io/v1:Role": _kubernetes_role,
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": _kubernetes_binding,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy": _admission_policy,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding": _admission_binding,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _network_policy,
}
"""By type. The others give nobody a right."""
