"""The effect of a build namespace's limits on its pods."""

import copy

import pytest

from components.runner_config import RETRIES
from tests.components.mocks import NAME
from tests.kubernetes.api_server import ApiServer, RefusalError
from tests.kubernetes.deployed import REPLICA_SETS, Deployed, count, deploy
from tests.kubernetes.runner_pods import Job, Object

pytestmark = pytest.mark.kubernetes


def resources(pod: Object, container: str) -> Object:
    found: Object = next(each["resources"] for each in pod["spec"]["containers"] if each["name"] == container)
    return found


def test_a_service_has_limits_of_its_own(stack: Deployed) -> None:
    pod = stack.admitted(stack.job_pod(Job(services=["postgres:16"])))
    assert resources(pod, "svc-0")["limits"] == {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "10Gi"}


def test_jobs_cannot_raise_the_limits_of_services(stack: Deployed) -> None:
    variables = {"KUBERNETES_SERVICE_CPU_LIMIT": "8", "KUBERNETES_SERVICE_MEMORY_LIMIT": "15Gi"}
    pod = stack.job_pod(Job(services=["postgres:16"], variables=variables))
    assert resources(pod, "svc-0")["limits"]["memory"] == "2Gi", "a job could outgrow its node"


def test_a_container_without_limits_gets_the_ceilings(stack: Deployed) -> None:
    pod = copy.deepcopy(stack.job_pod(Job(services=["postgres:16"])))
    pod["spec"]["containers"][2]["resources"] = {}
    got = resources(stack.admitted(pod), "svc-0")
    assert got["limits"] == {"cpu": "8", "memory": "15Gi", "ephemeral-storage": "50Gi"}
    assert got["requests"] == {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "100Mi"}, (
        "Kubernetes would reserve the limit"
    )


def test_a_build_that_sets_no_limit_for_its_files_has_one(stack: Deployed) -> None:
    pod = stack.job_pod()
    assert "ephemeral-storage" not in resources(pod, "build")["limits"]
    assert resources(stack.admitted(pod), "build")["limits"]["ephemeral-storage"] == "50Gi", "it could fill the disk"


@pytest.mark.parametrize("resource", ["cpu", "memory", "ephemeral-storage"])
def test_no_container_gets_more_than_the_ceilings(stack: Deployed, resource: str) -> None:
    pod = copy.deepcopy(stack.job_pod())
    resources(pod, "build")["limits"][resource] = "200Gi"
    with pytest.raises(RefusalError, match=f"maximum {resource} usage per Container is"):
        stack.admitted(pod)


def test_managers_keep_their_limits(stack: Deployed) -> None:
    pod = stack.admitted(stack.manager_pod(), REPLICA_SETS)
    limits = resources(pod, f"{NAME}-arm64")["limits"]
    assert limits == {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "10Gi"}


def test_managers_and_helpers_fit_under_small_ceilings(api_server: ApiServer) -> None:
    small = {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "50Mi"}
    bounds = {resource: {"request": quantity} for resource, quantity in small.items()}
    deployed = deploy(api_server, runners={"namespace": "small", "ceilings": small, "defaults": bounds})
    deployed.admitted(deployed.job_pod(Job(services=["postgres:16"])))
    deployed.admitted(deployed.manager_pod(), REPLICA_SETS)


def test_a_namespace_with_too_many_pods_takes_no_more(api_server: ApiServer) -> None:
    full = deploy(api_server, runners={"namespace": "full", "concurrent": 2})
    pod = full.job_pod()
    full.admitted(pod)
    quota = full.stack.only("core:ResourceQuota").plain()
    count(api_server, quota, used=quota["spec"]["hard"]["pods"])
    with pytest.raises(RefusalError, match="exceeded quota: builds, requested: pods=1") as caught:
        full.admitted(pod)
    # The runner looks for a part of the message.
    assert any(text in str(caught.value) for text in RETRIES), "the job would fail at once instead of waiting"


def test_a_new_quota_refuses_nothing_until_it_is_counted(api_server: ApiServer) -> None:
    new = deploy(api_server, counted=False, runners={"namespace": "new"})
    new.admitted(new.job_pod())


@pytest.mark.parametrize(
    "manifest",
    [
        {"kind": "PersistentVolumeClaim", "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {}}}},
        {"kind": "Service", "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}},
        {"kind": "Service", "spec": {"type": "NodePort", "ports": [{"port": 80}]}},
    ],
    ids=["a volume", "a load balancer", "a node port"],
)
def test_a_build_namespace_has_none_of_these(stack: Deployed, manifest: Object) -> None:
    wanted = copy.deepcopy(manifest)
    if wanted["kind"] == "PersistentVolumeClaim":
        wanted["spec"]["resources"]["requests"]["storage"] = "1Gi"
    metadata = {"name": "more", "namespace": stack.namespace}
    with pytest.raises(RefusalError, match="exceeded quota: builds"):
        stack.api.create({"apiVersion": "v1", "metadata": metadata, **wanted}, dry_run=True)
