"""Previews for tests: output of the real CLI in `data/`, and hand-written steps of the same form."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from delivery.causes import Causes
from delivery.danger import Danger
from delivery.dangers import dangers
from delivery.preview import Preview, parse

DATA = Path(__file__).parent / "data"
PLATFORM = "urn:pulumi:dev::buildyard::buildyard:components:Platform::buildyard-dev"
SECRET = "[secret]"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Step = dict[str, Any]


def real(name: str) -> str:
    """The real CLI's output: `changed`, `drift`, `empty`, `failed-program`, `failed-provider`, `first` or `minimal`."""
    return (DATA / f"{name}.json").read_text(encoding="utf-8")


def urn_of(type: str, name: str) -> str:  # noqa: A002 (the resource's type, as the CLI calls it)
    """The URN of a step's resource."""
    return f"{PLATFORM.rpartition('::')[0]}${type}::{name}"


def step(
    operation: str,
    type: str,  # noqa: A002 (the resource's type, as the CLI calls it)
    name: str = "it",
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    *,
    details: Mapping[str, str] | None = None,
    outputs: Mapping[str, Any] | None = None,
    dependencies: Sequence[str] = (),
    waits: bool = False,
) -> Step:
    """One step; `details` maps property paths to the kinds of their differences.

    `waits` is whether the program has a hook that delays the deletion.
    """
    urn = urn_of(type, name)
    state = {"urn": urn, "custom": True, "type": type, "parent": PLATFORM, "dependencies": list(dependencies)}
    made: Step = {"op": operation, "urn": urn, "detailedDiff": None}
    if operation != "create":
        made["oldState"] = {**state, "inputs": dict(old or {}), "outputs": {**(old or {}), **(outputs or {})}}
        made["oldState"] |= {"resourceHooks": {"BeforeDelete": ["drain"]}} if waits else {}
    if operation != "delete":
        made["newState"] = {**state, "inputs": dict(new or {})}
    if details is not None:
        made["detailedDiff"] = {path: {"kind": kind, "inputDiff": True} for path, kind in details.items()}
    return made


def preview(*steps: Step) -> Preview:
    return parse(json.dumps({"steps": steps, "changeSummary": {}}))


def read(markdown: str) -> str:
    """The note as HTML, as a browser shows it."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def found(*steps: Step) -> list[Danger]:
    """The dangers of a preview with these steps."""
    changes = preview(*steps).changes
    return dangers(changes, Causes(changes))


def only(*steps: Step) -> Danger:
    """The one danger of such a preview."""
    [danger] = found(*steps)
    return danger
