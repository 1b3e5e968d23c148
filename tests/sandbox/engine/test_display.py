"""What a person sees: the tree, plain lines without a terminal, differences, outputs."""

import io
from dataclasses import replace

from rich.console import Console

from sandbox.engine.difference import changed_properties, property_lines
from sandbox.engine.display import Display, print_outputs
from sandbox.engine.lifecycle import Diff
from sandbox.engine.resource import ResourceState
from sandbox.engine.steps import Operation, Step
from sandbox.values import UNKNOWN, Properties, Secret


def test_a_difference_shows_old_and_new_and_what_forces_a_replacement() -> None:
    step = _step(
        {"size": 1, "gone": True, "name": "a", "token": Secret("hunter2")},
        {"size": 2, "name": "b", "added": {"x": UNKNOWN}, "token": Secret("hunter3")},
        Diff(changed=True, changed_keys=("size", "name", "added", "gone"), replace_keys=("name",)),
    )
    assert [line.text for line in property_lines(step)] == [
        '+ added: {"x": (known once deployed)}',
        "- gone: true",
        '~ name: "a" => "b"  (replaces)',
        "~ size: 1 => 2",
        "~ token: [secret] => [secret]",
    ]
    assert changed_properties(step) == ["~size", "~name", "+added", "-gone"]


def test_a_text_of_several_lines_shows_only_what_changed_in_it() -> None:
    before = "\n".join(["stages:", "  - build", *(f"line {number}" for number in range(20)), "end"])
    step = _step({"content": before}, {"content": before.replace("line 9", "line nine")})
    lines = list(property_lines(step))
    shown = "\n".join(line.text for line in lines)
    assert "-line 9" in shown
    assert "+line nine" in shown
    assert "line 18" not in shown
    assert {line.mark for line in lines if "- build" in line.text} <= {" "}, "a list item is no deletion"


def test_without_a_terminal_every_change_is_a_plain_line() -> None:
    shown = _show(terminal=False)
    assert "~ fake:index:Thing a  update  [~size]" in shown
    assert "error: fake:index:Thing 'b': no" in shown
    assert "\x1b" not in shown


def test_on_a_terminal_resources_hang_under_their_parents() -> None:
    tree = _show(terminal=True).splitlines()
    parent = next(line for line in tree if "Group group" in line)
    child = next(line for line in tree if "Thing a" in line and line.startswith("├"))
    assert tree.index(parent) < tree.index(child)
    assert any("Thing b" in line and "failed" in line for line in tree)


def test_drift_is_what_a_program_could_say_and_not_a_counter_of_the_clouds() -> None:
    old = ResourceState(urn=_urn("a"), type="t", custom=True, inputs={"size": 1}, outputs={"size": 1, "users": 0})
    counted = replace(old, outputs={"size": 1, "users": 7})
    edited = replace(old, inputs={"size": 9})
    step = Step(operation=Operation.REFRESH, old=old, new=old)
    shown = []
    for state in (counted, edited, None):
        display = Display(Console(file=(text := io.StringIO()), width=100), "Preview")
        display.begins(step)
        display.ends(step, state)
        shown.append(text.getvalue())
    assert shown[0] == ""
    assert "has drifted" in shown[1]
    assert "~ size: 1 => 9" in shown[1]
    assert "somebody deleted it" in shown[2]


def test_outputs_are_a_table_of_leaves_with_secrets_masked() -> None:
    values: Properties = {"urls": {"b": "https://b", "a": ["x", 1]}, "token": Secret("hunter2"), "later": UNKNOWN}
    console = Console(file=(text := io.StringIO()), width=100)
    print_outputs(console, values)
    assert text.getvalue().splitlines() == [
        "later   (known once deployed)",
        "token   [secret]",
        'urls.a  ["x", 1]',
        "urls.b  https://b",
    ]
    print_outputs(Console(file=(clear := io.StringIO()), width=100), values, show_secrets=True)
    assert "hunter2" in clear.getvalue(), "when asked for, and only then"


def _show(*, terminal: bool) -> str:
    console = Console(file=(text := io.StringIO()), width=120, force_terminal=terminal, color_system=None)
    group = ResourceState(urn=_urn("group", "demo:index:Group"), type="demo:index:Group", custom=False)
    step = _step({"size": 1}, {"size": 2}, Diff(changed=True, changed_keys=("size",)), parent=group.urn)
    with Display(console, "Update") as display:
        same = Step(operation=Operation.SAME, old=group, new=group)
        display.begins(same)
        display.ends(same, group)
        display.begins(step)
        display.ends(step, step.new)
        display.fails(ResourceState(urn=_urn("b"), type="fake:index:Thing", custom=True, parent=group.urn), "no")
    return text.getvalue()


def _step(old: Properties, new: Properties, diff: Diff | None = None, parent: str = "") -> Step:
    def state(inputs: Properties) -> ResourceState:
        return ResourceState(urn=_urn("a"), type="fake:index:Thing", custom=True, inputs=inputs, parent=parent)

    return Step(operation=Operation.UPDATE, old=state(old), new=state(new), diff=diff)


def _urn(name: str, resource_type: str = "fake:index:Thing") -> str:
    return f"urn:pulumi:sandbox::demo::{resource_type}::{name}"
