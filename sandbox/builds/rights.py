"""Whether IAM policies allow something, for the policies that the sandbox's roles have.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Policy = Mapping[str, Any]
_JUDGED = {"Sid", "Effect", "Action", "Resource"}


def allows(policies: Iterable[Policy], action: str, resource: str) -> bool:
    """Whether these policies allow `action` on the resource with this ARN. A denial overrides the rest.

    Raises ValueError for a statement with elements, such as conditions, that only AWS can judge.
    """
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy["Statement"])
        if _concerns(statement, action, resource)
    }
    return effects == {"Allow"}


def _concerns(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    if unknown := statement.keys() - _JUDGED:
        raise ValueError(f"The sandbox cannot judge {', '.join(sorted(unknown))} of a policy's statement: {statement}")
    return _matches(statement["Action"], action, re.IGNORECASE) and _matches(statement["Resource"], resource)


def _matches(patterns: str | list[str], value: str, flags: int = 0) -> bool:
    return any(re.fullmatch(_expression(pattern), value, flags) for pattern in _listed(patterns))


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")


def _listed(value: Any) -> list[Any]:
    """IAM documents hold one item or a list of them."""
    return value if isinstance(value, list) else [value]
