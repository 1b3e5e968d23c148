"""Resources that exist, but are not as they should be: nothing that was made is lost, and the next update mends it."""

from tests.sandbox.engine.bench import Bench, errors, operations, warnings


def test_a_resource_made_halfway_is_kept_and_the_update_fails_with_the_reason(bench: Bench) -> None:
    bench.program('half = Thing("half", secret=pulumi.Output.secret("hunter2"))\nThing("after", of=half.arn)')
    bench.provider.halfway["create", "half"] = "it never answered"
    report = bench.update()
    assert not report.ok
    assert errors(report) == ["fake:index:Thing 'half': it never answered"]
    assert "1 more" in warnings(report)[0], "nothing is built on what is not whole"
    half = bench.resources()["half"]
    assert (half.id, half.outputs["arn"]) == ("half-id1", "arn:half-id1"), "the id is lost: nobody would delete it"
    assert half.init_errors == ("it never answered",)
    assert "pending_operations" not in bench.state_text(), "how the step ended is known"
    assert "hunter2" not in bench.state_text()


def test_the_next_update_completes_it_in_place(bench: Bench) -> None:
    bench.program('half = Thing("half")\nThing("after", of=half.arn)')
    bench.provider.halfway["create", "half"] = "it never answered"
    bench.update()
    preview = bench.preview()
    assert operations(preview) == {"half": "update", "after": "create"}, "the program is the same, the resource is not"
    assert not preview.unchanged

    bench.provider.halfway["update", "half"] = "still not"
    report = bench.update()
    assert errors(report) == ["fake:index:Thing 'half': still not"]
    assert bench.resources()["half"].init_errors == ("still not",)

    bench.provider.halfway.clear()
    assert operations(bench.update()) == {"half": "update", "after": "create"}
    assert bench.resources()["half"].init_errors == ()
    assert set(bench.provider.objects) == {"half-id1", "after-id2"}, "the first one is still the one"
    assert operations(bench.update()) == {}


def test_replace_on_changes_may_ask_for_another_one_instead(bench: Bench) -> None:
    bench.program('Thing("half", Options(replace_on_changes=["#initerror"]))')
    bench.provider.halfway["create", "half"] = "it never answered"
    bench.update()
    bench.provider.halfway.clear()
    assert operations(bench.update()) == {"half": "replace"}
    assert set(bench.provider.objects) == {"half-id2"}


def test_a_replacement_made_halfway_keeps_both_until_it_is_whole(bench: Bench) -> None:
    bench.deploy('Thing("half", name="one")')
    bench.program('Thing("half", name="two")')
    bench.provider.halfway["create", "half"] = "it never answered"
    assert not bench.update().ok
    assert set(bench.provider.objects) == {"half-id1", "half-id2"}

    bench.provider.halfway.clear()
    assert bench.update().ok
    assert set(bench.provider.objects) == {"half-id2"}


def test_a_refresh_tells_what_has_become_incomplete_and_what_has_recovered(bench: Bench) -> None:
    bench.deploy('Thing("half")')
    bench.provider.halfway["read", "half"] = "it answers no more"
    preview = bench.preview(refresh=True)
    assert preview.ok, "a sick resource does not stop an operation that may heal it"
    assert warnings(preview) == ["fake:index:Thing 'half' is not as it should be: it answers no more"]
    assert operations(preview) == {"half": "update"}

    bench.provider.halfway = {("update", "half"): "still not"}
    bench.program('Thing("half", size=2)')
    bench.update()
    bench.provider.halfway.clear()
    report = bench.update(refresh=True)
    assert operations(report) == {}, "it is whole by itself"
    assert bench.resources()["half"].init_errors == ()
    assert not bench.update().journal.changes


def test_what_is_incomplete_can_be_destroyed(bench: Bench) -> None:
    bench.program('Thing("half")')
    bench.provider.halfway["create", "half"] = "it never answered"
    bench.update()
    assert bench.destroy().ok
    assert bench.provider.objects == {}
    assert bench.resources() == {}
