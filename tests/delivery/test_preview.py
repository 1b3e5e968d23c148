"""Tests of reading `pulumi preview --json`, mostly with output of the real CLI."""

import json

import pytest

from delivery.preview import Operation, PreviewError, parse
from delivery.widget import widget
from tests.delivery.previews import SECRET, UNKNOWN, preview, real, step

REPOSITORY = "aws:ecr/repository:Repository"


@pytest.mark.parametrize("name", ["changed", "drift", "empty", "first", "minimal"])
def test_the_widget_counts_what_pulumi_counts(name: str) -> None:
    said = json.loads(real(name))["changeSummary"]
    replaced = said.get("replace", 0)
    assert widget(parse(real(name))) == {
        "create": said.get("create", 0) + replaced,
        "update": said.get("update", 0),
        "delete": said.get("delete", 0) + replaced,
    }, "the merge request's widget contradicts Pulumi's own summary"


def test_a_preview_without_changes_has_none() -> None:
    found = parse(real("empty"))
    assert (found.changes, found.failures) == ((), ())


def test_a_refresh_within_a_preview_counts_each_resource_once() -> None:
    operations = {change.name: change.operation for change in parse(real("drift")).changes}
    assert operations == {"platform/images/web": Operation.CREATE, "arm64": Operation.UPDATE}


def test_what_differs_is_told_with_old_and_new_values() -> None:
    [group] = [change for change in parse(real("changed")).changes if change.type.endswith(":NodeGroup")]
    told = {found.path: (found.before, found.after, found.replaces) for found in group.properties}
    assert told == {
        "instanceTypes[0]": ("m7g.4xlarge", "m8g.4xlarge", True),
        "scalingConfig.maxSize": ("10", "20", False),
    }


def test_a_provider_that_names_only_properties_is_understood() -> None:
    [replaced] = [change for change in parse(real("minimal")).changes if change.operation is Operation.REPLACE]
    [found] = replaced.properties
    assert (found.path, found.before, found.after, found.replaces) == ("name", "replaced-1", "replaced-2", True)


def test_a_provider_that_names_nothing_is_understood() -> None:
    [change] = preview(step("update", REPOSITORY, old={"a": 1, "b": 2}, new={"a": 1, "b": 3})).changes
    assert [(found.path, found.before, found.after) for found in change.properties] == [("b", "2", "3")]


@pytest.mark.parametrize(
    ("path", "old", "new", "before", "after"),
    [
        ("tags.owner", {"tags": {"owner": "a"}}, {"tags": {"owner": "b"}}, "a", "b"),
        ('tags["a.b"]', {"tags": {}}, {"tags": {"a.b": "b"}}, "none", "b"),
        ('tags["say \\"hi\\""]', {"tags": {}}, {"tags": {'say "hi"': "b"}}, "none", "b"),
        ("list[1]", {"list": ["x"]}, {"list": ["x", True]}, "none", "true"),
        ("size", {"size": 20.0}, {"size": UNKNOWN}, "20", "known after the update"),
        ("text", {"text": "x" * 61}, {"text": "two\nlines"}, None, None),
        ("policy", {"policy": '{"a": 1}'}, {"policy": {"a": 1}}, None, None),
    ],
)
def test_only_short_scalars_are_shown(
    path: str, old: dict[str, object], new: dict[str, object], before: str | None, after: str | None
) -> None:
    [change] = preview(step("update", REPOSITORY, old=old, new=new, details={path: "update"})).changes
    [found] = change.properties
    assert (found.path, found.before, found.after) == (path, before, after)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("kubernetes:core/v1:Secret", 'stringData["runner-token"]', "hidden-value"),
        ("gitlab:index/projectVariable:ProjectVariable", "value", "hidden-value"),
        ("aws:rds/instance:Instance", "masterPassword", "hidden-value"),
        ("aws:rds/instance:Instance", "auth.apiKey", "hidden-value"),
        ("pulumi:providers:kubernetes", "kubeconfig", "hidden-value"),
        (REPOSITORY, "tags.note", "glpat-hidden-valuehidden"),
        (REPOSITORY, "tags.url", "https://me:hidden-value@example.com/"),
    ],
)
def test_what_is_probably_a_credential_is_never_shown(kind: str, path: str, value: str) -> None:
    head, _, tail = path.partition(".")
    inputs = (
        {head: {tail: value}} if tail else {head.partition("[")[0]: {"runner-token": value} if "[" in head else value}
    )
    [change] = preview(step("update", kind, old={}, new=inputs, details={path: "add"})).changes
    [found] = change.properties
    assert found.after is None, "a credential that nobody marked as secret reaches the note"


def test_a_setting_that_only_sounds_like_a_credential_is_shown() -> None:
    """A reviewer must see that IMDSv2 becomes optional again."""
    inputs = [{"metadataOptions": {"httpTokens": value}} for value in ("required", "optional")]
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    [change] = preview(step("update", template, "t", *inputs, details={"metadataOptions.httpTokens": "update"})).changes
    assert [(found.before, found.after) for found in change.properties] == [("required", "optional")]


def test_a_blinded_value_is_told_as_secret() -> None:
    [change] = preview(
        step("update", REPOSITORY, old={"a": SECRET}, new={"a": SECRET}, details={"a.b[0]": "update"})
    ).changes
    [found] = change.properties
    assert (found.secret, found.before, found.after) == (True, None, None)


def test_a_failed_program_is_told_by_its_exception_alone() -> None:
    [failure] = parse(real("failed-program")).failures
    assert failure.startswith("ValueError: stacks/Pulumi.dev.yaml has 1 mistake")
    assert failure.endswith("Did you mean max-size?"), "the reviewer is not told how to fix it"
    assert "Traceback" not in failure


def test_a_credential_in_an_error_is_kept_back() -> None:
    said = {"severity": "error", "message": "401 for https://me:hunter2@example.com with glpat-abcdefghijklmnopqrst"}
    [failure] = parse(json.dumps({"diagnostics": [said]})).failures
    assert failure == "401 for https://[secret]@example.com with [secret]"


def test_a_failed_provider_is_told_with_the_resource() -> None:
    failures = parse(real("failed-provider")).failures
    assert [failure.partition(": ")[0] for failure in failures] == ["arm64 (kubernetes:helm.sh/v3:Release)"]


def test_a_cli_that_never_came_to_a_preview_has_failed() -> None:
    """Without a project, a login or a stack, the CLI writes its error to standard error, and nothing to its output."""
    assert parse("\n").failures


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"steps": [{}]}', '{"steps": [{"op": "create", "urn": "x"}]}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(PreviewError, match="pulumi preview --json"):
        parse(text)


def test_an_operation_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(PreviewError, match="'transmute' on urn:pulumi:dev"):
        preview(step("transmute", REPOSITORY))
