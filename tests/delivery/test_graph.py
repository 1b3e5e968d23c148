"""Tests of the Mermaid graph."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.graph import graph
from delivery.preview import parse
from tests.delivery.previews import preview, real, step

LIMIT = 2000
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"


def test_boxes_are_components_and_arrows_lead_to_what_depends() -> None:
    lines = graph(parse(real("changed")).changes).splitlines()
    label = {found[1]: found[2] for line in lines if (found := re.fullmatch(r'\s+(n\d+)\["(.*)"\]:::\w+', line))}
    arrows = [tuple(label[end] for end in line.split(" --> ")) for line in map(str.strip, lines) if " --> " in line]
    assert ("update aws LaunchTemplate arm64", "replace aws NodeGroup arm64") in arrows
    assert '  subgraph b0["BuildNodes buildyard-dev-arm64"]' in lines


@pytest.mark.parametrize(("groups", "kinds"), [(1, 3), (1, 40), (6, 40), (200, 25), (5, 1000)])
def test_gitlab_draws_a_graph_of_any_size_at_once(groups: int, kinds: int) -> None:
    steps = [
        step("create", f"aws:some/kind{kind % 40}:Kind{kind % 40}", f"resource-{group}-{kind}")
        for group in range(groups)
        for kind in range(kinds)
    ]
    text = graph(preview(*steps).changes)
    assert len(text) <= LIMIT, "GitLab shows the source and a button instead of the graph"
    assert ":::create" in text


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1, max_size=100))
def test_a_name_stays_within_its_label(name: str) -> None:
    changes = preview(step("replace", NODE_GROUP, name, {"a": 1}, {"a": 2})).changes
    [label] = [
        found[1] for line in graph(changes).split("\n") if (found := re.fullmatch(r'\s+n0\["(.*)"\]:::replace', line))
    ]
    assert not re.search(r'["`<>\[\]{}]', label), "a name changes what the graph means"
