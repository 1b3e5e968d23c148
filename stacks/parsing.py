"""Turns the content of a stack's file into `Settings`, or into all problems in it."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from itertools import count
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stacks import checks
from stacks.architecture import Architecture
from stacks.documents import Location
from stacks.fields import ONE, SEVERAL
from stacks.problems import Problem, SettingsError, echo, key_path, nearest
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
    """A location in the settings as a key of the stack's file: `buildyard:projects[0].images[1].context`."""
    head, *rest = location
    return key_path(f"{NAMESPACE}:{head}", rest)


def _errors(error: ValidationError) -> list[ErrorDetails]:
    """Pydantic's errors without duplicates: it also reports a list as too short when its items are wrong.

    Their locations contain only keys of the file: pydantic adds the tag of a value that may have several types.
    """
    found = error.errors(include_url=False)
    for details in found:
        details["loc"] = tuple(part for part in details["loc"] if part not in (ONE, SEVERAL))
    return [details for details in found if details["type"] != "too_short" or not details["input"]]


def _problem(details: ErrorDetails) -> Problem:
    location: Location = details["loc"]
    if location[-1] == "[key]":  # pydantic's mark of a mapping's key
        location = location[:-1]
    message, hint = _explanation(details, location)
    return Problem(path=path(location), message=message, hint=hint)


def _explanation(details: ErrorDetails, location: Location) -> tuple[str, str]:
    context = details.get("ctx", {})
    given = echo(details["input"])
    match details["type"]:
        case "refused":
            return context["message"], context["hint"]
        case "extra_forbidden":
            return "there is no such key", nearest(str(location[-1]), _known_keys(location[:-1]))
        case "missing":
            known = _known_keys(location[:-1])
            return "is missing", f"The key has no default. Known keys here: {', '.join(sorted(known))}."
        case "enum":
            return f"{given} is not a known value", f"Use {context['expected']}."
        case "string_pattern_mismatch":
            return f"{given} has the wrong format", _pattern_advice()[context["pattern"]]
        case "model_type" | "dict_type":
            keys = ", ".join(_known_keys(location))
            return f"{given} is not a mapping", f"Use a mapping with these keys: {keys}." if keys else "Use a mapping."
        case "tuple_type":
            return f"{given} is not a list", "Use a list, even for a single item: [...]."
        case "string_type":
            return f"{given} is not a string", _quotes(details["input"])
        case "greater_than_equal":
            return f"{given} is too small", f"It must be at least {context['ge']}."
        case "less_than_equal":
            return f"{given} is too large", f"It must be at most {context['le']}."
        case "int_type" | "int_parsing" | "int_parsing_size" | "int_from_float" | "finite_number":
            return f"{given} is not a whole number", "Use a whole number without quotes."
        case "bool_type" | "bool_parsing":
            return f"{given} is not a boolean", "Use true or false, without quotes."
        case "string_too_short":
            return f"{given} is too short", f"It must have at least {context['min_length']} characters."
        case "string_too_long":
            return f"{given} is too long", f"It must have at most {context['max_length']} characters."
        case "too_long":
            return "has too many items", f"It must have at most {context['max_length']}."
        case "too_short":
            return "is empty", "Add at least one item, or remove the key if it has a default."
        case _:
            return f"{given} is not valid", f"{details['msg']}."


def _quotes(given: Any) -> str:
    return f'Write it in quotes: "{given}".' if isinstance(given, bool | int | float) else "Use a string."


@cache
def _schema() -> dict[str, Any]:
    return TypeAdapter(Settings).json_schema()


def _known_keys(location: Location) -> list[str]:
    """The known keys at a location. They come from the schema, so that nothing is declared twice."""
    root = _schema()

    def resolved(schema: dict[str, Any]) -> dict[str, Any]:
        for option in [schema, *(option for key in ("anyOf", "allOf", "oneOf") for option in schema.get(key, []))]:
            if "$ref" in option:
                return resolved(root["$defs"][option["$ref"].rsplit("/", 1)[-1]])
        return schema

    schema = root
    for part in location:
        if isinstance(part, int):
            schema = resolved(schema.get("items", {}))
        else:
            values = [schema.get("additionalProperties", {}), *schema.get("patternProperties", {}).values()]
            schema = resolved(schema.get("properties", {}).get(part) or values[-1])
    if "$ref" in schema.get("propertyNames", {}):
        return [str(architecture) for architecture in Architecture]
    return list(schema.get("properties", {}))


@cache
def _pattern_advice() -> dict[str, str]:
    """The hint in `settings` for each string pattern."""

    def found(schema: Any) -> Iterator[tuple[str, str]]:
        if isinstance(schema, dict):
            if "pattern" in schema and "patternErrorMessage" in schema:
                yield schema["pattern"], schema["patternErrorMessage"]
            if "patternErrorMessage" in schema.get("propertyNames", {}):
                yield from (
                    (each, schema["propertyNames"]["patternErrorMessage"]) for each in schema["patternProperties"]
                )
            for value in schema.values():
                yield from found(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from found(value)

    return dict(found(_schema()))


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
            for details in reversed(_errors(error)):  # so that a list's items keep their positions until they are fixed
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
