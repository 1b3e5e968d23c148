"""Tests of the Mermaid graph's source. `tests/browser` draws it."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.graph import graph
from delivery.preview import parse
from tests.delivery.previews import PLATFORM, Step, preview, real, step

LIMIT = 2000
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TAG = "aws:autoscaling/tag:Tag"


def boxes(text: str) -> dict[str, list[str]]:
    """The nodes' labels by the titles of their boxes."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if box := re.fullmatch(r'  subgraph b\d+\["(.*)"\]', line):
            inner = found.setdefault(box[1], [])
        elif node := re.fullmatch(r'    b\d+n\d+\["(.*)"\]:::\w+', line):
            inner.append(node[1])
    return found


def arrows(text: str) -> list[tuple[str, str]]:
    """The titles of the boxes at both ends of each arrow."""
    title = dict(re.findall(r'subgraph (b\d+)\["(.*)"\]', text))
    return [(title[start], title[end]) for start, end in re.findall(r"^  (b\d+) --> (b\d+)$", text, re.MULTILINE)]


def urn_in(component: str, type: str, name: str) -> str:  # noqa: A002 (the resource's type, as the CLI calls it)
    return f"{PLATFORM.rpartition('::')[0]}$buildyard:components:{component}${type}::{name}"


def inside(component: str, made: Step, *used: str) -> Step:
    """The step of a resource in a component whose name is that of the stack; `used` are its dependencies."""
    parent = f"{PLATFORM.rpartition('::')[0]}$buildyard:components:{component}::buildyard-dev"
    name = made["urn"].rpartition("::")[2]
    text = json.dumps(made).replace(made["urn"], urn_in(component, made["urn"].split("$")[-1].split("::")[0], name))
    done: Step = json.loads(text)
    for state in ("oldState", "newState"):
        if state in done:
            done[state] |= {"parent": parent, "dependencies": list(used)}
    return done


def test_boxes_are_components_with_their_changes_by_operation() -> None:
    text = graph(parse(real("changed")).changes, "buildyard-dev")
    assert boxes(text)["BuildNodes arm64"] == ["update:<br>LaunchTemplate arm64", "replace:<br>NodeGroup arm64"]
    assert boxes(text)["PublishedPipeline platform/images"]
    assert "ImageRegistry" in boxes(text), "the stack's prefix stays"


def test_many_resources_of_a_kind_are_one_line() -> None:
    steps = [inside("BuildNodes", step("create", TAG, f"buildyard-dev-{number}")) for number in range(4)]
    steps.append(inside("BuildNodes", step("create", "aws:iam/policy:Policy", "buildyard-dev-push")))
    [[label]] = boxes(graph(preview(*steps).changes, "buildyard-dev")).values()
    assert label == "create:<br>4 Tags<br>Policy push"


def test_a_name_is_drawn_without_the_stacks_prefix() -> None:
    changes = preview(
        inside("BuildNodes", step("create", NODE_GROUP, "buildyard-dev-arm64")),
        inside("BuildNodes", step("create", TAG, "buildyard-development")),
    ).changes
    [[label]] = boxes(graph(changes, "buildyard-dev")).values()
    assert label == "create:<br>Tag buildyard-development<br>NodeGroup arm64"


def test_arrows_lead_to_what_depends_without_detours() -> None:
    nodes, role, runner = (
        urn_in(component, kind, "x")
        for component, kind in (
            ("BuildNodes", NODE_GROUP),
            ("PushIdentity", "aws:iam/role:Role"),
            ("Runners", "gitlab:index/userRunner:UserRunner"),
        )
    )
    steps = [
        inside("BuildNodes", step("create", NODE_GROUP, "x")),
        inside("PushIdentity", step("create", "aws:iam/role:Role", "x")),
        inside("Runners", step("create", "gitlab:index/userRunner:UserRunner", "x"), nodes, role),
        inside("PodRules", step("create", "kubernetes:core/v1:LimitRange", "x"), runner, nodes),
    ]
    assert sorted(arrows(graph(preview(*steps).changes, "buildyard-dev"))) == [
        ("BuildNodes", "Runners"),
        ("PushIdentity", "Runners"),
        ("Runners", "PodRules"),
    ]


def test_components_that_depend_on_each_other_keep_their_arrows() -> None:
    one, other = urn_in("A", TAG, "x"), urn_in("B", TAG, "x")
    steps = [inside("A", step("create", TAG, "x"), other), inside("B", step("create", TAG, "x"), one)]
    assert sorted(arrows(graph(preview(*steps).changes, "buildyard-dev"))) == [("A", "B"), ("B", "A")]


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


def test_two_hundred_components_are_drawn_by_their_types() -> None:
    steps = [inside(f"Kind{number % 3}", step("create", TAG, f"{number}")) for number in range(200)]
    for number, made in enumerate(steps):
        made["newState"]["parent"] += f"-{number}"
    text = graph(preview(*steps).changes, "buildyard-dev")
    assert boxes(text) == {f"Kind{kind}": [f"create:<br>{67 if kind < 2 else 66} Tags"] for kind in range(3)}


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1, max_size=100))
def test_a_name_stays_within_its_label(name: str) -> None:
    changes = preview(step("replace", NODE_GROUP, name, {"a": 1}, {"a": 2})).changes
    [[label]] = boxes(graph(changes)).values()
    assert not re.search(r'["`<>\[\]{}]', label.replace("<br>", "")), "a name changes what the graph means"
