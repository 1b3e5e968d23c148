"""The values of the Helm chart `gitlab-runner`, and the keys of GitLab Runner's `config.toml`.

`sandbox/charts/` holds both as data. Wrong values fail in the preview; on a real cluster, the manager would never
become ready.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.providers.framework.check import suggestion
from sandbox.values import UNKNOWN, PropertyValue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_DATA = Path(__file__).parents[2] / "charts"
# The chart passes them to Kubernetes unchanged: its defaults have only some of their fields.
_TAKEN_WHOLE = frozenset({"securityContext", "podSecurityContext"})
# With an authentication token, these belong to the runner in GitLab; a manager with one of them does not start.
# https://docs.gitlab.com/ci/runners/new_creation_workflow/#changes-to-the-gitlab-runner-register-command-syntax
_OF_THE_RUNNER = ("locked", "tags", "maximumTimeout", "runUntagged", "protected")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict, list),  # the chart's empty defaults are objects, even for lists
    "duration": (str, int),
}
# The chart renders runners.config as a Helm template, in which a literal `{{` is written as one of these.
_ESCAPED_BRACES = re.compile(r"\{\{-?\s*(?:\"\{\{\"|`\{\{`)\s*-?\}\}")

Problem = tuple[str, str]  # path of the value, reason


def version() -> str:
    """The version of the chart in the data."""
    return str(_chart()["version"])


def app_version() -> str:
    """The version of GitLab Runner that the chart deploys unless its values name another."""
    return str(_chart()["appVersion"])


def problems_in_values(values: Mapping[str, PropertyValue]) -> Iterator[Problem]:
    """All problems in the chart's values. Values may hold `UNKNOWN`."""
    yield from _unknown_values(values, _known_values(), "values")
    yield from _token_problems(values)
    runners = values.get("runners")
    if isinstance(runners, dict) and isinstance(runners.get("config"), str):
        for path, reason in problems_in_config(runners["config"]):
            yield f"values.runners.config{path and f': {path}'}", reason


def problems_in_config(text: str) -> Iterator[Problem]:
    """All parts of a template of `config.toml` that GitLab Runner would refuse or ignore."""
    if "{{" in _ESCAPED_BRACES.sub("", text):
        yield "", 'The sandbox runs no Helm templates: write {{ as {{ "{{" }}, and values as they are.'
        return
    try:
        config = tomllib.loads(rendered_config(text))
    except tomllib.TOMLDecodeError as error:
        yield "", f"runners.config is not TOML: {error}."
        return
    for key in config:
        if key != "runners":
            yield (
                key,
                f"'{key}' is not a runner's: set global settings in the chart's values, such as concurrent.",
            )
    runners = config.get("runners", [])
    if not isinstance(runners, list) or len(runners) != 1:
        yield "runners", "The template must hold exactly one [[runners]]."
        return
    yield from _config_problems(runners[0], _config_keys(), "runners")


def rendered_config(text: str) -> str:
    """The config as the chart writes it, its escaped braces replaced."""
    return _ESCAPED_BRACES.sub("{{", text)


def _token_problems(values: Mapping[str, PropertyValue]) -> Iterator[Problem]:
    runners = values.get("runners")
    runners = runners if isinstance(runners, dict) else {}
    by_value, by_secret = bool(values.get("runnerToken")), bool(runners.get("secret"))
    if by_value and by_secret:
        yield "values.runnerToken", "Set runnerToken or runners.secret, not both."
    if not by_value and not by_secret:
        yield "values.runners.secret", "The manager has no token: name a Secret that holds it in runners.secret."
    if values.get("runnerRegistrationToken"):
        yield (
            "values.runnerRegistrationToken",
            "Registration tokens are no longer supported: use a runner's token, runners.secret.",
        )
    for name in _OF_THE_RUNNER:
        if runners.get(name) is not None:
            reason = (
                f"With a runner's token, {name} belongs to the runner in GitLab; the manager does not start with it."
            )
            yield f"values.runners.{name}", reason


def _unknown_values(values: PropertyValue, known: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if not isinstance(values, dict):
        return
    for key, value in values.items():
        here = f"{path}.{key}"
        if key not in known:
            yield here, f"The chart gitlab-runner knows no value '{_inside(here)}'{suggestion(key, known)}."
            continue
        declared = known[key]
        if value is None or value is UNKNOWN:
            continue
        if isinstance(declared, dict):
            if isinstance(value, dict):
                yield from _unknown_values(value, declared, here)
            else:
                yield here, f"'{_inside(here)}' holds further values, such as {', '.join(sorted(declared)[:3])}."
        elif not _is_a(value, declared):
            yield here, f"'{_inside(here)}' is {_type_name(value)}; the chart takes {declared}."


def _config_problems(value: Any, known: Any, path: str) -> Iterator[Problem]:
    if isinstance(known, list):
        if not isinstance(value, list):
            yield path, f"'{path}' is {_type_name(value)}; GitLab Runner takes a list."
            return
        for index, item in enumerate(value):
            yield from _config_problems(item, known[0], f"{path}[{index}]")
    elif isinstance(known, dict):
        if not isinstance(value, dict):
            yield path, f"'{path}' is {_type_name(value)}; GitLab Runner takes a table."
            return
        for key, item in value.items():
            if "*" in known:
                yield from _config_problems(item, known["*"], f"{path}.{key}")
            elif key in known:
                yield from _config_problems(item, known[key], f"{path}.{key}")
            else:
                reason = f"GitLab Runner knows no key '{path}.{key}'{suggestion(key, known)}."
                yield f"{path}.{key}", reason
    elif not _is_a(value, known):
        yield path, f"'{path}' is {_type_name(value)}; GitLab Runner takes {known}."


def _is_a(value: Any, declared: str) -> bool:
    """Whether a value has the declared type. Go types of Runner's own are not checked."""
    if isinstance(value, bool) and declared in ("integer", "number", "duration"):
        return False
    return isinstance(value, _TYPES.get(declared, (object,)))


def _type_name(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "table"}
    return f"a {names.get(type(value), type(value).__name__)}".replace("a integer", "an integer")


def _inside(path: str) -> str:
    return path.partition(".")[2]


@cache
def _known_values() -> Mapping[str, Any]:
    """The chart's values as a tree: an object for a value that holds others, else the name of a type or `any`."""
    data = _chart()
    known: dict[str, Any] = json.loads(json.dumps(data["values"]))
    for path in data["readByTemplates"]:
        *parents, name = path.split(".")
        place = known
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                place[parent] = {}
            place = place[parent]
        place.setdefault(name, "any")
    return {key: "object" if key in _TAKEN_WHOLE else value for key, value in known.items()}


@cache
def _chart() -> dict[str, Any]:
    return _read("gitlab-runner-chart-values.json")


@cache
def _config_keys() -> dict[str, Any]:
    keys: dict[str, Any] = _read("gitlab-runner-config-keys.json")["runners"]
    return keys


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_DATA / name).read_text(encoding="utf-8"))
    return content
