"""The questions of the checks before a deployment, asked of a real API server."""

import base64
from dataclasses import replace

import pytest

from components.preflight.kubernetes_api import KubernetesApi, KubernetesRefusalError, UnreachableError
from sandbox.services.aws.eks.certificate import Authority
from stacks.names import AUTOSCALER_STATUS, POD_IDENTITY_AGENT
from tests.kubernetes.api_server import PREVIEWS_TOKEN, ApiServer
from tests.kubernetes.deployed import Deployed

pytestmark = pytest.mark.kubernetes

CONFIG_MAPS = "/api/v1/configmaps"


def api_of(server: ApiServer, token: str) -> KubernetesApi:
    authority = base64.b64encode(server.certificate.read_bytes()).decode()
    return KubernetesApi(endpoint=server.url, certificate_authority=authority, token=token)


@pytest.fixture
def admin(api_server: ApiServer) -> KubernetesApi:
    return api_of(api_server, api_server.token)


@pytest.fixture
def preview(stack: Deployed) -> KubernetesApi:
    """As the role of a stack's previews, whose rights the stack has deployed."""
    return api_of(stack.api, PREVIEWS_TOKEN)


def test_a_preview_finds_the_autoscalers_report_in_any_namespace(stack: Deployed, preview: KubernetesApi) -> None:
    stack.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "autoscaling"}})
    for name in (AUTOSCALER_STATUS, "of-somebody-else"):
        metadata = {"name": name, "namespace": "autoscaling"}
        stack.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"status": "Running"}})
    [report] = preview.list(CONFIG_MAPS, name=AUTOSCALER_STATUS)
    assert report["data"] == {"status": "Running"}
    with pytest.raises(KubernetesRefusalError, match="forbidden") as refusal:
        preview.list(CONFIG_MAPS, name="of-somebody-else")
    assert refusal.value.code == 403


def test_a_preview_finds_the_pod_identity_agent_and_nothing_else_of_its_kind(preview: KubernetesApi) -> None:
    assert preview.list("/apis/apps/v1/daemonsets", name=POD_IDENTITY_AGENT) == []
    with pytest.raises(KubernetesRefusalError, match="forbidden"):
        preview.list("/apis/apps/v1/daemonsets", name="aws-node")


def test_what_is_not_there_is_an_empty_list(admin: KubernetesApi) -> None:
    assert admin.list(CONFIG_MAPS, name="of-nobody") == []


@pytest.mark.parametrize(
    ("resource", "group"), [("namespaces", ""), ("validatingadmissionpolicies", "admissionregistration.k8s.io")]
)
def test_who_may_create(admin: KubernetesApi, preview: KubernetesApi, resource: str, group: str) -> None:
    assert admin.may_create(resource, group=group)
    assert not preview.may_create(resource, group=group)


def test_a_token_that_the_cluster_does_not_know(admin: KubernetesApi) -> None:
    with pytest.raises(KubernetesRefusalError) as refusal:
        replace(admin, token="another").list(CONFIG_MAPS, name=AUTOSCALER_STATUS)
    assert refusal.value.code == 401


def test_somebody_elses_server_does_not_get_the_token(admin: KubernetesApi) -> None:
    with pytest.raises(UnreachableError, match="its certificate is not from the cluster's own authority"):
        replace(admin, certificate_authority=Authority.make().data).list(CONFIG_MAPS, name=AUTOSCALER_STATUS)


def test_an_address_without_a_server(admin: KubernetesApi) -> None:
    with pytest.raises(UnreachableError, match="no connection to it"):
        replace(admin, endpoint="https://127.0.0.1:9").list(CONFIG_MAPS, name=AUTOSCALER_STATUS)
