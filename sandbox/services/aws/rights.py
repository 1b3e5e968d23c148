"""Whether IAM policies allow something, for the policies that the platform's roles have.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

Policy = Mapping[str, Any]
Context = Mapping[str, str]
"""The values that IAM has for a request, by condition key."""


def allows(
    policies: Iterable[Policy],
    action: str,
    resource: str,
    context: Context | None = None,
    *,
    boundary: Policy | None = None,
) -> bool:
    """Whether these policies allow `action` on the resource with this ARN. A denial overrides the rest.

    With a permissions `boundary`, that must allow it too.
    Raises ValueError for what only AWS can judge: unknown elements and operators, and conditions without a `context`.
    """
    judged = {"Sid", "Effect", "Action", "Resource"} | ({"Condition"} if context is not None else set())
    return all(
        _effects(each, judged, lambda statement: _matches(statement["Resource"], resource), action, context)
        == {"Allow"}
        for each in (policies, *([[boundary]] if boundary is not None else []))
    )


def trusts(policy: Policy, principal: str | Iterable[str], action: str, context: Context) -> bool:
    """Whether a role's trust policy lets a principal call `action`, by one of its names. Raises as `allows` does."""
    names = {principal} if isinstance(principal, str) else set(principal)
    judged = {"Sid", "Effect", "Action", "Principal", "Condition"}

    def is_named(statement: Mapping[str, Any]) -> bool:
        named = statement["Principal"]
        listed = named.values() if isinstance(named, Mapping) else [named]
        return any(not names.isdisjoint(_listed(each)) for each in listed)

    return _effects([policy], judged, is_named, action, context) == {"Allow"}


def grants(policy: Policy, principal: str, action: str, context: Context) -> bool:
    """Whether a repository's policy lets the role or account with this ARN do `action`. Raises as `allows` does.

    An account's ARN ends in `:root`; it stands for what the account's own policies allow.
    """
    judged = {"Sid", "Effect", "Action", "Principal", "Condition"}

    def is_named(statement: Mapping[str, Any]) -> bool:
        named = statement["Principal"]
        return bool({"*", principal} & set(_listed(named if named == "*" else named.get("AWS", []))))

    return _effects([policy], judged, is_named, action, context) == {"Allow"}


def effects_on(policy: Policy, principal: str, action: str, resource: str, context: Context) -> set[str]:
    """The effects of a policy of a resource with parts, such as a bucket, on a request by this principal.

    Raises as `allows` does.
    """
    judged = {"Sid", "Effect", "Action", "Principal", "Resource", "Condition"}

    def is_named(statement: Mapping[str, Any]) -> bool:
        named = statement["Principal"]
        names = _listed(named if named == "*" else named.get("AWS", []))
        return bool({"*", principal} & set(names)) and _matches(statement["Resource"], resource)

    return _effects([policy], judged, is_named, action, context)


def _effects(
    policies: Iterable[Policy],
    judged: Collection[str],
    concerns: Callable[[Mapping[str, Any]], bool],
    action: str,
    context: Context | None,
) -> set[str]:
    effects = set()
    for policy in policies:
        for statement in _listed(policy["Statement"]):
            if unknown := statement.keys() - judged:
                names = ", ".join(sorted(unknown))
                raise ValueError(f"The sandbox cannot judge {names} of a policy's statement: {statement}")
            if (
                concerns(statement)
                and _matches(statement["Action"], action, re.IGNORECASE)
                and _holds(statement.get("Condition", {}), context or {})
            ):
                effects.add(statement["Effect"])
    return effects


def _holds(conditions: Mapping[str, Mapping[str, str | list[str]]], context: Context) -> bool:
    """Whether all conditions hold. A request without a condition's key does not meet it."""
    if unknown := conditions.keys() - _OPERATORS.keys():
        raise ValueError(f"The sandbox cannot judge {', '.join(sorted(unknown))} of a policy's condition")
    return all(
        key in context and _OPERATORS[operator](values, context[key])
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _matches(patterns: str | list[str], value: str, flags: int = 0) -> bool:
    return any(re.fullmatch(_expression(pattern), value, flags) for pattern in _listed(patterns))


def _equals(values: str | list[str], value: str) -> bool:
    return value in _listed(values)


_OPERATORS: dict[str, Callable[[str | list[str], str], bool]] = {
    "StringEquals": _equals,
    "StringLike": _matches,
    "ArnLike": _matches,
    "Bool": _equals,
}


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")


def _listed(value: Any) -> list[Any]:
    """IAM documents hold one item or a list of them."""
    return value if isinstance(value, list) else [value]
