"""The notes for reviewers and the README in a real browser: people can read every diagram, in every theme."""

import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from delivery.graph import graph
from delivery.markdown import fence
from delivery.note import note
from delivery.preview import parse
from sandbox.scratch import ScratchProject
from tests.browser.page import Theme, markdown
from tests.delivery.previews import Step, preview, step
from tests.delivery.test_graph import inside

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "delivery" / "golden"
NOTE_WIDTH = 780
"""About the width of a note in a merge request of GitLab, beside its sidebar."""
README_WIDTH = 830
"""The width of a README on GitHub."""
SMALLEST = 10
"""Pixels. Smaller letters cannot be read without zooming."""
CONTRAST = 4.5
"""Source: https://www.w3.org/TR/WCAG22/#contrast-minimum"""

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
GITLAB = [Theme.GITLAB_LIGHT, Theme.GITLAB_DARK]
Box = dict[str, float]
Label = dict[str, Any]


def problems(text: str, theme: Theme, width: int) -> list[str]:
    """Everything that keeps people from reading the diagrams of a text."""
    measured = markdown(text, theme, width).measure()
    found = [f"Mermaid draws nothing: {error}" for error in measured["errors"]]
    if len(measured["diagrams"]) + len(found) != len(re.findall("^```mermaid$", text, re.MULTILINE)):
        found.append("a diagram is missing")
    if measured["overflow"] > 0:
        found.append(f"the page is {measured['overflow']} pixels too wide")
    for diagram in measured["diagrams"]:
        found += _problems(diagram)
    return found


def _problems(diagram: dict[str, Any]) -> Iterable[str]:
    nodes, titles, edges = diagram["nodes"], diagram["titles"], diagram["edges"]
    if not nodes:
        yield "the diagram has no nodes"
    for label in [*nodes, *titles, *edges]:
        text = label["text"]
        if label["size"] < SMALLEST:
            yield f"{text!r} is {label['size']:.1f} pixels high"
        if label["contrast"] < CONTRAST:
            yield f"{text!r} has a contrast of {label['contrast']:.1f}"
        if not _within(label["box"], label["shape"] or diagram["box"]):
            yield f"{text!r} leaves its shape"
    for one, other in combinations(nodes, 2):
        if _overlap(one["shape"], other["shape"]):
            yield f"{one['text']!r} lies on {other['text']!r}"
    for title in [*titles, *edges]:
        yield from (
            f"{title['text']!r} lies on {node['text']!r}" for node in nodes if _overlap(title["box"], node["shape"])
        )
    for one, other in combinations([*titles, *edges], 2):
        if _overlap(one["box"], other["box"]):
            yield f"{one['text']!r} lies on {other['text']!r}"


def _within(inner: Box, outer: Box, slack: float = 1) -> bool:
    return (
        inner["left"] >= outer["left"] - slack
        and inner["top"] >= outer["top"] - slack
        and inner["right"] <= outer["right"] + slack
        and inner["bottom"] <= outer["bottom"] + slack
    )


def _overlap(one: Box, other: Box, slack: float = 1) -> bool:
    return (
        min(one["right"], other["right"]) - max(one["left"], other["left"]) > slack
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > slack
    )


@pytest.mark.parametrize("theme", GITLAB)
@pytest.mark.parametrize("name", ["changed", "drift", "first", "minimal"])
def test_the_picture_of_a_note_can_be_read(name: str, theme: Theme) -> None:
    assert problems((GOLDEN / f"{name}.md").read_text(), theme, NOTE_WIDTH) == []


def edits() -> dict[str, Any]:
    """Changes of the sandbox's stack: of a few resources, of a component's, of everything's names, and of all."""

    def types(config: dict[str, Any]) -> None:
        config["buildyard:nodes"]["arm64"]["instance-types"] = ["m8g.4xlarge"]
        config["buildyard:projects"][0]["images"].append({"name": "docs", "context": "images/docs"})

    def namespace(config: dict[str, Any]) -> None:
        config["buildyard:runners"]["namespace"] = "elsewhere"

    def tags(config: dict[str, Any]) -> None:
        config["buildyard:tags"] = {"team": "images"}

    return {"types": types, "namespace": namespace, "tags": tags}


@pytest.mark.parametrize("edit", ["types", "namespace", "tags"])
def test_the_picture_of_a_real_preview_can_be_read(deployed: ScratchProject, edit: str) -> None:
    with deployed.edited(edits()[edit]):
        text = note("sandbox", parse(deployed.sandbox("preview", "--json").stdout))
    assert "```mermaid" in text
    for theme in GITLAB:
        assert problems(text, theme, NOTE_WIDTH) == []


def widest() -> list[Step]:
    """Long names in long chains of components."""
    kinds = ("BuildNodes", "PushIdentity", "Runners", "PodRules")
    steps: list[Step] = []
    for kind in kinds:
        for number in range(3):
            used = [made["urn"] for made in steps if f":{kinds[kinds.index(kind) - 1]}$" in made["urn"]]
            name = f"buildyard-dev-{'resource-' * 4}{number}"
            steps.append(inside(kind, step("create", "aws:iam/policy:ValidatingAdmissionPolicyBinding", name), *used))
    return steps


@pytest.mark.parametrize("theme", GITLAB)
def test_the_widest_picture_can_be_read(theme: Theme) -> None:
    text = fence(graph(preview(*widest()).changes, "buildyard-dev"), "mermaid")
    assert text.count("-->") == 3, "the components must form a chain"
    assert problems(text, theme, NOTE_WIDTH) == []


NAMES = [
    "1. a list",
    "* a list",
    "_a_ **b** `c`",
    '"];click n0 "javascript:alert(1)"',
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp; #35; #lt;",
    "%%{init: {}}%%",
    "end",
    "a --> b",
    "$$x$$ :::create",
    "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
    "fa:fa-car https://evil.example/",
]


def test_a_name_is_drawn_as_it_is() -> None:
    graphs = [graph(preview(step("replace", NODE_GROUP, name, {"a": 1}, {"a": 2})).changes) for name in NAMES]
    text = "\n\n".join(fence(each, "mermaid") for each in graphs)
    measured = markdown(text, Theme.GITLAB_LIGHT, NOTE_WIDTH).measure()
    assert measured["errors"] == []
    drawn = [diagram["nodes"][0]["text"] for diagram in measured["diagrams"]]
    assert [re.sub(r"\s", "", each) for each in drawn] == [
        re.sub(r"\s", "", f"replace:NodeGroup{name}") for name in NAMES
    ], "Mermaid interprets a name"
    assert problems(text, Theme.GITLAB_LIGHT, NOTE_WIDTH) == []


@pytest.mark.parametrize("theme", [Theme.GITHUB_LIGHT, Theme.GITHUB_DARK])
def test_the_readmes_diagram_can_be_read(theme: Theme) -> None:
    assert problems((ROOT / "README.md").read_text(), theme, README_WIDTH) == []


def test_these_tests_see_what_is_wrong() -> None:
    wide = (
        "```mermaid\nflowchart LR\n" + " --> ".join(f"n{number}[resource {number}]" for number in range(20)) + "\n```"
    )
    pale = "```mermaid\nflowchart LR\n  a[pale]:::pale\n  classDef pale fill:#fff,color:#ccc\n```"
    wrong = "```mermaid\nflowchart LR\n  a[\n```"
    assert any("pixels high" in each for each in problems(wide, Theme.GITLAB_LIGHT, NOTE_WIDTH))
    assert any("contrast" in each for each in problems(pale, Theme.GITLAB_LIGHT, NOTE_WIDTH))
    assert any("draws nothing" in each for each in problems(wrong, Theme.GITLAB_LIGHT, NOTE_WIDTH))
