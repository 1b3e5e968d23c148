"""Inspections of stacks against mocked answers."""

from collections.abc import Mapping
from typing import Any

from components.preflight.checks import Check
from components.preflight.inspection import Inspection, inspect
from tests.components.cluster_api import ClusterApi
from tests.components.mocks import STACK, Declared, attempt, default_branches
from tests.stacks.stack_settings import settings

SOURCE = f"stacks/Pulumi.{STACK}.yaml"


def inspected(
    *,
    answers: Mapping[str, Any] | None = None,
    refusals: Mapping[str, str] | None = None,
    node_groups: Mapping[str, int] | None = None,
    cluster_api: ClusterApi | None = None,
    preview: bool = False,
    **keys: Any,
) -> Inspection:
    """The outcome of all checks. `answers` and `refusals` are those of providers' functions, by name."""
    stack = settings(**keys)
    declared = Declared(
        refusals=refusals or {},
        answers=answers or {},
        branches=default_branches(stack),
        node_groups=node_groups or {},
        cluster_api=cluster_api,
        preview=preview,
    )
    found: list[Inspection] = []
    attempt(lambda: found.append(inspect(stack, stack=STACK, source=SOURCE)), declared)
    assert declared.all == [], "an inspection creates nothing"
    return found[0]


def check(inspection: Inspection, title: str) -> Check:
    """The check with this title."""
    [found] = [each for each in inspection.checks if each.title == title]
    return found


def problems(inspection: Inspection) -> dict[str, str]:
    """The problems' messages, by key."""
    return {problem.path: problem.message for problem in inspection.problems}


def notices(inspection: Inspection) -> list[str]:
    """The notices, as people read them."""
    return [str(notice) for notice in inspection.notices]
