"""From what a stack's file says to `Settings`, or to every problem in it at once."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import count
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stacks import checks
from stacks.architecture import Architecture
from stacks.problems import Problem, SettingsError, nearest
from stacks.settings import NAMESPACE, Settings

Location = tuple[str | int, ...]

_ROUNDS = 10
"""Repairs of one problem may uncover the next (an image that was no mapping has no name either), but only so deep."""


def parse(raw: Mapping[str, Any], *, source: str) -> Settings:
    """The settings of one stack, valid as a whole.

    `raw` maps the keys without their namespace (`cluster`, `nodes`, ...) to plain YAML values; `source` is how the
    error names the file. Raises `SettingsError` with all problems, those of one key and those between keys.
    """
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems = [_problem(details) for details in _errors(error)]
        repaired = _repair(raw)
        if repaired:
            problems += [problem for problem in checks.check(repaired) if not _concerns_stand_in(problem)]
        raise SettingsError(problems, source=source) from None
    problems = list(checks.check(settings))
    if problems:
        raise SettingsError(problems, source=source)
    return settings


def path(location: Location) -> str:
    """A place in the settings as the stack's file spells it: `buildyard:projects[0].images[1].context`."""
    head, *rest = location
    return f"{NAMESPACE}:{head}" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


def _errors(error: ValidationError) -> list[ErrorDetails]:
    """Pydantic's errors without its echo of them: it also calls a list too short whose items are wrong, not missing."""
    return [details for details in error.errors() if details["type"] != "too_short" or not details["input"]]


def _problem(details: ErrorDetails) -> Problem:
    location: Location = details["loc"]
    if location[-1] == "[key]":  # how pydantic marks a mapping's key
        location = location[:-1]
    message, hint = _explanation(details, location)
    return Problem(path=path(location), message=message, hint=hint)


def _explanation(details: ErrorDetails, location: Location) -> tuple[str, str]:
    context = details.get("ctx", {})
    given = details["input"]
    match details["type"]:
        case "refused":
            return context["message"], context["hint"]
        case "extra_forbidden":
            return "there is no such key", nearest(str(location[-1]), _known_keys(location[:-1]))
        case "missing":
            known = _known_keys(location[:-1])
            return "is missing", f"It has no default. Keys known beside it: {', '.join(sorted(known))}."
        case "enum":
            return f"{given!r} is not among the known values", f"Use {context['expected']}."
        case "string_pattern_mismatch":
            return f"{given!r} is not of the right form", _pattern_advice()[context["pattern"]]
        case "model_type" | "dict_type":
            return f"{given!r} is no mapping", f"Give keys and values, of: {', '.join(_known_keys(location))}."
        case "tuple_type":
            return f"{given!r} is no list", "Give a list, even of one: [...]."
        case "string_type":
            return f"{given!r} is no text", f'Write it in quotes: "{given}".'
        case "too_short":
            return "is empty", "Give one at least, or leave the key out where it has a default."
        case _:
            return f"{given!r} does not do", f"{details['msg']}."


def _known_keys(location: Location) -> list[str]:
    """The keys that the settings know at a place, found in the schema so that nothing is declared twice."""
    root = TypeAdapter(Settings).json_schema()

    def resolved(schema: dict[str, Any]) -> dict[str, Any]:
        for option in [schema, *schema.get("anyOf", []), *schema.get("allOf", [])]:
            if "$ref" in option:
                return resolved(root["$defs"][option["$ref"].rsplit("/", 1)[-1]])
        return schema

    schema = root
    for part in location:
        if isinstance(part, int):
            schema = resolved(schema.get("items", {}))
        else:
            schema = resolved(schema.get("properties", {}).get(part) or schema.get("additionalProperties", {}))
    if "propertyNames" in schema:
        return [str(architecture) for architecture in Architecture]
    return list(schema.get("properties", {}))


def _pattern_advice() -> dict[str, str]:
    """The advice that `settings` gives for each form of text."""

    def found(schema: Any) -> Iterator[tuple[str, str]]:
        if isinstance(schema, dict):
            if "pattern" in schema and "patternErrorMessage" in schema:
                yield schema["pattern"], schema["patternErrorMessage"]
            for value in schema.values():
                yield from found(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from found(value)

    return dict(found(TypeAdapter(Settings).json_schema()))


_STAND_IN = "stand-in-for-a-problem"
_STAND_INS = {"cluster": {}, "images": [{}], "projects": [{}], "instance-types": ["stand.in"]}


def _repair(raw: Mapping[str, Any]) -> Settings | None:
    """The settings with stand-ins for what has the wrong shape, so that the rest can still be checked.

    Keys that may be left out are left out; required ones get a unique stand-in. List items keep their places, since
    paths count them. None where even that gives no settings.
    """
    draft: Any = deepcopy(dict(raw))
    numbers = count()
    for _ in range(_ROUNDS):
        try:
            return Settings.model_validate(draft)
        except ValidationError as error:
            for details in reversed(_errors(error)):  # so that a list's items keep their places until mended
                _mend(draft, details, f"{_STAND_IN}-{next(numbers)}")
    return None


def _concerns_stand_in(problem: Problem) -> bool:
    """Whether a problem may be the stand-ins' and not the file's; a stand-in for a project's path is in no group."""
    return _STAND_IN in str(problem) or problem.path == f"{NAMESPACE}:runners.group"


def _mend(draft: Any, details: ErrorDetails, stand_in: str) -> None:
    *above, last = [part for part in details["loc"] if part != "[key]"]
    parent = draft
    for part in above:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return  # mended with something that holds it
    if details["type"] == "missing":
        parent[last] = deepcopy(_STAND_INS.get(str(last), stand_in))
    elif isinstance(parent, list) and above[-1] in ("projects", "images"):
        parent[int(last)] = {}
    elif isinstance(parent, list | dict):
        del parent[last]  # type: ignore[arg-type]
