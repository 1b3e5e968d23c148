"""Warnings of rights that an identity in AWS or Kubernetes gains."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from delivery.causes import Causes
from delivery.danger import Danger, Rule, right, rights
from delivery.markdown import code, some
from delivery.preview import Change, Operation, qualified_type_of
from delivery.resource_types import RELEASE, ROLE
from delivery.rights import Grant, UnreadableError, gained, iam_denials, iam_grants, kubernetes_grants
from delivery.rights_in_words import granted, principals
from delivery.values import find, is_secret, is_unknown, shown

_POLICY = "aws:iam/policy:Policy"
_RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
_MOST_NAMES = 8
_BUILDS = "buildyard:components:PushIdentity"
"""The component whose policies are the rights of builds."""


def _iam_policy(property_name: str, noun: str) -> Rule:
    def rule(change: Change, _: Causes) -> Iterator[Danger]:
        after = change.new.get(property_name)
        before = change.old.get(property_name) or ""
        if change.operation is Operation.DELETE or after is None or after == before:
            return
        about = f"The {noun} {code(change.name)}"
        if is_unknown(after) or is_secret(after):
            yield right(f"{about} cannot be compared: its content is known only during the update.")
            return
        try:
            # A replaced resource may belong to another identity, for which all of its rights are new.
            old = "" if change.operation is Operation.REPLACE else str(before)
            new_grants = gained(iam_grants(old), iam_grants(str(after)))
            no_longer_denied = set(iam_denials(old)) - set(iam_denials(str(after)))
        except UnreadableError:
            yield right(f"{about} cannot be compared: it is not an IAM policy document.")
            return
        if new_grants:
            yield right(_newly_allowed(change, about, new_grants))
        if no_longer_denied:
            yield right(f"{about} no longer forbids: {some([code(text) for text in sorted(no_longer_denied)], 3)}.")

    return rule


def _newly_allowed(change: Change, about: str, grants: Sequence[Grant]) -> str:
    if change.type == ROLE:
        return f"{about} can now be assumed by {principals(grants)}."
    if _BUILDS in qualified_type_of(change.urn).split("$"):
        return f"Builds with the IAM policy {code(change.name)} may now {granted(grants)}."
    return f"{about} newly allows: {granted(grants)}."


def _attached_policy(change: Change, causes: Causes) -> Iterator[Danger]:
    if change.operation in (Operation.CREATE, Operation.REPLACE):
        role, policy = (
            _named(change, causes, *named) for named in (("role", "role", ROLE), ("policyArn", "policy", _POLICY))
        )
        yield right(f"All rights of {policy} go to {role}.")


def _pod_identity(change: Change, causes: Causes) -> Iterator[Danger]:
    if change.operation in (Operation.CREATE, Operation.REPLACE) or change.changes("roleArn", "targetRoleArn"):
        account = code("/".join(str(change.new.get(key, "")) for key in ("namespace", "serviceAccount")))
        role = _named(change, causes, "roleArn", "role", ROLE)
        yield right(f"Pods of the service account {account} can assume {role}.")


def _named(change: Change, causes: Causes, key: str, noun: str, kind: str) -> str:
    """The role or policy that a property names, even if its ARN is known only after the update."""
    value = change.new.get(key)
    if not is_unknown(value):
        return f"the {noun} {code(str(value or ''))}"
    names = [used.name for used in causes.used(change, kind)]
    return f"the {noun} {code(names[0])}" if len(names) == 1 else f"a {noun} that this update creates"


def _kubernetes_role(noun: str) -> Rule:
    return lambda change, _: _gained_rules(change, "rules", noun)


def _manager(change: Change, _: Causes) -> Iterator[Danger]:
    yield from _gained_rules(change, "values.rbac.rules", "runner manager")


def _gained_rules(change: Change, path: str, noun: str) -> Iterator[Danger]:
    """Warn of the rights that the Kubernetes rules at this path of the new inputs add to those of the old inputs."""
    try:
        before, after = (kubernetes_grants(find(inputs, path) or ()) for inputs in (change.old, change.new))
    except UnreadableError:
        yield right(f"The {noun} {code(change.name)} gets rules that cannot be compared.")
        return
    if new_grants := gained(before, after):
        yield rights(noun, change.name, "gains rights", f" in Kubernetes: {granted(new_grants)}.")


def _kubernetes_binding(noun: str) -> Rule:
    def rule(change: Change, _: Causes) -> Iterator[Danger]:
        if change.operation is Operation.DELETE:
            return
        if not change.old or change.changes("subjects", "roleRef"):
            role = code(shown(find(change.new, "roleRef.name")) or "")
            who = some([_subject(each) for each in _several(change.new.get("subjects"))], _MOST_NAMES)
            yield right(f"The {noun} {code(change.name)} gives the rights of the role {role} to {who or 'nobody'}.")

    return rule


def _subject(subject: Any) -> str:
    """A subject of a binding: `group name`, `service account namespace/name`."""
    kind, namespace, name = (shown(find(subject, key) or "") or "" for key in ("kind", "namespace", "name"))
    words = {"Group": "the group", "User": "the user", "ServiceAccount": "the service account"}
    return f"{words.get(kind, 'the subject')} {code(f'{namespace}/{name}' if namespace else name)}"


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


RULES: Mapping[str, Rule] = {
    RELEASE: _manager,
    _POLICY: _iam_policy("policy", "IAM policy"),
    "aws:iam/rolePolicy:RolePolicy": _iam_policy("policy", "IAM policy"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _iam_policy("policy", "repository policy"),
    ROLE: _iam_policy("assumeRolePolicy", "IAM role"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attached_policy,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _pod_identity,
    f"{_RBAC}:Role": _kubernetes_role("Kubernetes role"),
    f"{_RBAC}:RoleBinding": _kubernetes_binding("role binding"),
    f"{_RBAC}:ClusterRole": _kubernetes_role("cluster role"),
    f"{_RBAC}:ClusterRoleBinding": _kubernetes_binding("cluster role binding"),
}
"""By type."""
