"""The framework over a real gRPC channel, with a provider of notes in a dictionary."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.providers.framework import (
    Autoname,
    Function,
    IncompleteError,
    Property,
    Provider,
    ResourceKind,
    serve,
)
from sandbox.values import UNKNOWN, Properties, Secret, from_struct, to_struct
from tests.sandbox.provider_client import ProviderClient, details

NOTE = "notes:index/note:Note"
Notes = dict[str, Properties]


class Note(ResourceKind[Notes]):
    type = NOTE
    inputs: ClassVar = {
        "name": Property(replaces=True, computed=True),
        "text": Property(required=True),
        "policy": Property(equal=lambda old, new: json.loads(old) == json.loads(new)),
        "author": Property(default="nobody"),
        "password": Property(),
        "shelf": Property(fields={"room": Property(required=True, replaces=True), "row": Property()}),
        "links": Property(fields={"url": Property(required=True), "title": Property(computed=True)}),
        "tags": Property(),
        "etag": Property(computed=True),
    }
    computed = frozenset({"arn", "revision"})
    secrets = frozenset({"password"})
    autoname = Autoname(property="name", limit=20)
    ids = itertools.count()

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if inputs.get("text") == "":
            yield "text", "A note without text is no note."

    def predict(self, connection: Notes, inputs: Properties) -> Properties:
        return {"tagsAll": inputs.get("tags", {})}

    def outputs_changed_by(self, changed: frozenset[str]) -> frozenset[str]:
        return frozenset({"revision"}) if "text" in changed else frozenset()

    def candidates(self, connection: Notes, inputs: Properties) -> list[str]:
        return [resource_id for resource_id, note in connection.items() if note["name"] == inputs["name"]]

    def create(self, connection: Notes, inputs: Properties) -> tuple[str, Properties]:
        if inputs["text"] == "explode":
            raise ValueError(f"no room for {inputs['password']}")
        resource_id = f"note-{next(self.ids)}"
        outputs = {**inputs, "arn": f"arn:{resource_id}", "revision": 1, "etag": inputs.get("etag", "e1")}
        connection[resource_id] = outputs
        if inputs["text"] == "half":
            raise IncompleteError("the ink ran out", resource_id, outputs)
        return resource_id, outputs

    def read(self, connection: Notes, resource_id: str, outputs: Properties) -> Properties | None:
        return connection[resource_id]

    def update(self, connection: Notes, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        connection[resource_id] = {**outputs, **inputs, "revision": outputs["revision"] + 1}
        return connection[resource_id]

    def delete(self, connection: Notes, resource_id: str, outputs: Properties) -> None:
        del connection[resource_id]


SHELVES: dict[str, Notes] = {}


def connect(configuration: Properties) -> Notes:
    return SHELVES.setdefault(configuration.get("shelf", "default"), {})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    provider = Provider(
        name="notes",
        version="1.2.3",
        connect=connect,
        kinds=[Note()],
        functions=[
            Function(
                token="notes:index/count:count",
                arguments={"kind": Property(required=True)},
                call=lambda notes, arguments: {"count": len(notes), "key": "s3cret", "kind": arguments["kind"]},
                secrets=frozenset({"key"}),
            )
        ],
        configuration={"shelf": Property(replaces=True)},
        is_missing=lambda error: isinstance(error, KeyError),
    )
    server, port = serve(provider)
    yield port
    server.stop(None)


@pytest.fixture
def client(port: int) -> Iterator[ProviderClient]:
    client = ProviderClient(port)
    yield client
    client.close()


def checked(client: ProviderClient, inputs: Properties, **options: Any) -> Properties:
    result, failures = client.check(NOTE, "memo", inputs, **options)
    assert not failures
    return result


def test_check_names_an_unknown_property_and_the_nearest_known_one(client: ProviderClient) -> None:
    _, failures = client.check(NOTE, "memo", {"text": "a", "autor": "me", "shelf": {"room": "1", "rwo": 2}})
    assert "did you mean 'author'" in failures["autor"]
    assert "did you mean 'row'" in failures["shelf.rwo"]


def test_check_refuses_plain_values_in_place_of_objects(client: ProviderClient) -> None:
    _, failures = client.check(NOTE, "memo", {"text": "a", "shelf": "top", "links": ["url"]})
    assert failures == {
        "shelf": f"'shelf' of {NOTE} must be an object with room, row.",
        "links[0]": f"'links[0]' of {NOTE} must be an object with title, url.",
    }


def test_check_names_missing_properties_also_in_lists_of_objects(client: ProviderClient) -> None:
    _, failures = client.check(NOTE, "memo", {"text": None, "links": [{"url": "a"}, {}]})
    assert set(failures) == {"text", "links[1].url"}


def test_check_takes_an_unknown_value_as_given(client: ProviderClient) -> None:
    assert checked(client, {"text": UNKNOWN, "shelf": {"room": UNKNOWN}})["text"] is UNKNOWN


def test_check_reports_a_kinds_own_rules(client: ProviderClient) -> None:
    assert client.check(NOTE, "memo", {"text": ""})[1] == {"text": "A note without text is no note."}


def test_check_fills_defaults_and_conceals_secret_inputs(client: ProviderClient) -> None:
    inputs = checked(client, {"text": "a", "password": "hunter22", "tags": {"a": Secret("b")}})
    assert inputs["author"] == "nobody"
    assert inputs["password"] == Secret("hunter22"), "a secret property would be stored in clear text"
    assert inputs["tags"] == {"a": Secret("b")}


def test_an_automatic_name_is_kept_by_updates_and_renewed_by_replacements(client: ProviderClient) -> None:
    first = checked(client, {"text": "a"})["name"]
    assert first.startswith("memo-")
    assert len(first) == len("memo-") + 7
    assert checked(client, {"text": "a"}, olds={"name": first}, seed=b"other")["name"] == first
    assert checked(client, {"text": "a"}, seed=b"other")["name"] != first
    assert checked(client, {"text": "a"}, olds={"name": "chosen"})["name"] == first, "a name given up is not kept"


def test_a_long_automatic_name_keeps_its_suffix(client: ProviderClient) -> None:
    inputs, _ = client.check(NOTE, "a-name-far-beyond-the-limit", {"text": "a"})
    assert len(inputs["name"]) == 20
    assert inputs["name"].startswith("a-name-far-b-")


def test_a_diff_names_the_deepest_properties_that_differ(client: ProviderClient) -> None:
    old = {"text": "a", "shelf": {"room": "1", "row": 1}, "tags": {"x": "1", "a.b": "2"}, "links": [{"url": "a"}]}
    new = {"text": "b", "shelf": {"room": "1", "row": 2}, "tags": {"y": "1"}, "links": [{"url": "a"}, {"url": "b"}]}
    response = client.diff(NOTE, "memo", old, new)
    assert details(response) == {
        "links[1]": "ADD",
        "shelf.row": "UPDATE",
        "tags.x": "DELETE",
        'tags["a.b"]': "DELETE",
        "tags.y": "ADD",
        "text": "UPDATE",
    }
    assert list(response.diffs) == ["links", "shelf", "tags", "text"]
    assert list(response.replaces) == []


def test_a_diff_of_a_replacing_property_replaces(client: ProviderClient) -> None:
    response = client.diff(
        NOTE, "memo", {"name": "a", "shelf": {"room": "1"}}, {"name": "b", "shelf": {"room": UNKNOWN}}
    )
    assert details(response) == {"name": "UPDATE_REPLACE", "shelf.room": "UPDATE_REPLACE"}
    assert list(response.replaces) == ["name", "shelf"]
    assert not response.deleteBeforeReplace
    assert details(client.diff(NOTE, "memo", {}, {"shelf": {"room": "1"}})) == {"shelf": "ADD_REPLACE"}


def test_a_fixed_name_must_be_free_before_its_replacement_takes_it(client: ProviderClient) -> None:
    fixed = client.diff(NOTE, "memo", {"name": "a", "shelf": {"room": "1"}}, {"name": "a", "shelf": {"room": "2"}})
    assert fixed.deleteBeforeReplace
    auto = {"name": "memo-0123abc"}
    automatic = client.diff(NOTE, "memo", {**auto, "shelf": {"room": "1"}}, {**auto, "shelf": {"room": "2"}})
    assert not automatic.deleteBeforeReplace


def test_what_means_the_same_is_no_change(client: ProviderClient) -> None:
    old = {"policy": '{"a": 1, "b": 2}', "tags": {}, "name": "given", "etag": "cloud's", "password": Secret("x")}
    new = {"policy": '{"b":2,"a":1}', "links": [], "password": "x"}
    response = client.diff(NOTE, "memo", old, new)
    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE, details(response)


def test_ignored_changes_are_no_changes(client: ProviderClient) -> None:
    old = {"text": "a", "tags": {"a.b": "1", "c": "1"}, "links": [{"url": "a"}], "shelf": {"row": 1}}
    new = {"text": "b", "tags": {"a.b": "2", "c": "2"}, "links": [{"url": "b"}], "shelf": {"row": 2}}
    response = client.diff(NOTE, "memo", old, new, ignore=["text", 'tags["a.b"]', "links[*].url", "shelf"])
    assert details(response) == {"tags.c": "UPDATE"}


def test_a_previewed_create_knows_all_but_what_the_cloud_decides(client: ProviderClient) -> None:
    resource_id, outputs = client.create(
        NOTE,
        "memo",
        {"text": "a", "name": "n", "password": Secret("x"), "tags": {"a": UNKNOWN}, "links": [{"url": "b"}]},
        preview=True,
    )
    assert resource_id == ""
    assert outputs == {
        "text": "a",
        "name": "n",
        "password": Secret("x"),
        "tags": {"a": UNKNOWN},
        "tagsAll": {"a": UNKNOWN},
        "links": [{"url": "b", "title": UNKNOWN}],
        "arn": UNKNOWN,
        "revision": UNKNOWN,
        "etag": UNKNOWN,
    }


def test_a_previewed_update_keeps_the_outputs_that_the_change_does_not_touch(client: ProviderClient) -> None:
    old_inputs = {"text": "a", "name": "n", "author": "me"}
    outputs = {**old_inputs, "arn": "arn:1", "revision": 1, "etag": "e1", "tagsAll": {}}
    predicted = client.update(
        NOTE, "memo", "1", outputs=outputs, old_inputs=old_inputs, inputs={"text": "b", "name": "n"}, preview=True
    )
    assert predicted == {
        "text": "b",
        "name": "n",
        "arn": "arn:1",
        "revision": UNKNOWN,
        "etag": "e1",
        "tagsAll": {},
    }


def test_a_resource_lives_from_create_to_delete(client: ProviderClient) -> None:
    inputs = checked(client, {"text": "a", "password": "hunter22"})
    resource_id, outputs = client.create(NOTE, "memo", inputs)
    assert outputs["arn"] == f"arn:{resource_id}"
    assert outputs["password"] == Secret("hunter22")
    changed = client.update(
        NOTE, "memo", resource_id, outputs=outputs, old_inputs=inputs, inputs={**inputs, "text": "b"}
    )
    assert (changed["text"], changed["revision"]) == ("b", 2)
    assert client.read(NOTE, "memo", resource_id, changed, {**inputs, "text": "b"}) == (
        resource_id,
        changed,
        {**inputs, "text": "b"},
    )
    client.delete(NOTE, "memo", resource_id, changed)
    assert client.read(NOTE, "memo", resource_id, changed, inputs)[0] == ""
    client.delete(NOTE, "memo", resource_id, changed)


def test_drift_turns_into_inputs_and_what_the_cloud_filled_in_does_not(client: ProviderClient) -> None:
    inputs = checked(client, {"text": "a", "tags": {"kept": "1", "lost": "1"}})
    resource_id, outputs = client.create(NOTE, "memo", inputs)
    live = SHELVES["default"][resource_id]
    live.update(text="edited", etag="e2", tags={"kept": "1", "new": "1"}, shelf={"room": "1"})
    _, _, live_inputs = client.read(NOTE, "memo", resource_id, outputs, inputs)
    assert live_inputs == {**inputs, "text": "edited", "tags": {"kept": "1", "new": "1"}, "shelf": {"room": "1"}}
    assert details(client.diff(NOTE, "memo", live_inputs, inputs)) == {
        "shelf": "DELETE_REPLACE",
        "tags.lost": "ADD",
        "tags.new": "DELETE",
        "text": "UPDATE",
    }


def test_an_import_finds_its_inputs_in_the_cloud(client: ProviderClient) -> None:
    resource_id, _ = client.create(NOTE, "memo", checked(client, {"text": "a"}))
    _, outputs, inputs = client.read(NOTE, "memo", resource_id, {}, {})
    assert inputs == {"text": "a", "author": "nobody"}
    assert outputs["revision"] == 1


def test_an_error_names_operation_resource_and_cause_and_hides_secrets(
    client: ProviderClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.create(NOTE, "memo", {"text": "explode", "password": Secret("hunter22")})
    assert raised.value.details() == f"creating {NOTE} 'memo' failed: ValueError: no room for [secret]"
    assert "no room for [secret]" in caplog.text
    assert "hunter22" not in caplog.text, "the log shows a secret"


def test_a_half_made_resource_is_handed_back_with_the_error(client: ProviderClient) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.create(NOTE, "memo", {"text": "half", "password": Secret("hunter22")})
    assert "the ink ran out" in str(raised.value.details())
    metadata: dict[str, bytes] = dict(raised.value.trailing_metadata())  # type: ignore[arg-type] # pairs, say the docs
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    failure = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failure)
    assert failure.id.startswith("note-"), "without its id, nobody could delete what was made"
    assert list(failure.reasons) == ["the ink ran out"]
    assert from_struct(failure.properties)["password"] == Secret("hunter22")


def test_an_unknown_type_is_refused_by_name(client: ProviderClient) -> None:
    with pytest.raises(
        grpc.RpcError, match="no resource type notes:index/not:Not; did you mean 'notes:index/note:Note'"
    ):
        client.check("notes:index/not:Not", "memo", {})
    with pytest.raises(grpc.RpcError, match="no function notes:index/sum:sum"):
        client.invoke("notes:index/sum:sum")


def test_functions_conceal_secrets_and_name_wrong_arguments(client: ProviderClient) -> None:
    result, _ = client.invoke("notes:index/count:count", {"kind": "all"})
    assert (result["key"], result["kind"]) == (Secret("s3cret"), "all")
    assert set(client.invoke("notes:index/count:count", {"knd": "all"})[1]) == {"knd", "kind"}
    assert client.invoke("notes:index/count:count", {"kind": UNKNOWN}) == ({}, {})


def test_each_client_connection_keeps_its_own_configuration(port: int) -> None:
    first, second = ProviderClient(port, {"shelf": "one"}), ProviderClient(port, {"shelf": "two"})
    resource_id, _ = first.create(NOTE, "memo", {"text": "a"})
    assert resource_id in SHELVES["one"], "a second provider resource took over the first one's configuration"
    second.create(NOTE, "memo", {"text": "b"})
    assert len(SHELVES["two"]) == 1


def test_an_unknown_configuration_key_is_refused_by_name(client: ProviderClient) -> None:
    response = client.stub.CheckConfig(provider_pb2.CheckRequest(news=to_struct({"shlf": "a", "version": "1.0.0"})))
    assert [failure.property for failure in response.failures] == ["shlf"]
    assert "did you mean 'shelf'" in response.failures[0].reason
