"""Previews: honest, harmless, and of the form that `pulumi preview --json` has."""

import json

from sandbox.engine.preview_json import preview_digest
from sandbox.values import UNKNOWN, UNKNOWN_SENTINEL
from tests.sandbox.engine.bench import Bench, errors, operations

PROGRAM = """
    config = pulumi.Config()
    first = Thing("first", size=1, secret=config.get_secret("token") or pulumi.Output.secret("hunter2"))
    second = Thing("second", of=first.arn, both=pulumi.Output.concat("x-", first.arn), name="fixed")
    pulumi.export("arn", second.arn)
    pulumi.export("secret", first.secret)
"""


def test_a_preview_changes_neither_cloud_nor_state(bench: Bench) -> None:
    bench.deploy(PROGRAM)
    before = bench.state_text()
    bench.program('Thing("first", name="replaced")\nThing("third")')
    report = bench.preview()
    assert operations(report) == {"first": "replace", "third": "create", "second": "delete"}
    assert {method for method, _ in bench.provider.calls} == {"check", "diff"}
    assert bench.state_text() == before


def test_what_only_the_cloud_knows_is_unknown(bench: Bench) -> None:
    bench.program(PROGRAM)
    report = bench.preview()
    assert report.ok
    second = next(step.new for step in report.journal.steps if step.urn.endswith("second"))
    assert second is not None
    assert second.inputs == {"name": "fixed", "of": UNKNOWN, "both": UNKNOWN}
    assert report.outputs["arn"] is UNKNOWN


def test_the_json_has_the_form_of_pulumis(bench: Bench) -> None:
    bench.configure(
        """
        config:
          fake:region: here
          demo:list: [1, two]
        """
    )
    bench.deploy(PROGRAM)
    bench.program(PROGRAM.replace("size=1", "size=2").replace('"fixed"', '"changed"'))
    report = bench.preview()
    digest = preview_digest(report.journal, bench.stack().config, report.duration)
    assert list(digest) == ["config", "steps", "duration", "changeSummary"]
    assert digest["config"] == {"demo:list": '[1,"two"]', "fake:region": "here"}
    assert isinstance(digest["duration"], int)
    assert digest["changeSummary"] == {"replace": 1, "same": 1, "update": 1}
    steps = {step["urn"].rpartition("::")[2]: step for step in digest["steps"]}
    assert set(steps) == {"demo-sandbox", "first", "second"}, "of what stays the same only the stack is listed"
    assert steps["first"]["op"] == "update"
    assert steps["first"]["diffReasons"] == ["size"]
    assert steps["first"]["detailedDiff"] == {"size": {"kind": "update", "inputDiff": True}}
    assert steps["second"]["op"] == "replace"
    assert steps["second"]["replaceReasons"] == ["name"]
    assert steps["second"]["oldState"]["delete"] is True
    assert steps["demo-sandbox"]["detailedDiff"] is None


def test_secrets_show_in_no_form_of_a_preview(bench: Bench) -> None:
    bench.program(PROGRAM)
    report = bench.preview()
    text = json.dumps(preview_digest(report.journal, bench.stack().config, report.duration))
    assert "hunter2" not in text
    assert '"secret": "[secret]"' in text
    assert UNKNOWN_SENTINEL in text


def test_errors_are_diagnostics_with_the_resource(bench: Bench) -> None:
    bench.program('Thing("a", size="wrong")')
    report = bench.preview()
    digest = preview_digest(report.journal, bench.stack().config, report.duration)
    (diagnostic,) = digest["diagnostics"]
    assert diagnostic["severity"] == "error"
    assert diagnostic["urn"].endswith("::a")
    assert diagnostic["message"].startswith("error: ")
    assert errors(report)[0] in diagnostic["message"]


def test_a_refresh_finds_drift_and_the_update_mends_it(bench: Bench) -> None:
    bench.deploy('Thing("kept", size=1)\nThing("edited", size=1)\nThing("gone", size=1)')
    edited = next(key for key in bench.provider.objects if key.startswith("edited"))
    gone = next(key for key in bench.provider.objects if key.startswith("gone"))
    bench.provider.objects[edited]["size"] = 99
    del bench.provider.objects[gone]
    assert operations(bench.preview()) == {}, "without a refresh nobody looks"
    before = bench.state_text()
    assert operations(bench.preview(refresh=True)) == {"edited": "update", "gone": "create"}
    assert bench.state_text() == before
    report = bench.update(refresh=True)
    assert operations(report) == {"edited": "update", "gone": "create"}
    assert bench.provider.objects[edited]["size"] == 1


def test_a_refresh_keeps_secrets_secret(bench: Bench) -> None:
    bench.deploy('Thing("a", secret=pulumi.Output.secret("hunter2"))')
    bench.provider.objects["a-id1"]["size"] = 5
    assert bench.update(refresh=True).ok
    assert "hunter2" not in bench.state_text()
