"""The base of all settings' classes, and of their texts."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


class Model(BaseModel):
    """A group of settings. It is frozen, has dashes in its keys in YAML, and refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda field: field.replace("_", "-"),
        use_attribute_docstrings=True,
    )


def pattern_text(pattern: str, advice: str, *, min_length: int = 1, max_length: int | None = None) -> Any:
    """A string with a pattern. For any other string, the preview and the editor show `advice`."""
    editor: JsonDict = {"patternErrorMessage": advice}
    return Field(pattern=pattern, min_length=min_length, max_length=max_length, json_schema_extra=editor)
