"""The kubernetes provider's objects, as an engine uses them."""

import base64

import grpc
import pytest

from sandbox.providers.framework import serve
from sandbox.providers.kubernetes import provider
from sandbox.providers.kubernetes.cluster import Cluster
from sandbox.providers.kubernetes.objects import OBJECT_KINDS
from sandbox.values import Properties, Secret, reveal
from tests.sandbox.provider_client import ProviderClient, details
from tests.sandbox.providers_kubernetes.conftest import EKS_ENDPOINT, kubeconfig

NAMESPACE = "kubernetes:core/v1:Namespace"
SECRET = "kubernetes:core/v1:Secret"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
ROLE_BINDING = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
QUOTA = "kubernetes:core/v1:ResourceQuota"

# The least that each kind needs, besides its name.
FIELDS: dict[str, Properties] = {
    "NetworkPolicy": {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}},
    "PriorityClass": {"value": 100},
    "RoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}},
    "ClusterRoleBinding": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"}},
    "PrometheusRule": {"spec": {"groups": []}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
}


def checked(engine: ProviderClient, token: str, inputs: Properties, olds: Properties | None = None) -> Properties:
    result, failures = engine.check(token, "thing", inputs, olds)
    assert not failures
    return result


@pytest.mark.parametrize("kind", OBJECT_KINDS, ids=lambda kind: kind.type)
def test_every_kind_lives_and_dies(engine: ProviderClient, kind: type) -> None:
    token = kind.type  # type: ignore[attr-defined]
    metadata = {"name": "thing", "namespace": "builds"} if kind.namespaced else {"name": "thing"}  # type: ignore[attr-defined]
    inputs = checked(engine, token, {"metadata": metadata, **FIELDS.get(token.rpartition(":")[2], {})})
    resource_id, outputs = engine.create(token, "thing", inputs)
    assert resource_id == ("builds/thing" if "namespace" in metadata else "thing")
    assert engine.read(token, "thing", resource_id, outputs, inputs)[2] == inputs, "a refresh shows drift of nothing"

    labelled = {**inputs, "metadata": {**metadata, "labels": {"a": "b"}}}
    assert details(engine.diff(token, "thing", inputs, labelled)) == {"metadata.labels": "ADD"}
    after = engine.update(token, "thing", resource_id, outputs=outputs, old_inputs=inputs, inputs=labelled)
    assert reveal(after)["metadata"]["labels"]["a"] == "b"
    assert reveal(after)["metadata"]["uid"] == reveal(outputs)["metadata"]["uid"], "an update made another object"

    engine.delete(token, "thing", resource_id, after)
    engine.delete(token, "thing", resource_id, after)
    assert engine.read(token, "thing", resource_id, after, labelled)[0] == ""


def test_an_object_without_a_name_gets_one_for_life(engine: ProviderClient) -> None:
    first = checked(engine, CONFIG_MAP, {"data": {"a": "b"}})
    assert first["metadata"]["name"].startswith("thing-")
    assert len(first["metadata"]["name"]) == len("thing-") + 8
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    later, _ = engine.check(CONFIG_MAP, "thing", {"data": {"a": "c"}}, first, seed=b"another")
    assert later["metadata"] == first["metadata"]


def test_an_object_without_a_namespace_goes_to_the_default_one(engine: ProviderClient, cluster: Cluster) -> None:
    inputs = checked(engine, CONFIG_MAP, {"metadata": {"name": "c"}})
    resource_id, outputs = engine.create(CONFIG_MAP, "thing", inputs)
    assert (resource_id, outputs["metadata"]["namespace"]) == ("default/c", "default")
    assert cluster.find("/api/v1/namespaces/default/configmaps/c")


def test_a_changed_secret_replaces_the_old_one_which_goes_first(engine: ProviderClient) -> None:
    metadata = {"name": "token", "namespace": "builds"}
    old = checked(engine, SECRET, {"metadata": metadata, "stringData": {"a": Secret("one")}})
    new = checked(engine, SECRET, {"metadata": metadata, "stringData": {"a": Secret("two")}})
    diff = engine.diff(SECRET, "thing", old, new)
    assert details(diff) == {"data.a": "UPDATE_REPLACE"}
    assert diff.deleteBeforeReplace, "the new Secret cannot be made while the old one has its name"


def test_a_secret_that_the_provider_named_is_replaced_without_a_gap(engine: ProviderClient) -> None:
    old = checked(engine, SECRET, {"stringData": {"a": "one"}})
    new = checked(engine, SECRET, {"stringData": {"a": "two"}}, old)
    assert not engine.diff(SECRET, "thing", old, new).deleteBeforeReplace


@pytest.mark.parametrize(("mutable", "kind"), [("", "UPDATE_REPLACE"), ("true", "UPDATE")])
def test_a_config_maps_data_changes_in_place_if_the_provider_says_so(cluster: Cluster, mutable: str, kind: str) -> None:
    server, port = serve(provider(cluster.server))
    engine = ProviderClient(port, {"kubeconfig": kubeconfig(EKS_ENDPOINT), "enableConfigMapMutable": mutable})
    old, new = ({"metadata": {"name": "ca", "namespace": "builds"}, "data": {"a": value}} for value in ("one", "two"))
    assert details(engine.diff(CONFIG_MAP, "thing", old, new)) == {"data.a": kind}
    engine.close()
    server.stop(None)


def test_a_secrets_content_is_secret_everywhere_and_arrives(engine: ProviderClient, cluster: Cluster) -> None:
    inputs = checked(
        engine, SECRET, {"metadata": {"name": "token", "namespace": "builds"}, "stringData": {"a": Secret("glrt-x")}}
    )
    assert "stringData" not in inputs, "the real provider moves it as soon as it is known"
    assert isinstance(inputs["data"], Secret)
    resource_id, outputs = engine.create(SECRET, "thing", inputs)
    assert isinstance(outputs["data"], Secret)
    stored = cluster.request("GET", "/api/v1/namespaces/builds/secrets/token")
    assert stored["data"] == {"a": base64.b64encode(b"glrt-x").decode()}
    _, live, _ = engine.read(SECRET, "thing", resource_id, outputs, inputs)
    assert live["data"] == outputs["data"]


def test_a_manually_changed_label_shows_as_drift(engine: ProviderClient, cluster: Cluster) -> None:
    inputs = checked(engine, NAMESPACE, {"metadata": {"name": "n", "labels": {"team": "ours"}}})
    resource_id, outputs = engine.create(NAMESPACE, "thing", inputs)
    edited = {"metadata": {"name": "n", "labels": {"team": "theirs"}}}
    cluster.request("PUT", "/api/v1/namespaces/n", edited)
    _, _, live_inputs = engine.read(NAMESPACE, "thing", resource_id, outputs, inputs)
    assert live_inputs["metadata"]["labels"] == {"team": "theirs"}


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (ROLE_BINDING, {"roleRef": {"kind": "Role", "name": "a"}}, {"roleRef": {"kind": "Role", "name": "b"}}),
        (QUOTA, {"spec": {"scopes": ["BestEffort"]}}, {"spec": {"scopes": ["NotBestEffort"]}}),
        (CONFIG_MAP, {"data": {"a": "1"}}, {"data": {"a": "2"}}),
        (CONFIG_MAP, {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}),
        (CONFIG_MAP, {"metadata": {"namespace": "a"}}, {"metadata": {"namespace": "b"}}),
    ],
)
def test_what_cannot_change_in_place_replaces(
    engine: ProviderClient, token: str, old: Properties, new: Properties
) -> None:
    base = {"metadata": {"name": "thing"}}
    assert engine.diff(token, "thing", {**base, **old}, {**base, **new}).replaces


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        (CONFIG_MAP, {"dta": {}}, "dta", "did you mean 'data'"),
        (CONFIG_MAP, {"metadata": {"nme": "a"}}, "metadata.nme", "did you mean 'name'"),
        (CONFIG_MAP, {"kind": "Secret"}, "kind", "it is 'ConfigMap'"),
        (ROLE_BINDING, {}, "roleRef", "needs the property 'roleRef'"),
    ],
)
def test_a_wrong_object_fails_the_preview(
    engine: ProviderClient, token: str, inputs: Properties, path: str, reason: str
) -> None:
    _, failures = engine.check(token, "thing", inputs)
    assert reason in failures[path]


def test_the_api_servers_refusal_names_the_resource(engine: ProviderClient) -> None:
    inputs = checked(engine, CONFIG_MAP, {"metadata": {"name": "c", "namespace": "nowhere"}})
    with pytest.raises(grpc.RpcError, match=r'creating .*ConfigMap .thing. failed: namespaces "nowhere" not found'):
        engine.create(CONFIG_MAP, "thing", inputs)


def test_an_unknown_kind_is_refused_by_name(engine: ProviderClient) -> None:
    with pytest.raises(grpc.RpcError, match="no resource type kubernetes:core/v1:Pod"):
        engine.check("kubernetes:core/v1:Pod", "thing", {})


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({}, "needs kubeconfig"),
        ({"kubeconfig": "no such file"}, "neither a kubeconfig nor the path"),
        ({"kubeconfig": "{: ["}, "neither YAML nor JSON"),
        ({"kubeconfig": kubeconfig("https://kubernetes.example.com")}, "which is not the sandbox's"),
        ({"kubeconfig": kubeconfig(f"{EKS_ENDPOINT}.example.com")}, "which is not the sandbox's"),
        ({"kubeconfig": kubeconfig("http://127.0.0.1:1"), "context": "prod"}, "no context named 'prod'"),
        ({"kubeconfig": kubeconfig("http://127.0.0.1:1"), "enableSecretMutable": "true"}, "enableSecretMutable"),
    ],
)
def test_a_configuration_that_does_not_lead_to_the_sandbox_is_refused(configuration: Properties, message: str) -> None:
    server, port = serve(provider("http://127.0.0.1:1"))
    with pytest.raises(grpc.RpcError, match=message):
        ProviderClient(port, configuration)
    server.stop(None)


@pytest.mark.parametrize("recorded", [EKS_ENDPOINT, EKS_ENDPOINT.lower(), "http://127.0.0.1:1", "http://localhost:1"])
def test_a_recorded_kubeconfig_leads_to_the_cluster_of_this_start(cluster: Cluster, recorded: str) -> None:
    server, port = serve(provider(cluster.server))
    client = ProviderClient(port, {"kubeconfig": kubeconfig(recorded)})
    inputs, _ = client.check(NAMESPACE, "team", {"metadata": {"name": "team"}})
    client.create(NAMESPACE, "team", inputs)
    assert cluster.find("/api/v1/namespaces/team"), "a sandbox that got another port is lost to its stack"
    client.close()
    server.stop(None)
