"""The rights that an identity gains when its policy changes: IAM documents and Kubernetes rules, compared as sets."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from delivery.values import MAX_DEPTH, is_deep


class UnreadableError(Exception):
    """The policy does not have the form that it should have."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A permission: `action` on `target`, by `who` (empty if the policy belongs to an identity).

    All three may contain `*`. A `condition` narrows the grant; it is text that equals only itself.
    """

    action: str
    target: str
    who: str = ""
    condition: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether it contains a wildcard, so that it can cover other grants."""
        return any(sign in text for sign in "*?" for text in (self.action, self.target, self.who))

    def covers(self, other: "Grant") -> bool:
        """Whether this grant includes the other one."""
        return (
            self.condition in ("", other.condition)
            and _matches(self.who, other.who)
            and _matches(self.action.lower(), other.action.lower())
            and _matches(self.target, other.target)
        )


def gained(old: Iterable[Grant], new: Iterable[Grant]) -> list[Grant]:
    """The new grants that the old ones do not include."""
    before = frozenset(old)
    wide = [grant for grant in before if grant.is_wide]
    return [
        grant
        for grant in dict.fromkeys(new)
        if not {grant, replace(grant, condition="")} & before and not any(other.covers(grant) for other in wide)
    ]


def iam_grants(document: str) -> list[Grant]:
    """The grants of an IAM policy document. Raises `UnreadableError`."""
    return [grant for statement in _statements(document, "Allow") for grant in _iam_grants(statement)]


def iam_denials(document: str) -> list[str]:
    """The `Deny` statements of an IAM policy document, as canonical text. Raises `UnreadableError`."""
    return [json.dumps(statement, sort_keys=True) for statement in _statements(document, "Deny")]


def kubernetes_grants(rules: Sequence[Mapping[str, Any]]) -> list[Grant]:
    """The grants of a Kubernetes Role's rules. Raises `UnreadableError`."""
    try:
        return [
            Grant(action=str(verb), target="/".join(part for part in (group, resource, name) if part))
            for rule in rules
            for verb in rule.get("verbs") or ()
            for group in rule.get("apiGroups") or ("",)
            for resource in rule.get("resources") or rule.get("nonResourceURLs") or ()
            for name in rule.get("resourceNames") or ("",)
        ]
    except (AttributeError, TypeError) as error:
        raise UnreadableError(str(error)) from error


def _statements(document: str, effect: str) -> Iterator[Mapping[str, Any]]:
    try:
        policy = json.loads(document) if document else {"Statement": []}
        if is_deep(policy):
            raise UnreadableError(f"it is nested deeper than {MAX_DEPTH} levels")
        statements = policy["Statement"]
        for statement in [statements] if isinstance(statements, dict) else statements:
            if statement["Effect"] == effect:
                yield statement
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableError(str(error)) from error


def _iam_grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    """The grants of a statement. An exception (NotAction, NotResource, NotPrincipal) is text, equal only to itself."""
    condition = json.dumps(statement["Condition"], sort_keys=True) if statement.get("Condition") else ""
    for action in _either(statement, "Action", "*"):
        for target in _either(statement, "Resource", "*"):
            for who in _principals(statement):
                yield Grant(action=action, target=target, who=who, condition=condition)


def _either(statement: Mapping[str, Any], key: str, default: str) -> list[str]:
    if f"Not{key}" in statement:
        return [f"all but {', '.join(_texts(statement[f'Not{key}']))}"]
    return _texts(statement.get(key, default))


def _principals(statement: Mapping[str, Any]) -> list[str]:
    excepted = statement.get("NotPrincipal")
    if excepted is not None:
        return [f"all but {json.dumps(excepted, sort_keys=True)}"]
    principals = statement.get("Principal", "")
    if isinstance(principals, Mapping):
        return [who for kind in principals.values() for who in _texts(kind)]
    return _texts(principals)


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _matches(pattern: str, text: str) -> bool:
    """Whether the pattern covers the text. Only a wildcard covers a wildcard in the text."""
    if pattern == text or not set("*?") & set(pattern):
        return pattern == text
    first, *others = pattern.split("*")
    if not others:
        return len(pattern) == len(text) and _begins(text, 0, pattern)
    last = others.pop()
    position, end = len(first), len(text) - len(last)
    if position > end or not _begins(text, 0, first) or not _begins(text, end, last):
        return False
    for part in others:  # the first place that fits leaves the most for the parts after it
        place = next((at for at in range(position, end - len(part) + 1) if _begins(text, at, part)), None)
        if place is None:
            return False
        position = place + len(part)
    return True


def _begins(text: str, position: int, part: str) -> bool:
    """Whether the text continues with the part at the position. `?` in the part stands for any character."""
    found = text[position : position + len(part)]
    return len(found) == len(part) and all(sign in ("?", other) for sign, other in zip(part, found, strict=True))
