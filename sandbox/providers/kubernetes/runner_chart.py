"""Checks of the values of the Helm chart `gitlab-runner`, and of the `config.toml` in them.

Wrong values fail in the preview; on a real cluster, the manager would never become ready.
"""

import re
import sys
from collections.abc import Iterator, Mapping

from sandbox.values import UNKNOWN, PropertyValue
from stacks.chart_keys import KeyFault, faults_in_runner, faults_in_values, name_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# With an authentication token, these belong to the runner in GitLab; a manager with one of them does not start.
# https://docs.gitlab.com/ci/runners/new_creation_workflow/#changes-to-the-gitlab-runner-register-command-syntax
_OF_THE_RUNNER = ("locked", "tags", "maximumTimeout", "runUntagged", "protected")
# The chart renders runners.config as a Helm template, in which a literal `{{` is written as one of these.
_ESCAPED_BRACES = re.compile(r"\{\{-?\s*(?:\"\{\{\"|`\{\{`)\s*-?\}\}")

Problem = tuple[str, str]  # path of the value, reason


def problems_in_values(values: Mapping[str, PropertyValue]) -> Iterator[Problem]:
    """All problems in the chart's values. Values may hold `UNKNOWN`."""
    for fault in faults_in_values(values, lambda value: value is UNKNOWN):
        yield f"values.{name_of(fault.location)}", _reason(fault)
    yield from _token_problems(values)
    runners = values.get("runners")
    if isinstance(runners, dict) and isinstance(runners.get("config"), str):
        for path, reason in problems_in_config(runners["config"]):
            yield f"values.runners.config{path and f': {path}'}", reason


def _reason(fault: KeyFault) -> str:
    return f"{fault.message[0].upper()}{fault.message[1:]}. {fault.hint}"


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
    for fault in faults_in_runner(runners[0]):
        yield f"runners.{name_of(fault.location)}", _reason(fault)


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
