"""Stack settings in YAML, for tests."""

from typing import Any

import pytest
import yaml

from stacks.parsing import parse
from stacks.problems import Problem, SettingsError
from stacks.settings import Settings

SMALLEST = """
cluster: {name: ci}
trust: shared
projects:
  - path: platform/images
    images:
      - {name: toolbox, context: images/toolbox}
"""
"""The fewest keys, and one trust tier, so that there is one resource of most kinds."""


def raw(text: str = SMALLEST, **keys: Any) -> dict[str, Any]:
    """The settings in a YAML text, with some top-level keys replaced."""
    return {**yaml.safe_load(text), **keys}


def settings(text: str = SMALLEST, **keys: Any) -> Settings:
    """The settings in a YAML text, parsed."""
    return parse(raw(text, **keys), source="stacks/Pulumi.test.yaml")


def problems(text: str = SMALLEST, **keys: Any) -> dict[str, Problem]:
    """The problems in the settings, by the key's path."""
    with pytest.raises(SettingsError) as caught:
        settings(text, **keys)
    return {problem.path: problem for problem in caught.value.problems}


def project(*images: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A project with these images. The default of an image's context is `images/NAME`."""
    return {
        "path": "platform/images",
        **keys,
        "images": [{"context": f"images/{image.get('name')}", **image} for image in images],
    }
