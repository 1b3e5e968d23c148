"""Resource hooks: what the program does before one of its resources is deleted."""

import signal
import threading

from tests.sandbox.engine.bench import Bench, errors, operations

HOOK = """
    import os, pathlib, time
    def note(args):
        with open("noted", "a") as file:
            file.write(f"{args.name} {args.id} {args.old_inputs['label']} {args.old_outputs['arn']}\\n")
        if pathlib.Path("refuse").exists():
            raise RuntimeError("it is still in use")
        while pathlib.Path("dawdle").exists():
            time.sleep(0.05)
    hook = pulumi.ResourceHook("note", note)
    let_go = Options(hooks=pulumi.ResourceHookBinding(before_delete=[hook]))
"""
ONE = HOOK + '    Thing("a", let_go, label="x")\n'


def noted(bench: Bench) -> list[str]:
    file = bench.root / "noted"
    return file.read_text().splitlines() if file.exists() else []


def note_calls(bench: Bench) -> None:
    """Have the provider's calls noted, among what the hooks note."""

    def note(method: str, name: str) -> None:
        with bench.root.joinpath("noted").open("a") as file:
            file.write(f"{method} {name}\n")

    bench.provider.on_call = note


def test_a_hook_runs_before_what_the_program_dropped_is_deleted(bench: Bench) -> None:
    bench.deploy(ONE)
    assert bench.resources()["a"].resource_hooks == {"BeforeDelete": ("note",)}
    note_calls(bench)
    bench.deploy(HOOK)
    assert noted(bench) == ["a a-id1 x arn:a-id1", "delete a"]


def test_a_hook_runs_before_a_replaced_resource_is_deleted_and_after_the_new_one_is_there(bench: Bench) -> None:
    bench.deploy(ONE)
    note_calls(bench)
    bench.deploy(HOOK + '    Thing("a", let_go, label="x", force="x")\n')
    assert [line for line in noted(bench) if not line.startswith(("check", "diff"))] == [
        "create a",
        "a a-id1 x arn:a-id1",
        "delete a",
    ]


def test_neither_previews_nor_unchanged_resources_run_hooks(bench: Bench) -> None:
    bench.deploy(ONE)
    assert bench.update().unchanged
    bench.program(HOOK)
    assert operations(bench.preview()) == {"a": "delete", "default_1_2_3": "delete"}
    assert noted(bench) == []


def test_what_a_hook_refuses_stays_and_is_deleted_by_a_later_update(bench: Bench) -> None:
    bench.deploy(ONE)
    (bench.root / "refuse").touch()
    bench.program(HOOK)
    report = bench.update()
    assert not report.ok
    assert any("it is still in use" in text for text in errors(report)), "the hook's reason reaches the user"
    assert list(bench.provider.objects) == ["a-id1"]
    (bench.root / "refuse").unlink()
    assert bench.update().ok
    assert not bench.provider.objects


def test_destroying_runs_the_program_for_its_hooks_and_changes_nothing_else(bench: Bench) -> None:
    bench.deploy(ONE + '    Thing("b", Options(depends_on=[Group("group")]))\n')
    bench.program(ONE + '    Thing("b", size=2)\n    Thing("new")\n')
    report = bench.destroy()
    assert report.ok, errors(report)
    assert [line.split()[0] for line in noted(bench)] == ["a"]
    assert not bench.provider.objects
    assert not bench.provider.called("create")
    assert not bench.provider.called("update")
    assert not bench.resources()


def test_a_hook_that_the_program_lost_keeps_its_resource(bench: Bench) -> None:
    bench.deploy(ONE)
    bench.program("")
    assert any('hook "note" was not registered' in text for text in errors(bench.update()))
    assert list(bench.provider.objects) == ["a-id1"]


def test_an_interrupt_ends_the_wait_of_a_hook_and_keeps_its_resource(bench: Bench) -> None:
    bench.deploy(ONE)
    (bench.root / "dawdle").touch()
    bench.program(HOOK)
    process = bench.start_update()
    for _ in range(600):
        if noted(bench):
            break
        threading.Event().wait(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode != 0, output
    assert list(bench.provider.objects) == ["a-id1"]
    assert "a" in bench.resources()
    (bench.root / "dawdle").unlink()
    assert bench.update().ok
    assert not bench.provider.objects
