"""What an update does to resources, and in which order."""

from tests.sandbox.engine.bench import Bench, errors, operations

CHAIN = """
    group = Group("group")
    first = Thing("first", Options(parent=group), size=1)
    second = Thing("second", Options(parent=group), of=first.arn)
    third = Thing("third", Options(depends_on=[second]))
    pulumi.export("arn", second.arn)
"""


def test_a_first_update_creates_everything_in_the_order_of_dependencies(bench: Bench) -> None:
    report = bench.deploy(CHAIN)
    assert report.journal.counts() == {"create": 5}, "stack, component and three things are new"
    assert report.outputs == {"arn": "arn:second-id2"}
    assert list(bench.provider.objects) == ["first-id1", "second-id2", "third-id3"]
    saved = bench.resources()
    assert saved["second"].urn == "urn:pulumi:sandbox::demo::demo:index:Group$fake:index:Thing::second"
    assert saved["second"].inputs["of"] == "arn:first-id1"
    assert saved["second"].property_dependencies["of"] == (saved["first"].urn,)
    assert saved["third"].dependencies == (saved["second"].urn,)


def test_a_second_update_finds_nothing_to_do_and_calls_nothing_that_changes_the_cloud(bench: Bench) -> None:
    bench.deploy(CHAIN)
    before = bench.stack().file.load()[0]
    report = bench.update()
    assert report.ok
    assert report.unchanged, "the command line must be able to tell that nothing happened"
    assert report.journal.counts() == {"same": 5}
    assert not bench.provider.called("create") + bench.provider.called("update") + bench.provider.called("delete")
    assert bench.stack().file.same(before, bench.stack().file.load()[0]), "an idle update must not churn the state"


def test_a_changed_input_updates_in_place_and_keeps_generated_names(bench: Bench) -> None:
    bench.deploy(CHAIN)
    name = bench.resources()["first"].outputs["name"]
    bench.program(CHAIN.replace("size=1", "size=2"))
    report = bench.update()
    assert operations(report) == {"first": "update"}
    assert bench.provider.objects["first-id1"]["size"] == 2
    assert bench.resources()["first"].outputs["name"] == name


def test_a_replacement_is_created_before_the_old_one_goes_and_dependents_move_over(bench: Bench) -> None:
    bench.deploy(CHAIN)
    bench.program(CHAIN.replace("size=1", 'size=1, name="other"'))
    report = bench.update()
    assert operations(report) == {"first": "replace", "second": "update"}
    changing = [call for call in bench.provider.calls if call[0] in ("create", "update", "delete")]
    assert changing == [("create", "first"), ("update", "second"), ("delete", "first")], "no downtime: new, move, old"
    assert "first-id1" not in bench.provider.objects


def test_delete_before_create_takes_dependents_down_that_it_would_replace(bench: Bench) -> None:
    program = """
        base = Thing("base", place="here")
        fixed = Thing("fixed", force=base.arn)
        loose = Thing("loose", of=base.arn)
    """
    bench.deploy(program)
    bench.program(program.replace("here", "there"))
    report = bench.update()
    assert operations(report) == {"base": "replace", "fixed": "replace", "loose": "update"}
    changing = [call for call in bench.provider.calls if call[0] in ("create", "update", "delete")]
    assert changing[:3] == [("delete", "fixed"), ("delete", "base"), ("create", "base")]
    assert sorted(changing[3:]) == [("create", "fixed"), ("update", "loose")]


def test_the_program_chooses_the_order_of_a_replacement_over_the_provider(bench: Bench) -> None:
    program = """
        Thing("a", Options(delete_before_replace=True), name="one")
        Thing("b", Options(delete_before_replace=False), place="here")
    """
    bench.deploy(program)
    bench.program(program.replace("one", "two").replace("here", "there"))
    assert bench.update().ok
    changing = [call for call in bench.provider.calls if call[0] in ("create", "delete")]
    assert changing.index(("delete", "a")) < changing.index(("create", "a"))
    assert changing.index(("create", "b")) < changing.index(("delete", "b"))


def test_replace_on_changes_makes_an_update_a_replacement(bench: Bench) -> None:
    program = 'Thing("a", Options(replace_on_changes=["size"]), size=1, color="red")'
    bench.deploy(program)
    bench.program(program.replace("red", "blue"))
    assert operations(bench.preview()) == {"a": "update"}
    bench.program(program.replace("size=1", "size=2"))
    assert operations(bench.preview()) == {"a": "replace"}


def test_what_the_program_drops_is_deleted_after_it_ran_dependents_first(bench: Bench) -> None:
    bench.deploy(CHAIN)
    report = bench.deploy('Thing("new")')
    assert operations(report) == {
        "new": "create",
        "third": "delete",
        "second": "delete",
        "first": "delete",
        "group": "delete",
    }
    names = [step.urn.rpartition("::")[2] for step in report.journal.steps if str(step.operation) != "same"]
    assert names.index("new") < names.index("third") < names.index("second") < names.index("first")
    assert list(bench.provider.objects) == ["new-id4"]


def test_destroy_leaves_neither_objects_nor_state(bench: Bench) -> None:
    bench.deploy(CHAIN)
    report = bench.destroy()
    assert report.ok
    assert bench.provider.called("delete") == ["third", "second", "first"]
    assert not bench.provider.objects
    assert not bench.resources()


def test_retain_on_delete_forgets_the_resource_and_leaves_the_object(bench: Bench) -> None:
    bench.deploy('Thing("a", Options(retain_on_delete=True))')
    bench.deploy("")
    assert "a-id1" in bench.provider.objects
    assert "a" not in bench.resources()


def test_protect_refuses_deletion_and_replacement_until_it_is_taken_off(bench: Bench) -> None:
    bench.deploy('Thing("a", Options(protect=True), name="one")')
    for program in ("", 'Thing("a", Options(protect=True), name="two")'):
        bench.program(program)
        for report in (bench.preview(), bench.update()):
            assert not report.ok
            assert "fake:index:Thing 'a'" in errors(report)[0]
            assert "protect" in errors(report)[0]
    assert list(bench.provider.objects) == ["a-id1"], "a protected object must survive"
    assert not bench.destroy().ok
    bench.deploy('Thing("a", name="one")')
    assert bench.destroy().ok


def test_ignored_changes_do_not_reach_the_provider(bench: Bench) -> None:
    program = 'Thing("a", Options(ignore_changes=["size", "labels.team"]), size=1, labels={"team": "x", "note": "y"})'
    bench.deploy(program)
    bench.deploy(program.replace("size=1", "size=2").replace('"x"', '"X"').replace('"y"', '"Y"'))
    assert bench.provider.objects["a-id1"]["size"] == 1
    assert bench.provider.objects["a-id1"]["labels"] == {"team": "x", "note": "Y"}, "only the ignored path is kept"


def test_an_alias_renames_without_touching_the_object(bench: Bench) -> None:
    bench.deploy('Thing("child", Options(parent=Group("old")), size=1)')
    report = bench.deploy(
        'Thing("child", Options(parent=Group("new", Options(aliases=[pulumi.Alias(name="old")]))), size=1)'
    )
    assert operations(report) == {}
    bench.deploy('Thing("renamed", Options(aliases=[pulumi.Alias(name="child", parent=Group("new"))]), size=1)')
    assert list(bench.provider.objects) == ["child-id1"]
    assert "child" not in bench.resources()


def test_a_resource_of_somebody_else_is_read_and_never_deleted(bench: Bench) -> None:
    bench.provider.objects["theirs"] = {"arn": "arn:theirs", "size": 3}
    program = """
        found = Thing("found", Options(id="theirs"))
        pulumi.export("arn", found.arn)
    """
    assert bench.deploy(program).outputs == {"arn": "arn:theirs"}
    assert bench.destroy().ok
    assert "theirs" in bench.provider.objects


def test_two_resources_of_one_name_are_refused(bench: Bench) -> None:
    bench.program('Thing("a")\nThing("a")')
    report = bench.preview()
    assert not report.ok
    assert "registers this name twice" in errors(report)[0]


def test_steps_that_do_not_depend_on_each_other_run_together_up_to_eight(bench: Bench) -> None:
    bench.provider.seconds = {("create", f"t{number}"): 0.2 for number in range(12)}
    bench.deploy("[Thing(f't{number}') for number in range(12)]")
    assert 2 <= bench.provider.busiest <= 8
