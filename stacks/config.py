"""The sources of a stack's settings: Pulumi's configuration while the program runs, otherwise the stack's own file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stacks.documents import DocumentError, Fault, encrypted, read_json, read_yaml
from stacks.parsing import parse
from stacks.problems import Problem, SettingsError, echo, key_path, nearest
from stacks.settings import NAMESPACE, Settings

DIRECTORY = Path(__file__).parent
"""Pulumi.yaml's `stackConfigDir`."""

_ENCRYPTED = "is encrypted, but would be published in clear text"
_SEALED = {"secure": "[encrypted]"}
_DECRYPT = (
    "Write the value in clear text, or leave it out. A build gets a secret from a CI/CD variable of GitLab, by the "
    "image's key secrets."
)


def load() -> Settings:
    """The settings of the stack that Pulumi is deploying. Raises `SettingsError`.

    An empty text means that the key is not set, as `pulumi new` writes it for an answer that is left out.
    """
    import pulumi  # here, so that reading a file does not need Pulumi's SDK
    from pulumi.runtime.config import CONFIG, is_config_secret

    stack = pulumi.get_stack()
    source = file_name(stack)
    # Pulumi accepts more than has one meaning: it drops a null key, and rewrites a date.
    written, problems = _read(stack) if _file(stack).exists() else ({}, [])
    config = pulumi.Config(NAMESPACE)
    keys = _own(CONFIG.get())
    secret = [key for key in keys if is_config_secret(f"{NAMESPACE}:{key}")]
    if problems:
        # The file says where in a key the encrypted value is.
        return _parse({key: written[f"{NAMESPACE}:{key}"] for key in _own(written)}, problems, source=source)
    problems = [_encrypted(f"{NAMESPACE}:{key}") for key in secret]
    return _parse({key: _SEALED if key in secret else config.require(key) for key in keys}, problems, source=source)


def read_file(stack: str) -> Settings:
    """The settings in a stack's file, read without Pulumi. Raises `SettingsError`."""
    values, problems = _read(stack)
    return _parse({key: values[f"{NAMESPACE}:{key}"] for key in _own(values)}, problems, source=file_name(stack))


def read_values(stack: str) -> Mapping[str, Any]:
    """Everything under `config` in a stack's file, of all namespaces. Raises `SettingsError`.

    Encrypted values of our namespace are refused.
    """
    values, problems = _read(stack)
    if problems:
        raise SettingsError(problems, source=file_name(stack))
    return values


def _read(stack: str) -> tuple[Mapping[str, Any], list[Problem]]:
    """Everything under `config` in a stack's file, and a problem for each encrypted value of our namespace."""
    source = file_name(stack)
    try:
        content = read_yaml(_file(stack).read_bytes())
    except FileNotFoundError:
        known = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in DIRECTORY.glob("Pulumi.*.yaml")]
        raise _error(source, "the file does not exist", nearest(stack, known)) from None
    except OSError as error:
        raise _error(source, f"cannot be read: {error.strerror}", "Make it a file that you may read.") from None
    except DocumentError as error:
        raise SettingsError([_located(fault, source) for fault in error.faults], source=source) from None
    values = content.get("config") if isinstance(content, Mapping) else content
    if not isinstance(values, Mapping | None):
        raise _error(
            source, "is not a mapping, or its `config` is not", "Use `config:`, with the settings as its keys."
        )
    values = values or {}
    problems = [
        _encrypted(str(head), rest) for head, *rest in encrypted(values) if str(head).startswith(f"{NAMESPACE}:")
    ]
    if homeless := list(_without_namespace(values)):
        raise SettingsError([*homeless, *problems], source=source)
    return values, problems


def region(stack: str) -> str | None:
    """The AWS region in a stack's file. Raises `SettingsError`."""
    found = read_values(stack).get("aws:region")
    if found is None or (isinstance(found, str) and re.fullmatch("[a-z]{2,}(-[a-z0-9]+)+", found)):
        return found
    problem = Problem(path="aws:region", message="is not an AWS region", hint="Use, for example, eu-central-1.")
    raise SettingsError([problem], source=file_name(stack))


def _file(stack: str) -> Path:
    if not re.fullmatch("[A-Za-z0-9_.-]{1,100}", stack):
        raise _error("--stack", f"{echo(stack)} is not the name of a stack", "Use letters, digits, '_', '.' and '-'.")
    return DIRECTORY / f"Pulumi.{stack}.yaml"


def _without_namespace(values: Mapping[str, Any]) -> Iterable[Problem]:
    for key in values:
        if ":" not in key:
            yield Problem(
                path=key_path("config", [key]), message="has no namespace", hint=f"Write {NAMESPACE}:{key_path(key)}."
            )


def _encrypted(head: str, location: Iterable[str | int] = ()) -> Problem:
    return Problem(path=key_path(head, location), message=_ENCRYPTED, hint=_DECRYPT)


def _located(fault: Fault, source: str) -> Problem:
    location = fault.location
    if location[:1] == ("config",) and len(location) > 1:
        location = location[1:]
    head, *rest = location or (source,)
    return Problem(path=key_path(str(head), rest), message=fault.message, hint=fault.hint)


def _error(source: str, message: str, hint: str) -> SettingsError:
    return SettingsError([Problem(path=source, message=message, hint=hint)], source=source)


def _own(keys: Iterable[str]) -> list[str]:
    prefix = f"{NAMESPACE}:"
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]


def _parse(values: Mapping[str, Any], known: Sequence[Problem], *, source: str) -> Settings:
    """Parse values of our namespace. Those that Pulumi takes for unset are unset here, too.

    `known` are the problems of encrypted values. Raises `SettingsError` with these and all others.
    """
    raw: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in values.items():
        try:
            if value is not None and value != "":
                raw[key] = _value(_sealed(value) if known else value)
        except DocumentError as error:
            head = f"{NAMESPACE}:{key}"
            problems += [
                Problem(path=key_path(head, fault.location), message=fault.message, hint=fault.hint)
                for fault in error.faults
            ]
    if problems:
        raise SettingsError([*known, *problems], source=source)
    try:
        settings = parse(raw, source=source)
    except SettingsError as error:
        sealed = tuple(problem.path for problem in known)
        others = [each for each in error.problems if not _is_within(each.path, sealed)]
        raise SettingsError([*known, *others], source=source) from None
    if known:
        raise SettingsError(known, source=source)
    return settings


def _sealed(value: Any) -> Any:
    """A value whose encrypted parts are replaced, so that no message can contain them."""
    if isinstance(value, Mapping):
        return _SEALED if value.keys() == {"secure"} else {key: _sealed(item) for key, item in value.items()}
    return [_sealed(item) for item in value] if isinstance(value, list) else value


def _is_within(path: str, others: Iterable[str]) -> bool:
    """Whether a key is one of the others, or in one of them."""
    return any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in others)


def _value(value: Any) -> Any:
    """A value from Pulumi, which passes objects and lists as JSON and everything else unchanged.

    `pulumi config set KEY '{...}'` writes such a text to the stack's file.
    """
    return read_json(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


def file_name(stack: str) -> str:
    """The name of a stack's file in messages and generated files."""
    return f"stacks/Pulumi.{stack}.yaml"
