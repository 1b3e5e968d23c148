"""Turns the content of a stack's file into `Settings`, or into all problems in it."""

from collections.abc import Mapping
from copy import deepcopy
from itertools import count
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stacks import checks
from stacks.documents import Location
from stacks.explaining import errors, explain
from stacks.problems import Problem, SettingsError, key_path
from stacks.settings import NAMESPACE, Settings

_ROUNDS = 10
"""The repair of one problem may reveal another: an image that was not a mapping has no name either."""


def parse(raw: Mapping[str, Any], *, source: str) -> Settings:
    """The settings of one stack, all checked.

    `raw` maps the keys without their namespace (`cluster`, `nodes`, ...) to plain YAML values. `source` is the file's
    name in messages. Raises `SettingsError` with all problems, of single keys and between keys.
    """
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems = explain(error, Settings, NAMESPACE)
        repaired = _repair(raw)
        if repaired:
            problems += [problem for problem in checks.check(repaired) if not _concerns_stand_in(problem)]
        raise SettingsError(problems, source=source) from None
    problems = list(checks.check(settings))
    if problems:
        raise SettingsError(problems, source=source)
    return settings


def path(location: Location) -> str:
    """A location in the settings as a key of the stack's file: `buildyard:projects[0].images[1].context`."""
    head, *rest = location
    return key_path(f"{NAMESPACE}:{head}", rest)


_STAND_IN = "stand-in-for-a-problem"
_STAND_INS = {"cluster": {}, "images": [{}], "projects": [{}], "instance-types": ["stand.in"], "from": "STAND_IN"}


def _repair(raw: Mapping[str, Any]) -> Settings | None:
    """The settings with stand-ins for wrong values, so that the rest can still be checked.

    Wrong optional keys are removed, and wrong required keys get a unique stand-in. List items keep their positions,
    since paths contain them. None if the result is still not valid.
    """
    draft: Any = deepcopy(dict(raw))
    numbers = count()
    for _ in range(_ROUNDS):
        try:
            return Settings.model_validate(draft)
        except ValidationError as error:
            for details in reversed(errors(error)):  # so that a list's items keep their positions until they are fixed
                _fix(draft, details, f"{_STAND_IN}-{next(numbers)}")
    return None


def _concerns_stand_in(problem: Problem) -> bool:
    """Whether a problem may come from a stand-in. A stand-in for a project's path is in no group."""
    return _STAND_IN in str(problem) or problem.path == f"{NAMESPACE}:runners.group"


def _fix(draft: Any, details: ErrorDetails, stand_in: str) -> None:
    *above, last = [part for part in details["loc"] if part != "[key]"]
    parent = draft
    for part in above:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return  # a fix of something around it removed it
    if details["type"] == "missing":
        parent[last] = deepcopy(_STAND_INS.get(str(last), stand_in))
    elif isinstance(parent, list) and above[-1] in ("projects", "images"):
        parent[int(last)] = {}
    elif isinstance(parent, list):
        del parent[int(last)]
    elif isinstance(parent, dict):
        parent.pop(last, None)
