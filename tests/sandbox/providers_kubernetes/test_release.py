"""Helm releases: wrong values fail the preview, and the deployed objects can be read."""

import base64
import gzip
import json
from typing import Any

import grpc
import pytest

from sandbox.providers.kubernetes import runner_chart
from sandbox.providers.kubernetes.cluster import Cluster
from sandbox.values import UNKNOWN, Properties
from stacks.versions import RUNNER_CHART_VERSION
from tests.sandbox.provider_client import ProviderClient, details

RELEASE = "kubernetes:helm.sh/v3:Release"
SECRETS = "/api/v1/namespaces/builds/secrets"
CONFIG = """
[[runners]]
  executor = "kubernetes"
  request_concurrency = 4
  [runners.feature_flags]
    FF_PRINT_POD_EVENTS = true
  [runners.kubernetes]
    cpu_request = "2"
    poll_timeout = 900
    [runners.kubernetes.node_selector]
      "kubernetes.io/arch" = "arm64"
    [runners.kubernetes.build_container_security_context.seccomp_profile]
      type = "Unconfined"
    [[runners.kubernetes.volumes.empty_dir]]
      name = "buildkit"
      mount_path = "/home/user/.local/share/buildkit"
"""
VALUES: Properties = {
    "gitlabUrl": "http://127.0.0.1:1",
    "concurrent": 4,
    "rbac": {"create": True, "rules": []},
    "runners": {"secret": "token", "config": CONFIG},
    "nodeSelector": {"team": "platform"},
}
INPUTS: Properties = {
    "chart": "gitlab-runner",
    "compat": "true",
    "name": "arm64",
    "namespace": "builds",
    "repositoryOpts": {"repo": "https://charts.gitlab.io"},
    "version": "0.86.0",
    "values": VALUES,
}


@pytest.fixture
def token(cluster: Cluster) -> None:
    data = {"runner-token": "glrt-x", "runner-registration-token": ""}
    cluster.request("POST", SECRETS, {"metadata": {"name": "token"}, "stringData": data})


def failures(engine: ProviderClient, values: Properties | None = None, **inputs: Any) -> dict[str, str]:
    return engine.check(RELEASE, "manager", {**INPUTS, "values": {**VALUES, **(values or {})}, **inputs})[1]


def checked(engine: ProviderClient, **inputs: Any) -> Properties:
    result, wrong = engine.check(RELEASE, "manager", {**INPUTS, **inputs})
    assert not wrong
    return result


def record(cluster: Cluster, revision: int) -> tuple[dict[str, Any], str]:
    """A revision's record as Helm decodes it, and its status label."""
    secret = cluster.request("GET", f"{SECRETS}/sh.helm.release.v1.arm64.v{revision}")
    encoded = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    content: dict[str, Any] = json.loads(gzip.decompress(encoded))
    return content, secret["metadata"]["labels"]["status"]


@pytest.mark.usefixtures("token")
def test_a_release_lives_and_dies(engine: ProviderClient, cluster: Cluster) -> None:
    before = cluster.request("GET", SECRETS)["items"]
    inputs = checked(engine)
    resource_id, outputs = engine.create(RELEASE, "manager", inputs)
    assert resource_id == "builds/arm64"
    assert outputs["status"] == {
        "appVersion": "18.9.0",
        "chart": "gitlab-runner",
        "name": "arm64",
        "namespace": "builds",
        "revision": 1,
        "status": "deployed",
        "version": "0.86.0",
    }
    assert outputs["resourceNames"]["Deployment.apps/apps/v1"] == ["builds/arm64-gitlab-runner"]
    deployment = cluster.request("GET", "/apis/apps/v1/namespaces/builds/deployments/arm64-gitlab-runner")
    assert deployment["spec"]["template"]["spec"]["nodeSelector"] == {"team": "platform"}
    content, status = record(cluster, 1)
    assert (content["config"]["concurrent"], content["info"]["status"], status) == (4, "deployed", "deployed")
    assert engine.read(RELEASE, "manager", resource_id, outputs, inputs)[2] == inputs, (
        "a refresh shows drift of nothing"
    )

    engine.delete(RELEASE, "manager", resource_id, outputs)
    engine.delete(RELEASE, "manager", resource_id, outputs)
    assert engine.read(RELEASE, "manager", resource_id, outputs, inputs)[0] == ""
    assert cluster.request("GET", SECRETS)["items"] == before
    for path in ("/apis/apps/v1/deployments", "/api/v1/configmaps", "/apis/rbac.authorization.k8s.io/v1/roles"):
        assert cluster.request("GET", path)["items"] == [], "the release left something behind"


@pytest.mark.usefixtures("token")
def test_prometheus_finds_the_managers_metrics(engine: ProviderClient, cluster: Cluster) -> None:
    metrics = {"enabled": True, "portName": "metrics", "port": 9252}
    monitor = {"enabled": True, "labels": {"release": "kps"}}
    values = {**VALUES, "service": {"enabled": True}, "metrics": {**metrics, "serviceMonitor": monitor}}
    engine.create(RELEASE, "manager", checked(engine, values=values))
    service = cluster.request("GET", "/api/v1/namespaces/builds/services/arm64-gitlab-runner")
    monitors = "/apis/monitoring.coreos.com/v1/namespaces/builds/servicemonitors"
    found = cluster.request("GET", f"{monitors}/arm64-gitlab-runner")
    assert found["metadata"]["labels"]["release"] == "kps"
    assert found["spec"]["endpoints"] == [{"port": service["spec"]["ports"][0]["name"]}]


@pytest.mark.usefixtures("token")
def test_an_upgrade_is_a_new_revision_and_removes_what_is_no_longer_wanted(
    engine: ProviderClient, cluster: Cluster
) -> None:
    old = checked(engine)
    resource_id, outputs = engine.create(RELEASE, "manager", old)
    new = checked(engine, values={**VALUES, "concurrent": 8, "rbac": {"create": False}})
    diff = engine.diff(RELEASE, "manager", old, new)
    assert details(diff)["values.concurrent"] == "UPDATE"
    assert not diff.replaces
    after = engine.update(RELEASE, "manager", resource_id, outputs=outputs, old_inputs=old, inputs=new)
    assert (after["status"]["revision"], record(cluster, 1)[1], record(cluster, 2)[1]) == (2, "superseded", "deployed")
    settings = cluster.request("GET", "/api/v1/namespaces/builds/configmaps/arm64-gitlab-runner")
    assert "concurrent = 8" in settings["data"]["config.toml"]
    assert cluster.request("GET", "/apis/rbac.authorization.k8s.io/v1/roles")["items"] == []


@pytest.mark.usefixtures("token")
def test_only_as_many_revisions_are_kept_as_asked_for(engine: ProviderClient, cluster: Cluster) -> None:
    inputs = checked(engine, maxHistory=2)
    resource_id, outputs = engine.create(RELEASE, "manager", inputs)
    for concurrent in (5, 6, 7):
        new = {**inputs, "values": {**VALUES, "concurrent": concurrent}}
        outputs = engine.update(RELEASE, "manager", resource_id, outputs=outputs, old_inputs=inputs, inputs=new)
    records = cluster.request("GET", f"{SECRETS}?labelSelector=owner=helm")["items"]
    assert [found["metadata"]["labels"]["version"] for found in records] == ["3", "4"]


@pytest.mark.usefixtures("token")
def test_values_changed_by_helm_itself_show_as_drift(engine: ProviderClient) -> None:
    inputs = checked(engine)
    resource_id, outputs = engine.create(RELEASE, "manager", inputs)
    manual = {**inputs, "values": {**VALUES, "concurrent": 1}}
    engine.update(RELEASE, "manager", resource_id, outputs=outputs, old_inputs=inputs, inputs=manual)
    _, _, live_inputs = engine.read(RELEASE, "manager", resource_id, outputs, inputs)
    assert live_inputs["values"]["concurrent"] == 1


def test_a_preview_does_not_know_the_status(engine: ProviderClient) -> None:
    _, outputs = engine.create(RELEASE, "manager", checked(engine), preview=True)
    assert (outputs["status"], outputs["resourceNames"]) == (UNKNOWN, UNKNOWN)
    old, new = checked(engine), checked(engine, values={**VALUES, "concurrent": 8})
    recorded = {**old, "status": {"revision": 1}}
    after = engine.update(
        RELEASE, "manager", "builds/arm64", outputs=recorded, old_inputs=old, inputs=new, preview=True
    )
    assert after["status"] is UNKNOWN


def test_a_release_elsewhere_is_another_release(engine: ProviderClient) -> None:
    old, new = checked(engine), checked(engine, namespace="other")
    assert list(engine.diff(RELEASE, "manager", old, new).replaces) == ["namespace"]


def test_a_release_without_a_name_gets_one_for_life(engine: ProviderClient) -> None:
    first = checked(engine, name=None)
    assert first["name"].startswith("manager-")
    again, _ = engine.check(RELEASE, "manager", {**INPUTS, "name": None}, first, seed=b"another")
    assert again["name"] == first["name"]


def test_a_manager_without_its_secret_fails_and_leaves_nothing(engine: ProviderClient, cluster: Cluster) -> None:
    with pytest.raises(grpc.RpcError, match=r"Secret builds/token \(runners.secret\) does not exist"):
        engine.create(RELEASE, "manager", checked(engine))
    data = {"stringData": {"runner-token": "glrt-x"}}
    cluster.request("POST", SECRETS, {"metadata": {"name": "token"}, **data})
    with pytest.raises(grpc.RpcError, match="has no runner-registration-token"):
        engine.create(RELEASE, "manager", checked(engine))
    assert cluster.request("GET", "/apis/apps/v1/deployments")["items"] == []


@pytest.mark.usefixtures("token")
def test_an_install_that_fails_halfway_leaves_nothing(engine: ProviderClient, cluster: Cluster) -> None:
    taken = "/apis/rbac.authorization.k8s.io/v1/namespaces/builds/roles"
    cluster.request("POST", taken, {"metadata": {"name": "arm64-gitlab-runner"}})
    with pytest.raises(grpc.RpcError, match="already exists"):
        engine.create(RELEASE, "manager", checked(engine))
    assert cluster.request("GET", "/api/v1/namespaces/builds/configmaps")["items"] == []
    assert cluster.request("GET", f"{SECRETS}?labelSelector=owner=helm")["items"] == []
    assert len(cluster.request("GET", taken)["items"]) == 1, "somebody else's object was removed"


@pytest.mark.usefixtures("token")
def test_an_interrupted_install_is_completed_by_the_next(engine: ProviderClient, cluster: Cluster) -> None:
    inputs = checked(engine)
    engine.create(RELEASE, "manager", inputs)
    # The objects of a process that was killed just before it recorded the release.
    cluster.request("DELETE", f"{SECRETS}/sh.helm.release.v1.arm64.v1")
    assert engine.create(RELEASE, "manager", inputs)[1]["status"]["revision"] == 1


@pytest.mark.usefixtures("token")
def test_the_name_of_a_release_is_used_once(engine: ProviderClient) -> None:
    engine.create(RELEASE, "manager", checked(engine))
    with pytest.raises(grpc.RpcError, match="cannot re-use a name that is still in use"):
        engine.create(RELEASE, "manager", checked(engine))


@pytest.mark.usefixtures("token")
def test_the_name_of_a_release_has_at_most_53_characters(engine: ProviderClient) -> None:
    for wrong in ("r" * 54, "Arm64", "arm_64"):
        with pytest.raises(grpc.RpcError, match="the length must not be longer than 53"):
            engine.create(RELEASE, "manager", checked(engine, name=wrong))
    assert engine.create(RELEASE, "manager", checked(engine, name="r" * 53))[0] == f"builds/{'r' * 53}"


def test_a_release_can_make_its_namespace(engine: ProviderClient, cluster: Cluster) -> None:
    inputs = checked(engine, namespace="fresh", createNamespace=True, skipAwait=True)
    engine.create(RELEASE, "manager", inputs)
    assert cluster.find("/api/v1/namespaces/fresh")


def test_values_that_work_pass_even_while_some_are_unknown(engine: ProviderClient) -> None:
    assert failures(engine) == {}
    assert failures(engine, {"runners": {"secret": UNKNOWN, "config": UNKNOWN}}) == {}
    assert failures(engine, {"podAnnotations": {"runner": UNKNOWN}, "concurrent": UNKNOWN}) == {}


@pytest.mark.parametrize(
    ("values", "path", "reason"),
    [
        ({"concurent": 4}, "values.concurent", "did you mean 'concurrent'"),
        ({"metrics": {"enabld": True}}, "values.metrics.enabld", "'metrics.enabld'; did you mean 'enabled'"),
        ({"concurrent": "4"}, "values.concurrent", "is a string; the chart takes number"),
        ({"rbac": True}, "values.rbac", "holds further values"),
        ({"runnerToken": "glrt-x"}, "values.runnerToken", "not both"),
        ({"runners": {"config": CONFIG}}, "values.runners.secret", "has no token"),
        (
            {"runnerRegistrationToken": "x"},
            "values.runnerRegistrationToken",
            "Registration tokens are no longer supported",
        ),
    ],
)
def test_values_that_the_chart_does_not_know_fail_the_preview(
    engine: ProviderClient, values: Properties, path: str, reason: str
) -> None:
    found = failures(engine, values)
    assert list(found) == [path]
    assert reason in found[path]


@pytest.mark.parametrize("name", ["locked", "tags", "maximumTimeout", "runUntagged", "protected"])
def test_what_belongs_to_the_runner_in_gitlab_fails_the_preview(engine: ProviderClient, name: str) -> None:
    found = failures(engine, {"runners": {"secret": "token", "config": CONFIG, name: "x"}})
    assert "does not start with it" in found[f"values.runners.{name}"]


@pytest.mark.parametrize(
    ("config", "path", "reason"),
    [
        ("[[runners]", "", "is not TOML"),
        ("concurrent = 4\n[[runners]]", ": concurrent", "set global settings in the chart's values"),
        ("[[runners]]\n[[runners]]", ": runners", "exactly one [[runners]]"),
        ("", ": runners", "exactly one [[runners]]"),
        ("[[runners]]\n[runners.kubernetes]\ncpu_limt = '1'", ": runners.kubernetes.cpu_limt", "mean 'cpu_limit'"),
        ("[[runners]]\nlimit = '1'", ": runners.limit", "is a string; GitLab Runner takes integer"),
        ("[[runners]]\n[runners.feature_flags]\nFF_X = 1", ": runners.feature_flags.FF_X", "takes boolean"),
        ("[[runners]]\nname = '{{ .Release.Name }}'", "", "runs no Helm templates"),
    ],
)
def test_a_config_that_the_runner_would_not_take_fails_the_preview(
    engine: ProviderClient, config: str, path: str, reason: str
) -> None:
    found = failures(engine, {"runners": {"secret": "token", "config": config}})
    assert list(found) == [f"values.runners.config{path}"]
    assert reason in found[f"values.runners.config{path}"]


@pytest.mark.usefixtures("token")
def test_escaped_braces_reach_the_manager_as_they_were_meant(engine: ProviderClient, cluster: Cluster) -> None:
    config = "[[runners]]\nname = '{{ \"{{\" }} .x }}'"
    inputs = checked(engine, values={**VALUES, "runners": {"secret": "token", "config": config}})
    engine.create(RELEASE, "manager", inputs)
    settings = cluster.request("GET", "/api/v1/namespaces/builds/configmaps/arm64-gitlab-runner")
    assert settings["data"]["config.template.toml"] == "[[runners]]\nname = '{{ .x }}'"


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"chart": "nginx"}, "chart"),
        ({"version": None}, "version"),
        ({"version": ">=0.86"}, "version"),
        ({"version": "0.86.1"}, "version"),
        ({"repositoryOpts": {"repo": "https://example.com"}}, "repositoryOpts.repo"),
        ({"repositoryOpts": None}, "repositoryOpts.repo"),
        ({"postrender": "sed"}, "postrender"),
        ({"valuse": {}}, "valuse"),
    ],
)
def test_a_wrong_release_fails_the_preview(engine: ProviderClient, inputs: Properties, path: str) -> None:
    assert list(failures(engine, **inputs)) == [path]


def test_the_values_are_those_of_the_chart_that_the_platform_pins() -> None:
    assert runner_chart.version() == RUNNER_CHART_VERSION, "a preview here would prove nothing about production's chart"


@pytest.mark.usefixtures("token")
def test_the_manager_runs_the_image_that_the_values_name(engine: ProviderClient, cluster: Cluster) -> None:
    path = "/apis/apps/v1/namespaces/builds/deployments/arm64-gitlab-runner"
    inputs = checked(engine)
    resource_id, outputs = engine.create(RELEASE, "manager", inputs)
    [container] = cluster.request("GET", path)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v18.9.0"
    new = checked(engine, values={**VALUES, "image": {"tag": "alpine-v19.2.3"}})
    engine.update(RELEASE, "manager", resource_id, outputs=outputs, old_inputs=inputs, inputs=new)
    [container] = cluster.request("GET", path)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.gitlab.com/gitlab-org/gitlab-runner:alpine-v19.2.3"
