"""The JSON schema of a stack's file, with which an editor completes keys and marks problems: `python -m stacks.schema`.

A stack's file names the schema in its first line. A test compares the committed copy with `settings`.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stacks.settings import NAMESPACE, Settings

FILE = Path(__file__).parent / "settings.schema.json"


def schema() -> dict[str, Any]:
    """The schema of `Pulumi.STACK.yaml`: our keys in full, and any key of other namespaces."""
    settings = TypeAdapter(Settings).json_schema()
    definitions = settings.pop("$defs")
    prefix = f"{NAMESPACE}:"
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack of Buildyard",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{prefix}{key}": value for key, value in settings["properties"].items()},
                "required": [f"{prefix}{key}" for key in settings["required"]],
                "patternProperties": {f"^(?!{prefix})[^:]+:.+$": {}},
                "additionalProperties": False,
            }
        },
        "required": ["config"],
        "$defs": definitions,
    }


def text() -> str:
    """The committed file's content."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    print(f"wrote {FILE}")
