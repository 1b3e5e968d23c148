"""Rights in words: ECR's actions as pulling and pushing, ARNs as names of repositories, conditions as sentences."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from delivery.markdown import code, count, some
from delivery.rights import Grant

_MOST_NAMES = 8
_MOST_GROUPS = 8

_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PUSH = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
_DEEDS: Mapping[frozenset[str], tuple[str, str]] = {
    frozenset(action.lower() for action in actions): words
    for actions, words in (
        (_PULL, ("pull", "pull from")),
        (_PUSH, ("push", "push to")),
        (("ecr:BatchImportUpstreamImage",), ("import images of the upstream", "import images of the upstream into")),
        (("ecr:CreateRepository",), ("create repositories", "create")),
        (("ecr:GetAuthorizationToken",), ("log in to ECR", "log in to")),
    )
}
"""Sets of actions in words: alone, and with the names of repositories after them.

Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html,
https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
"""

_REPOSITORY = re.compile(r"arn:aws[\w-]*:ecr:([^:]*):([^:]*):repository/(.+)")
_ACCOUNT = re.compile(r"arn:aws[\w-]*:iam::(\d{12}):root")
_COMPARISONS = {
    "StringEquals": "is",
    "StringEqualsIgnoreCase": "is",
    "StringLike": "is like",
    "ArnEquals": "is like",  # it knows wildcards, as ArnLike
    "ArnLike": "is like",
}


@dataclass(frozen=True)
class _Group:
    """Grants that are told together: the same actions of the same principal, under the same condition."""

    who: str
    condition: str
    actions: tuple[str, ...]


def granted(grants: Iterable[Grant]) -> str:
    """The grants as one text: actions on one target together, then targets of the same actions."""
    actions_on: dict[tuple[str, str, str], list[str]] = {}
    for grant in grants:
        actions_on.setdefault((grant.who, grant.condition, grant.target), []).append(grant.action)
    targets_of: dict[_Group, list[str]] = {}
    for (who, condition, target), actions in actions_on.items():
        targets_of.setdefault(_Group(who, condition, tuple(actions)), []).append(target)
    parts = [_sentence(group, targets) for group, targets in targets_of.items()]
    more = len(parts) - _MOST_GROUPS
    return "; ".join(parts[:_MOST_GROUPS]) + (f"; and {count(more, 'more group')}" if more > 0 else "")


def principals(grants: Iterable[Grant]) -> str:
    """Those who can assume a role by these grants of its trust policy, and under which condition."""
    said: dict[str, None] = {}
    for grant in grants:
        said[_principal(grant.who) + _if(grant.condition)] = None
    return some(list(said), _MOST_NAMES)


def _sentence(group: _Group, targets: Sequence[str]) -> str:
    rights = f"{_deeds(group.actions, targets)}{_if(group.condition)}"
    return f"{_principal(group.who)} may {rights}" if group.who else rights


def _deeds(actions: Sequence[str], targets: Sequence[str]) -> str:
    """The actions on the targets in words. Actions without words of their own are named."""
    left = dict.fromkeys(actions)
    complete = []
    for needed, words in _DEEDS.items():
        found = [action for action in left if action.lower() in needed]
        if {action.lower() for action in found} == needed:
            complete.append(words)
            left = {action: None for action in left if action not in found}
    anywhere = list(targets) == ["*"]
    verbs = [alone if anywhere else on for alone, on in complete]
    if left:
        # Those of AWS are names; Kubernetes' own are verbs.
        use = "use " if any(":" in action for action in left) else ""
        named = use + some([code(action) for action in left], _MOST_NAMES)
        verbs.append(named if anywhere else f"{named} on")
    *first, last = verbs
    return " and ".join([*filter(None, [", ".join(first)]), last]) + ("" if anywhere else f" {_objects(targets)}")


def _objects(targets: Sequence[str]) -> str:
    """The targets; repositories by their names, with their registry's account and region said once."""
    repositories: dict[tuple[str, str], list[str]] = {}
    others: list[str] = []
    for target in targets:
        if found := _REPOSITORY.fullmatch(target):
            region, account, name = found.groups()
            repositories.setdefault((region, account), []).append(name)
        else:
            others.append(code(target))
    said = [
        f"{some([code(name) for name in names], _MOST_NAMES)} (ECR of the account {code(account)} in {code(region)})"
        for (region, account), names in repositories.items()
    ]
    return some([*said, *others], _MOST_NAMES)


def _principal(who: str) -> str:
    if who == "*":
        return "**anybody**"
    account = _ACCOUNT.fullmatch(who)
    return f"everybody in the account {code(account[1])}" if account else code(who)


def _if(condition: str) -> str:
    """The condition as the end of a sentence; as it is written if it has an operator without words here."""
    if not condition:
        return ""
    try:
        tests = [
            f"{code(key)} {_COMPARISONS[operator]} {' or '.join(code(str(value)) for value in _several(values))}"
            for operator, keys in json.loads(condition).items()
            for key, values in keys.items()
        ]
    except (AttributeError, KeyError, ValueError, RecursionError):
        return f", given {code(condition)}"
    return f" if {' and '.join(tests)}" if tests else ""


def _several(values: object) -> list[object]:
    return values if isinstance(values, list) else [values]
