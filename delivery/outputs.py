"""A stack's outputs as variables for other pipelines, with names made from the outputs' names."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from delivery.values import SECRET, is_secret, redacted

PREFIX = "BUILDYARD"
DOTENV_BYTES = 5 * 1024
DOTENV_VARIABLES = 20
"""GitLab's defaults: https://docs.gitlab.com/administration/instance_limits/#limit-dotenv-file-size"""

# https://docs.gitlab.com/ci/variables/#mask-a-cicd-variable (a variable whose references are not expanded)
_MASKABLE = re.compile(r"\S{8,}")


class OutputsError(Exception):
    """The outputs cannot be passed on as requested. The message says which, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    name: str
    value: str
    secret: bool

    def __repr__(self) -> str:
        return f"Variable({self.name})"


def variables(outputs: Mapping[str, Any], revealed: Mapping[str, Any] | None = None) -> list[Variable]:
    """The variables of a stack, sorted by name.

    `outputs` is the output of `pulumi stack output --json`, in which secrets are masked; `revealed` is the same with
    `--show-secrets`, for the values of secrets. `{"runners": {"protected": {"arm64": {"id": "7"}}}}` becomes
    `BUILDYARD_RUNNERS_PROTECTED_ARM64_ID=7`, and a list of scalars becomes its items, joined by commas. Raises
    `OutputsError` if two outputs have the same variable name.
    """
    found: dict[str, tuple[str, Variable]] = {}
    for path, value in _leaves((), outputs):
        name = "_".join([PREFIX, *(re.sub(r"[^A-Z0-9]+", "_", step.upper()) for step in path)])
        secret = is_secret(value)
        clear = _at(revealed, path) if secret and revealed is not None else value
        variable = Variable(name=name, value=_text(clear), secret=secret)
        where = ".".join(path)
        if name in found:
            raise OutputsError(f"The outputs {found[name][0]} and {where} would both be {name}; rename one of them.")
        found[name] = where, variable
    return [found[name][1] for name in sorted(found)]


def only(found: Sequence[Variable], patterns: Sequence[str]) -> list[Variable]:
    """The variables that match any of the shell-style patterns, or all. A pattern that matches none is an error."""
    names = [variable.name for variable in found]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = get_close_matches(pattern, names, n=1)
            advice = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names)}."
            raise OutputsError(f"No output matches --only {pattern}. {advice}")
    return [v for v in found if not patterns or any(fnmatchcase(v.name, pattern) for pattern in patterns)]


def dotenv(found: Sequence[Variable]) -> str:
    """The content of `artifacts:reports:dotenv`. Raises `OutputsError` for secrets and for what GitLab would refuse."""
    _refuse_secrets(found, "a dotenv report, which everybody who sees the job can read")
    odd = [
        variable.name
        for variable in found
        if not variable.value.isprintable() or variable.value != variable.value.strip()
    ]
    if odd:
        raise OutputsError(
            f"A dotenv report cannot contain line breaks or outer spaces, as in {', '.join(odd)}. Use --only."
        )
    text = "".join(f"{variable.name}={variable.value}\n" for variable in found)
    size = len(text.encode())
    if len(found) > DOTENV_VARIABLES or size > DOTENV_BYTES:
        largest = [variable.name for variable in sorted(found, key=lambda variable: -len(variable.value))[:5]]
        raise OutputsError(
            f"These are {len(found)} variables in {size:,} bytes; GitLab's limit for a dotenv report "
            f"is {DOTENV_VARIABLES} in {DOTENV_BYTES:,}. Choose some with --only, or leave out the largest: "
            f"{', '.join(largest)}. All: {', '.join(variable.name for variable in found)}."
        )
    return text


def as_json(found: Sequence[Variable]) -> str:
    """The names and values as a JSON object, of any size. Raises `OutputsError` for secrets."""
    _refuse_secrets(found, "JSON, which is kept in clear text")
    return json.dumps({variable.name: variable.value for variable in found}, indent=2) + "\n"


def gitlab_variables(found: Sequence[Variable], stack: str) -> str:
    """The request bodies that create GitLab's CI/CD variables, as a JSON list; secrets masked, hidden and protected.

    Source: https://docs.gitlab.com/api/project_level_variables/#create-a-variable. Raises `OutputsError` for a secret
    whose value is unknown, or that GitLab cannot mask.
    """
    blind = [variable.name for variable in found if variable.secret and variable.value == SECRET]
    if blind:
        raise OutputsError(f"Give the values of {', '.join(blind)} with --revealed, or leave them out with --only.")
    bare = [variable.name for variable in found if variable.secret and not _MASKABLE.fullmatch(variable.value)]
    if bare:
        raise OutputsError(
            f"GitLab cannot mask {', '.join(bare)}, so job logs would show them: a masked value must have at "
            "least 8 characters and no white space."
        )
    bodies = [
        {
            "key": variable.name,
            "value": variable.value,
            "raw": True,
            "protected": variable.secret,
            "masked": variable.secret,
            "masked_and_hidden": variable.secret,
            "description": f"Output of the Buildyard stack {stack}",
        }
        for variable in found
    ]
    return json.dumps(bodies, indent=2) + "\n"


def _refuse_secrets(found: Iterable[Variable], where: str) -> None:
    secrets = [variable.name for variable in found if variable.secret or redacted(variable.value) != variable.value]
    if secrets:
        raise OutputsError(f"{', '.join(secrets)}: a secret must not be in {where}. Leave it out with --only.")


def _leaves(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    else:
        yield path, value


def _at(value: Any, path: Sequence[str]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return SECRET if value is None else value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, (str, int)) for item in value):
        return ",".join(_text(item) for item in value)
    return json.dumps(value, separators=(",", ":"))
