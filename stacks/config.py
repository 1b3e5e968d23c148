"""Where a stack's settings are read from: Pulumi's configuration while the program runs, else the stack's own file."""

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

    An empty text says nothing: it is the default with which Pulumi.yaml makes a key optional.
    """
    import pulumi  # here, so that reading a file needs no engine's SDK
    from pulumi.runtime.config import CONFIG

    config = pulumi.Config(NAMESPACE)
    texts = {key: config.require(key) for key in _own(CONFIG.get())}
    return parse({key: _value(text) for key, text in texts.items() if text}, source=file_name(pulumi.get_stack()))


def read_file(stack: str) -> Settings:
    """The settings that a stack's file holds, without Pulumi. Raises `SettingsError`."""
    values = read_values(stack)
    return parse({key: values[f"{NAMESPACE}:{key}"] for key in _own(values)}, source=file_name(stack))


def read_values(stack: str) -> Mapping[str, Any]:
    """All that a stack's file says under `config`, every namespace included. Raises `SettingsError`."""
    file = DIRECTORY / f"Pulumi.{stack}.yaml"
    if not file.exists():
        known = [path.name.split(".")[1] for path in DIRECTORY.glob("Pulumi.*.yaml")]
        raise SettingsError(
            [Problem(path=file_name(stack), message="there is no such file", hint=nearest(stack, known))],
            source=file_name(stack),
        )
    try:
        return dict((yaml.safe_load(file.read_text()) or {}).get("config") or {})
    except (yaml.YAMLError, AttributeError) as error:
        problem = Problem(path=file_name(stack), message=f"is no YAML mapping: {error}", hint="Mend the file's syntax.")
        raise SettingsError([problem], source=file_name(stack)) from None


def _own(keys: Iterable[str]) -> list[str]:
    prefix = f"{NAMESPACE}:"
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]


def _value(text: str) -> Any:
    """Pulumi hands objects and lists over as JSON, and everything else as it is."""
    return json.loads(text) if text[:1] in ("{", "[") else text


def file_name(stack: str) -> str:
    """How messages and generated files name a stack's file."""
    return f"stacks/Pulumi.{stack}.yaml"
