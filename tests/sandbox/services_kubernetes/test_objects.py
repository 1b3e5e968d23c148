"""Objects are stored, checked and refused as by the API server."""

import base64
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.services.kubernetes import create_app

NAMESPACES = "/api/v1/namespaces"
SECRETS = f"{NAMESPACES}/builds/secrets"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/builds/roles"


@pytest.fixture(autouse=True)
def namespace(api: FlaskClient) -> None:
    create(api, NAMESPACES, "builds")


def create(api: FlaskClient, path: str, name: str, expected: int = 201, **fields: Any) -> dict[str, Any]:
    answer = api.post(path, json={"metadata": {"name": name}, **fields})
    body: dict[str, Any] = answer.get_json()
    assert answer.status_code == expected, body
    return body


def test_a_created_object_gets_what_only_the_cluster_knows(api: FlaskClient) -> None:
    stored = create(api, SECRETS, "token", stringData={"a": "b"})
    assert {"uid", "resourceVersion", "creationTimestamp"} <= stored["metadata"].keys()
    assert (stored["apiVersion"], stored["kind"], stored["metadata"]["namespace"]) == ("v1", "Secret", "builds")
    assert api.get(f"{SECRETS}/token").get_json() == stored


def test_the_string_data_of_a_secret_is_stored_as_base64(api: FlaskClient) -> None:
    stored = create(api, SECRETS, "token", data={"kept": "YQ=="}, stringData={"runner-token": "glrt-x", "empty": ""})
    assert "stringData" not in stored
    assert stored["type"] == "Opaque"
    expected = {"kept": "YQ==", "runner-token": base64.b64encode(b"glrt-x").decode(), "empty": ""}
    assert stored["data"] == expected


def test_a_second_object_of_a_name_is_refused(api: FlaskClient) -> None:
    create(api, ROLES, "builder")
    refused = create(api, ROLES, "builder", expected=409)
    assert refused["reason"] == "AlreadyExists"
    assert refused["message"] == 'roles.rbac.authorization.k8s.io "builder" already exists'


def test_a_missing_object_is_named(api: FlaskClient) -> None:
    answer = api.get(f"{SECRETS}/none")
    assert (answer.status_code, answer.get_json()["message"]) == (404, 'secrets "none" not found')


def test_an_object_needs_its_namespace(api: FlaskClient) -> None:
    refused = create(api, f"{NAMESPACES}/nowhere/secrets", "token", expected=404)
    assert refused["message"] == 'namespaces "nowhere" not found'


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-a", "a-", "a" * 254, "a/b", "../b", "ü"])
def test_a_name_that_is_no_dns_name_is_refused(api: FlaskClient, name: str) -> None:
    assert create(api, SECRETS, name, expected=422)["reason"] == "Invalid"


@pytest.mark.parametrize(
    ("path", "fields", "code", "message"),
    [
        (SECRETS, {"data": {"a": "?"}}, 422, "illegal base64 data"),
        (SECRETS, {"stringData": {"a": 1}}, 422, "stringData[a]: Invalid value: must be a string"),
        (ROLES, {"rulez": []}, 400, 'unknown field "rulez"'),
        (ROLES, {"kind": "RoleBinding"}, 400, "cannot be handled as a Role"),
        (SECRETS, {"metadata": {"name": "a", "namespace": "other"}}, 400, "does not match the namespace sent"),
        (SECRETS, {"metadata": {"name": "a", "labels": {"n": 1}}}, 422, "metadata.labels[n]"),
    ],
)
def test_a_wrong_object_is_refused(
    api: FlaskClient, path: str, fields: dict[str, Any], code: int, message: str
) -> None:
    assert message in create(api, path, "a", expected=code, **fields)["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{NAMESPACES}/builds/pods"),
        ("GET", "/apis/apps/v2/deployments"),
        ("POST", "/api/v1/secrets"),
        ("GET", f"{NAMESPACES}/builds/priorityclasses"),
        ("DELETE", SECRETS),
        ("GET", "/metrics"),
    ],
)
def test_an_unknown_route_is_refused_by_name(api: FlaskClient, method: str, path: str) -> None:
    answer = api.open(path, method=method)
    assert answer.status_code == 404
    assert f"{method} {path}" in answer.get_json()["message"]


def test_a_merge_patch_changes_and_removes_fields(api: FlaskClient) -> None:
    created = create(api, f"{NAMESPACES}/builds/configmaps", "c", data={"a": "1", "b": "2"})
    path = f"{NAMESPACES}/builds/configmaps/c"
    patch = {"data": {"a": None, "c": "3"}}
    patched = api.patch(path, json=patch, content_type="application/merge-patch+json").get_json()
    assert patched["data"] == {"b": "2", "c": "3"}
    assert patched["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
    assert patched["metadata"]["uid"] == created["metadata"]["uid"]
    refused = api.patch(path, json=[], content_type="application/json-patch+json")
    assert refused.status_code == 415, "a patch of another type was taken for a merge patch"


def test_a_write_against_an_old_version_is_refused(api: FlaskClient) -> None:
    old = create(api, f"{NAMESPACES}/builds/configmaps", "c", data={"a": "1"})
    path = f"{NAMESPACES}/builds/configmaps/c"
    assert api.put(path, json={**old, "data": {"a": "2"}}).status_code == 200
    refused = api.put(path, json={**old, "data": {"a": "3"}})
    assert (refused.status_code, refused.get_json()["reason"]) == (409, "Conflict")


def test_a_write_that_changes_nothing_makes_no_new_version(api: FlaskClient) -> None:
    stored = create(api, SECRETS, "token", stringData={"a": "b"})
    again = api.put(f"{SECRETS}/token", json={"metadata": {"name": "token"}, "stringData": {"a": "b"}}).get_json()
    assert again == stored


def test_only_a_change_of_the_spec_is_a_new_generation(api: FlaskClient) -> None:
    path = "/apis/policy/v1/namespaces/builds/poddisruptionbudgets"
    budget = create(api, path, "b", spec={"minAvailable": 1})
    labelled = api.put(
        f"{path}/b", json={**budget, "metadata": {**budget["metadata"], "labels": {"a": "b"}}}
    ).get_json()
    assert labelled["metadata"]["generation"] == 1
    grown = api.put(f"{path}/b", json={**labelled, "spec": {"minAvailable": 2}}).get_json()
    assert grown["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("path", "fields", "change"),
    [
        (SECRETS, {"type": "Opaque"}, {"type": "kubernetes.io/tls"}),
        (SECRETS, {"data": {"a": "YQ=="}, "immutable": True}, {"data": {"a": "Yg=="}, "immutable": True}),
        (SECRETS, {"data": {"a": "YQ=="}, "immutable": True}, {"data": {"a": "YQ=="}}),
        ("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 1}, {"value": 2}),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/builds/rolebindings",
            {"roleRef": {"kind": "Role", "name": "a"}},
            {"roleRef": {"kind": "Role", "name": "b"}},
        ),
    ],
)
def test_what_kubernetes_never_changes_stays(
    api: FlaskClient, path: str, fields: dict[str, Any], change: dict[str, Any]
) -> None:
    stored = create(api, path, "a", **fields)
    refused = api.put(f"{path}/a", json={"metadata": {"name": "a"}, **change})
    assert refused.status_code == 422
    assert "field is immutable" in refused.get_json()["message"]
    assert api.get(f"{path}/a").get_json() == stored


def test_deleting_a_namespace_deletes_what_it_holds(api: FlaskClient) -> None:
    create(api, NAMESPACES, "builds-2")
    create(api, f"{NAMESPACES}/builds-2/secrets", "stays")
    create(api, SECRETS, "goes")
    create(api, ROLES, "goes")
    assert api.delete(f"{NAMESPACES}/builds").get_json()["status"] == "Success"
    left = [found["metadata"]["name"] for found in api.get("/api/v1/secrets").get_json()["items"]]
    assert left == ["stays"]
    assert api.get("/apis/rbac.authorization.k8s.io/v1/roles").get_json()["items"] == []


def test_the_clusters_own_namespaces_cannot_be_deleted(api: FlaskClient) -> None:
    assert api.delete(f"{NAMESPACES}/default").status_code == 403


def test_lists_take_labels_and_say_of_what_they_are(api: FlaskClient) -> None:
    create(api, SECRETS, "a", metadata={"name": "a", "labels": {"owner": "helm", "name": "x"}})
    create(api, SECRETS, "b", metadata={"name": "b", "labels": {"owner": "helm"}})
    found = api.get(f"{SECRETS}?labelSelector=owner=helm,name!=x").get_json()
    assert (found["kind"], [item["metadata"]["name"] for item in found["items"]]) == ("SecretList", ["b"])
    assert api.get(f"{SECRETS}?labelSelector=owner in (helm)").status_code == 400


def test_a_list_can_be_of_one_name_in_all_namespaces(api: FlaskClient) -> None:
    create(api, NAMESPACES, "other")
    for namespace, name in (("builds", "one"), ("builds", "two"), ("other", "one")):
        create(api, f"{NAMESPACES}/{namespace}/configmaps", name)
    found = api.get("/api/v1/configmaps", query_string={"fieldSelector": "metadata.name=one"}).get_json()["items"]
    assert [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found] == [
        ("builds", "one"),
        ("other", "one"),
    ]


def test_everybody_may_create_everything(api: FlaskClient) -> None:
    attributes = {"verb": "create", "group": "", "resource": "namespaces"}
    review = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=review)
    assert (answer.status_code, answer.get_json()["status"]) == (201, {"allowed": True})


@pytest.mark.parametrize("parameter", ["dryRun=All", "watch=true", "fieldSelector=type=Opaque"])
def test_a_parameter_that_would_be_left_out_of_account_is_refused(api: FlaskClient, parameter: str) -> None:
    answer = api.post(f"{SECRETS}?{parameter}", json={"metadata": {"name": "a"}})
    assert answer.status_code == 400
    assert api.get(SECRETS).get_json()["items"] == [], "an object was made although the request was refused"


def test_a_body_that_is_no_object_is_refused(api: FlaskClient) -> None:
    assert api.post(SECRETS, data="{", content_type="application/json").status_code == 400
    assert api.post(SECRETS, json=[1]).status_code == 400
    assert api.post(SECRETS, data=b"k8s", content_type="application/vnd.kubernetes.protobuf").status_code == 415


def test_objects_survive_a_restart_as_they_were(api: FlaskClient, tmp_path: Path) -> None:
    stored = create(api, SECRETS, "token", stringData={"a": "b"})
    restarted = create_app(tmp_path, "http://127.0.0.1:1").test_client()
    assert restarted.get(f"{SECRETS}/token").get_json() == stored
    assert (tmp_path / "kubernetes" / "objects.json").stat().st_mode & 0o777 == 0o600, "secrets are open to others"


def test_a_full_disk_refuses_changes_and_loses_nothing(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    create(api, SECRETS, "before")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", fail)
        refused = create(api, SECRETS, "during", expected=507)
        assert "No space left on device" in refused["message"]
        assert "free some space" in refused["message"]
        assert api.delete(f"{SECRETS}/before").status_code == 507
    assert [item["metadata"]["name"] for item in api.get(SECRETS).get_json()["items"]] == ["before"]
    create(api, SECRETS, "during")


def test_clients_can_discover_every_kind(api: FlaskClient) -> None:
    assert api.get("/version").get_json()["gitVersion"] == "v1.34.1"
    groups = [group["name"] for group in api.get("/apis").get_json()["groups"]]
    assert "rbac.authorization.k8s.io" in groups
    kinds = {found["kind"] for found in api.get("/api/v1").get_json()["resources"]}
    assert {"Namespace", "Secret", "ServiceAccount"} <= kinds
