"""The rights of previews on a real API server: they read the stack's own objects, and nothing else."""

from typing import Any

import pytest

from stacks.names import AUTOSCALER_STATUS, POD_IDENTITY_AGENT, preview_group
from tests.components.mocks import STACK, declare
from tests.kubernetes.api_server import PREVIEWS_SESSION, ApiServer, RefusalError
from tests.kubernetes.deployed import Deployed, manifests_of

pytestmark = pytest.mark.kubernetes


def ask(api: ApiServer, method: str, path: str, body: Any = None, **options: Any) -> Any:
    return api.request(method, path, body, user=PREVIEWS_SESSION, group=preview_group(STACK), **options)


def test_a_preview_reads_every_object_that_a_refresh_reads(stack: Deployed) -> None:
    read = set()
    for resource in stack.stack.all:
        if resource.type.startswith("kubernetes:") and not resource.type.endswith(":Release"):
            manifest = resource.plain()
            ask(stack.api, "GET", f"{stack.api.collection(manifest)}/{manifest['metadata']['name']}")
            read.add(manifest["kind"])
    assert {"Namespace", "Secret", "Role", "ClusterRole", "ValidatingAdmissionPolicy", "NetworkPolicy"} <= read


def test_a_preview_reads_helms_releases(stack: Deployed) -> None:
    path = f"/api/v1/namespaces/{stack.namespace}/secrets"
    assert "items" in ask(stack.api, "GET", path, labelSelector="owner=helm")


EVERYTHING: dict[str, Any] = {"monitoring": {"alerts": {}, "dashboard": {}}, "runners": {"warm": {"when": "always"}}}


def test_a_preview_may_read_every_object_of_a_stack_with_all_features(stack: Deployed) -> None:
    """The server judges rights by names: also of PrometheusRules, which it does not have."""
    for resource in declare(**EVERYTHING).all:
        if resource.type.startswith("kubernetes:") and not resource.type.endswith(":Release"):
            manifest = resource.plain()
            name = manifest["metadata"].get("name", "automatic")
            assert _is_allowed(stack, "get", manifest, name), (manifest["kind"], name)
            assert not _is_allowed(stack, "update", manifest, name), (manifest["kind"], name)
            if manifest["metadata"].get("namespace") is None:
                assert not _is_allowed(stack, "get", manifest, f"{name}-2"), "an object of somebody else"


def _is_allowed(stack: Deployed, verb: str, manifest: Any, name: str) -> bool:
    attributes = {
        "group": manifest["apiVersion"].rpartition("/")[0],
        "resource": _plural(manifest["kind"]),
        "verb": verb,
        "namespace": manifest["metadata"].get("namespace", ""),
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": PREVIEWS_SESSION, "groups": [preview_group(STACK)], "resourceAttributes": attributes},
    }
    return bool(stack.api.create(review)["status"]["allowed"])


def _plural(kind: str) -> str:
    lower = kind.lower()
    return {"y": f"{lower[:-1]}ies", "s": f"{lower}es"}.get(lower[-1], f"{lower}s")


def test_each_right_is_for_an_object_of_the_stack(stack: Deployed) -> None:
    plurals = {_plural(each["kind"]) for each in manifests_of(declare(**EVERYTHING))}
    for role in (each for each in manifests_of(stack.stack) if each["metadata"].get("name", "").endswith("preview")):
        for rule in role.get("rules", []):
            if rule["verbs"] == ["list"]:
                assert rule["resourceNames"] in ([AUTOSCALER_STATUS], [POD_IDENTITY_AGENT]), "the cluster's parts"
            else:
                assert set(rule["resources"]) <= plurals, "the stack has no such object"


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("GET", "/api/v1/namespaces/default/secrets", "Secrets of somebody else"),
        ("GET", "/api/v1/namespaces/kube-system/secrets/any", "Secrets of somebody else"),
        ("GET", "/api/v1/secrets", "Secrets of somebody else"),
        ("GET", "/api/v1/namespaces", "the names of other namespaces"),
        ("GET", "/api/v1/namespaces/kube-system", "another namespace"),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin", "other roles"),
        ("GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", "other policies"),
        ("GET", "/api/v1/namespaces/{namespace}/pods", "a preview reads no pods"),
        ("GET", "/api/v1/namespaces/{namespace}/pods/build/exec", "a `get` of pods/exec opens a shell in a build"),
        ("GET", "/api/v1/namespaces/{namespace}/pods/build/log", "logs of builds"),
        ("DELETE", "/api/v1/namespaces/{namespace}", "previews change nothing"),
        ("DELETE", "/api/v1/namespaces/{namespace}/secrets/{secret}", "previews change nothing"),
        ("PUT", "/api/v1/namespaces/{namespace}/secrets/{secret}", "previews change nothing"),
        ("POST", "/api/v1/namespaces/{namespace}/serviceaccounts/builds/token", "a token of the builds' account"),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", "no more rights"),
    ],
)
def test_a_preview_can_do_nothing_else(stack: Deployed, method: str, path: str, reason: str) -> None:
    [secret, *_] = [each for each in manifests_of(stack.stack) if each["kind"] == "Secret"]
    path = path.format(namespace=stack.namespace, secret=secret["metadata"]["name"])
    with pytest.raises(RefusalError, match="forbidden") as refusal:
        ask(stack.api, method, path, {} if method in ("POST", "PUT") else None, dry_run=method != "GET")
    assert refusal.value.code == 403, reason


def test_nobody_else_reads_the_stacks_secrets(stack: Deployed) -> None:
    for group in ("system:authenticated", preview_group("other")):
        with pytest.raises(RefusalError, match="forbidden"):
            stack.api.request(
                "GET", f"/api/v1/namespaces/{stack.namespace}/secrets", user=PREVIEWS_SESSION, group=group
            )
