"""Failures and interruptions: nothing that was made is lost, and the next update goes on."""

import signal
import subprocess
import time

from tests.sandbox.engine.bench import Bench, errors, operations, warnings

TWO_BRANCHES = """
    bad = Thing("bad")
    after = Thing("after", of=bad.arn)
    good = Thing("good")
    fine = Thing("fine", of=good.arn)
"""


def test_a_provider_error_names_the_resource_and_the_cause_and_the_rest_goes_on(bench: Bench) -> None:
    bench.program(TWO_BRANCHES)
    bench.provider.failing["create", "bad"] = "AccessDenied: not you"
    report = bench.update()
    assert not report.ok
    assert errors(report) == ["fake:index:Thing 'bad': AccessDenied: not you"], "one clear message, no traceback"
    assert "1 more" in warnings(report)[0], "what was skipped is said too"
    assert {"good", "fine"} < set(bench.resources()), "what was made is kept"
    assert "bad" not in bench.resources()

    bench.provider.failing.clear()
    assert operations(bench.update()) == {"bad": "create", "after": "create"}, "the next update resumes"


def test_nothing_is_deleted_by_an_update_that_failed(bench: Bench) -> None:
    bench.deploy('Thing("old")')
    bench.program('Thing("bad")')
    bench.provider.failing["create", "bad"] = "no"
    assert not bench.update().ok
    assert "old-id1" in bench.provider.objects


def test_a_failed_deletion_keeps_what_the_resource_depends_on(bench: Bench) -> None:
    bench.deploy(TWO_BRANCHES)
    bench.provider.failing["delete", "after"] = "in use"
    report = bench.destroy()
    assert errors(report) == ["fake:index:Thing 'after': in use"]
    assert {"bad", "after"} < set(bench.resources())
    assert "bad" not in bench.provider.called("delete")
    assert "good" not in bench.resources(), "the independent branch goes"
    bench.provider.failing.clear()
    assert bench.destroy().ok
    assert not bench.provider.objects


def test_an_update_that_fails_after_a_replacement_deletes_the_old_one_next_time(bench: Bench) -> None:
    bench.deploy('a = Thing("a", name="one")\nb = Thing("b", of=a.arn)')
    bench.program('a = Thing("a", name="two")\nb = Thing("b", of=a.arn)')
    bench.provider.failing["update", "b"] = "no"
    assert not bench.update().ok
    assert set(bench.provider.objects) == {"a-id1", "b-id2", "a-id3"}
    bench.provider.failing.clear()
    assert operations(bench.update()) == {"b": "update", "a": "delete"}
    assert set(bench.provider.objects) == {"b-id2", "a-id3"}


def test_wrong_inputs_are_refused_with_the_property_and_the_reason(bench: Bench) -> None:
    bench.program('Thing("a", size="wrong")')
    assert errors(bench.preview()) == ["fake:index:Thing 'a': size: must be a number"]


def test_a_run_error_shows_its_message_once_and_nothing_else(bench: Bench) -> None:
    bench.program('raise pulumi.RunError("buildyard:cluster is missing; name an EKS cluster")')
    report = bench.preview()
    assert not report.ok
    assert errors(report) == ["buildyard:cluster is missing; name an EKS cluster"]


def test_an_exception_shows_the_programs_own_frames_only(bench: Bench) -> None:
    bench.program("def broken():\n    raise KeyError('lost')\nbroken()")
    (message,) = errors(bench.update())
    assert "__main__.py" in message
    assert "KeyError: 'lost'" in message
    assert "language_host" not in message
    assert "runpy" not in message


def test_a_program_that_just_exits_is_a_failure(bench: Bench) -> None:
    bench.program("import sys\nprint('bye')\nsys.exit(7)")
    report = bench.update()
    assert not report.ok
    assert "exit code 7" in errors(report)[0]


def test_a_failing_function_call_names_the_function_and_the_cause(bench: Bench) -> None:
    bench.program('pulumi.runtime.invoke("fake:index:find", {}, pulumi.InvokeOptions(version="1.2.3"))')
    bench.provider.failing["invoke", "fake:index:find"] = "no such cluster"
    (message,) = errors(bench.preview())
    assert "fake:index:find: no such cluster" in message


def test_a_provider_that_does_not_answer_is_named_with_what_to_do(bench: Bench) -> None:
    bench.program('Thing("a")')
    bench.port = 1
    (message,) = errors(bench.preview())
    assert "the sandbox's fake provider at 127.0.0.1:1 does not answer" in message
    assert "python -m sandbox status" in message


def test_a_kill_during_a_create_is_told_and_survived(bench: Bench) -> None:
    bench.program('first = Thing("first")\nslow = Thing("slow", of=first.arn)')
    bench.provider.seconds["create", "slow"] = 30
    process = bench.start_update()
    _wait_for_call(bench, "create", "slow", process)
    process.kill()
    process.communicate()
    assert "first" in bench.resources(), "the state was saved step by step"
    assert '"pending_operations"' in bench.state_text()

    bench.provider.seconds.clear()
    report = bench.update()
    assert report.ok
    assert "died while creating fake:index:Thing 'slow'" in warnings(report)[0]
    assert operations(report) == {"slow": "create"}
    assert '"pending_operations"' not in bench.state_text(), "told once, not for ever"


def test_a_stale_lock_of_a_killed_update_is_broken_with_a_notice(bench: Bench) -> None:
    bench.program('Thing("slow")')
    bench.provider.seconds["create", "slow"] = 30
    process = bench.start_update()
    _wait_for_call(bench, "create", "slow", process)
    process.kill()
    process.communicate()
    bench.provider.seconds.clear()
    second = bench.start_update()
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert "Breaking a stale lock" in output
    assert str(process.pid) in output


def test_ctrl_c_finishes_the_running_step_saves_it_and_begins_nothing_more(bench: Bench) -> None:
    bench.program('slow = Thing("slow")\nThing("after", of=slow.arn)')
    bench.provider.seconds["create", "slow"] = 2
    process = bench.start_update()
    _wait_for_call(bench, "create", "slow", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in output
    assert "slow" in bench.resources(), "the step that ran is not lost"
    assert "pending_operations" not in bench.state_text()
    assert "after" not in bench.provider.called("create")

    bench.provider.seconds.clear()
    report = bench.update()
    assert report.ok
    assert operations(report) == {"after": "create"}


def test_a_second_update_is_refused_and_told_who_holds_the_stack(bench: Bench) -> None:
    bench.program('Thing("slow")')
    bench.provider.seconds["create", "slow"] = 5
    first = bench.start_update()
    _wait_for_call(bench, "create", "slow", first)
    second = bench.start_update()
    output, _ = second.communicate(timeout=60)
    assert second.returncode != 0
    assert f"process {first.pid}" in output
    assert "tests.sandbox.engine.updating" in output or "updating.py" in output, "the holder's command is named"
    assert first.wait(60) == 0, "the first one is not disturbed"


def test_an_update_goes_on_when_nobody_reads_its_output_any_more(bench: Bench) -> None:
    bench.program('first = Thing("first")\nThing("second", of=first.arn)')
    process = bench.start_update()
    assert process.stdout is not None
    process.stdout.close()  # as in `python -m sandbox up | head -1`
    assert process.wait(60) == 0
    assert {"first", "second"} < set(bench.resources())


def _wait_for_call(bench: Bench, method: str, name: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while (method, name) not in bench.provider.calls:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"the update never came to {method} {name}"
        time.sleep(0.02)
