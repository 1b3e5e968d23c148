"""Pydantic's errors in settings, in words for the person who wrote the YAML."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stacks.architecture import Architecture
from stacks.documents import Location
from stacks.fields import ONE, SEVERAL
from stacks.model import Model
from stacks.problems import Problem, echo, key_path, nearest


def explain(error: ValidationError, model: type[Model], namespace: str) -> list[Problem]:
    """A problem for each error in the settings of a namespace, whose class is `model`."""
    return [_problem(details, model, namespace) for details in errors(error)]


def errors(error: ValidationError) -> list[ErrorDetails]:
    """Pydantic's errors without duplicates: it also reports a list as too short when its items are wrong.

    Their locations contain only keys of the file: pydantic adds the tag of a value that may have several types.
    """
    found = error.errors(include_url=False)
    for details in found:
        details["loc"] = tuple(part for part in details["loc"] if part not in (ONE, SEVERAL))
    return [details for details in found if details["type"] != "too_short" or not details["input"]]


def _problem(details: ErrorDetails, model: type[Model], namespace: str) -> Problem:
    location: Location = details["loc"]
    if location[-1] == "[key]":  # pydantic's mark of a mapping's key
        location = location[:-1]
    message, hint = _explanation(details, location, model)
    head, *rest = location
    return Problem(path=key_path(f"{namespace}:{head}", rest), message=message, hint=hint)


def _explanation(details: ErrorDetails, location: Location, model: type[Model]) -> tuple[str, str]:
    context = details.get("ctx", {})
    given = echo(details["input"])
    match details["type"]:
        case "refused":
            return context["message"], context["hint"]
        case "extra_forbidden":
            return "there is no such key", nearest(str(location[-1]), _known_keys(model, location[:-1]))
        case "missing":
            known = _known_keys(model, location[:-1])
            return "is missing", f"The key has no default. Known keys here: {', '.join(sorted(known))}."
        case "enum":
            return f"{given} is not a known value", f"Use {context['expected']}."
        case "string_pattern_mismatch":
            return f"{given} has the wrong format", _pattern_advice(model)[context["pattern"]]
        case "model_type" | "dict_type":
            keys = ", ".join(_known_keys(model, location))
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
def _schema(model: type[Model]) -> dict[str, Any]:
    return TypeAdapter(model).json_schema()


def _known_keys(model: type[Model], location: Location) -> list[str]:
    """The known keys at a location. They come from the schema, so that nothing is declared twice."""
    root = _schema(model)

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
def _pattern_advice(model: type[Model]) -> dict[str, str]:
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

    return dict(found(_schema(model)))
