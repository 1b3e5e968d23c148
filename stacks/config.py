"""The sources of a stack's settings: Pulumi's configuration while the program runs, otherwise the stack's own file."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from stacks.parsing import parse
from stacks.problems import Problem, SettingsError, nearest
from stacks.settings import NAMESPACE, Settings

DIRECTORY = Path(__file__).parent
"""Pulumi.yaml's `stackConfigDir`."""


def load() -> Settings:
    """The settings of the stack that Pulumi is deploying. Raises `SettingsError`.

    An empty text means that the key is not set: Pulumi.yaml makes keys optional with this default.
    """
    import pulumi  # here, so that reading a file does not need Pulumi's SDK
    from pulumi.runtime.config import CONFIG

    config = pulumi.Config(NAMESPACE)
    texts = {key: config.require(key) for key in _own(CONFIG.get())}
    return parse({key: _value(text) for key, text in texts.items() if text}, source=file_name(pulumi.get_stack()))


def read_file(stack: str) -> Settings:
    """The settings in a stack's file, read without Pulumi. Raises `SettingsError`."""
    values = read_values(stack)
    return parse({key: values[f"{NAMESPACE}:{key}"] for key in _own(values)}, source=file_name(stack))


def read_values(stack: str) -> Mapping[str, Any]:
    """Everything under `config` in a stack's file, of all namespaces. Raises `SettingsError`."""
    file = DIRECTORY / f"Pulumi.{stack}.yaml"
    if not file.exists():
        known = [path.name.split(".")[1] for path in DIRECTORY.glob("Pulumi.*.yaml")]
        raise _error(stack, "the file does not exist", nearest(stack, known))
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise _error(stack, f"is not YAML: {error}", "Fix the file's syntax.") from None
    values = content.get("config") if isinstance(content, Mapping) else content
    if not isinstance(values, Mapping | None):
        raise _error(stack, "is not a mapping, or its `config` is not", "Use `config:`, with the settings as its keys.")
    return values or {}


def _error(stack: str, message: str, hint: str) -> SettingsError:
    source = file_name(stack)
    return SettingsError([Problem(path=source, message=message, hint=hint)], source=source)


def _own(keys: Iterable[str]) -> list[str]:
    prefix = f"{NAMESPACE}:"
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]


def _value(text: str) -> Any:
    """A value from Pulumi, which passes objects and lists as JSON and everything else unchanged."""
    return json.loads(text) if text[:1] in ("{", "[") else text


def file_name(stack: str) -> str:
    """The name of a stack's file in messages and generated files."""
    return f"stacks/Pulumi.{stack}.yaml"
