"""The pure parts: property paths, differences, orders, and the text of a state."""

import json
from pathlib import Path

import pytest

from sandbox.engine.errors import EngineError
from sandbox.engine.lifecycle import Diff, PropertyDiff
from sandbox.engine.lock import stack_lock
from sandbox.engine.properties import diff_inputs, keep_secrets, parse_path, reset_ignored, write_path
from sandbox.engine.resource import ResourceState
from sandbox.engine.state import PendingOperation, Snapshot, StateFile
from sandbox.engine.steps import deletion_waves, with_replace_on_changes
from sandbox.values import Secret


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("tags.Name", ["tags", "Name"]),
        ("rules[0].port", ["rules", 0, "port"]),
        ('labels["a.b/c"]', ["labels", "a.b/c"]),
        ('["a\\"b"].x', ['a"b', "x"]),
        ("list[*].name", ["list", "*", "name"]),
    ],
)
def test_property_paths_are_read_as_pulumi_writes_them(text: str, keys: list[str | int]) -> None:
    assert parse_path(text) == keys
    if "*" not in keys:
        assert parse_path(write_path(keys)) == keys


def test_a_broken_path_is_refused() -> None:
    with pytest.raises(ValueError, match="not a property path"):
        parse_path("a[")


def test_ignored_paths_take_the_old_value_added_and_removed_ones_too() -> None:
    old = {"a": 1, "list": [{"x": 1, "y": 1}, {"x": 2, "y": 2}], "gone": "g", "secret": Secret({"k": 1, "l": 1})}
    new = {"a": 2, "list": [{"x": 8, "y": 8}, {"x": 9, "y": 9}], "added": "n", "secret": Secret({"k": 2, "l": 2})}
    result = reset_ignored(new, old, ["a", "list[*].x", "added", "gone", "secret.k", "no.such"])
    assert result == {
        "a": 1,
        "list": [{"x": 1, "y": 8}, {"x": 2, "y": 9}],
        "gone": "g",
        "secret": Secret({"k": 1, "l": 2}),
    }
    assert new["a"] == 2, "the program's inputs stay as they were"


def test_differences_go_down_to_the_leaves() -> None:
    found = diff_inputs({"a": {"b": [1, 2]}, "c": 1, "t": True}, {"a": {"b": [1, 3, 4]}, "d": 1, "t": 1})
    kinds = {path: diff.kind for path, diff in found.items()}
    assert kinds == {"a.b[1]": "update", "a.b[2]": "add", "c": "delete", "d": "add", "t": "update"}


def test_what_was_secret_stays_secret() -> None:
    like = {"a": Secret("x"), "b": {"c": Secret("y")}, "list": [Secret("z")]}
    assert keep_secrets({"a": "x", "b": {"c": "y", "d": 1}, "list": ["z"], "e": 2}, like) == {
        "a": Secret("x"),
        "b": {"c": Secret("y"), "d": 1},
        "list": [Secret("z")],
        "e": 2,
    }
    assert keep_secrets({"list": ["z", "new"]}, like) == {"list": Secret(["z", "new"])}, (
        "better too much than too little"
    )


def test_replace_on_changes_applies_at_and_under_a_path() -> None:
    diff = Diff(
        changed=True, changed_keys=("a", "b"), detailed={"a.x[0]": PropertyDiff("update"), "b": PropertyDiff("add")}
    )
    assert with_replace_on_changes(diff, ["a.y"]) is diff
    forced = with_replace_on_changes(diff, ["a.*[0]"])
    assert forced.replace_keys == ("a",)
    assert forced.detailed is not None
    assert forced.detailed["a.x[0]"].kind == "update-replace"


def test_deletions_come_in_waves_dependents_first() -> None:
    base, parent = _state("base"), _state("parent")
    child = _state("child", parent=parent.urn)
    user = _state("user", dependencies=(base.urn, child.urn))
    old_user = _state("user", dependencies=(base.urn,), delete=True)
    waves = deletion_waves([base, parent, child, user, old_user])
    assert [{state.urn for state in wave} for wave in waves] == [{user.urn}, {base.urn, child.urn}, {parent.urn}]


def test_the_state_is_a_pulumi_deployment_and_comes_back_as_it_was(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "stack.json", "p")
    state = _state("a", inputs={"b": Secret([1, "x"]), "a": None}, custom_timeouts={"create": 60}, protect=True)
    file.save([state], [PendingOperation("creating", _state("b"))])
    data = json.loads(file.path.read_text())
    assert data["version"] == 3
    assert set(data["deployment"]) == {"manifest", "secrets_providers", "resources", "pending_operations", "metadata"}
    assert data["deployment"]["manifest"]["magic"] == "7dff0d166258e7f1d265e8e044021ea087795d58a0c6415ab6fe8b7c790e447f"
    (loaded,), (pending,) = StateFile(tmp_path / "stack.json", "p").load()
    assert (loaded.inputs, loaded.custom_timeouts, loaded.protect) == (state.inputs, {"create": 60}, True)
    assert (pending.kind, pending.resource.urn) == ("creating", _state("b").urn)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "cannot be read"),
        ('{"version": 5, "deployment": {}}', "version 5"),
        ('{"version": 4, "features": ["hooks", "views"], "deployment": {}}', "it uses views"),
        ('{"version": 3, "deployment": {"secrets_providers": {"type": "service"}}}', "'service'"),
        (
            '{"version": 3, "deployment": {"resources": [{"urn": "u", "type": "t", "custom": true, "taint": true}]}}',
            "taint",
        ),
    ],
)
def test_a_state_that_cannot_be_understood_is_refused_whole(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(EngineError, match=named):
        StateFile(tmp_path / "stack.json", "p").load()


def test_a_save_that_dies_halfway_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(tmp_path / "stack.json", "p")
    file.save([_state("a")], [])
    before = file.path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        file.save([_state("a"), _state("b")], [])
    assert file.path.read_text() == before


def test_resources_stand_after_what_they_depend_on() -> None:
    old = [_state("a"), _state("b"), _state("c")]
    snapshot = Snapshot(None, old)
    snapshot.put(_state("c"), instead_of=old[2])
    snapshot.put(_state("new"))
    assert [state.urn[-3:] for state in snapshot.resources()] == ["::c", "new", "::a", "::b"]
    assert snapshot.unmentioned() == old[:2]


def test_the_lock_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "stack.lock"
    notices: list[str] = []
    with (
        stack_lock(path, notice=notices.append),
        pytest.raises(EngineError, match=r"in use: .+ \(process \d+, since .+\)"),
        stack_lock(path, notice=notices.append),
    ):
        pass
    with stack_lock(path, notice=notices.append):
        assert notices == []


def _state(name: str, **values: object) -> ResourceState:
    urn = f"urn:pulumi:sandbox::demo::fake:index:Thing::{name}"
    return ResourceState(urn=urn, type="fake:index:Thing", custom=True, **values)  # type: ignore[arg-type]
