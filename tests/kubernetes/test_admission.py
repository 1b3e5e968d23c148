"""The pods that a build namespace admits."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from components.company_network import CA_CONFIG_MAP, CA_FOLDER
from components.labels import BUILD_POD, BUILDS
from components.node_cache import HOST_FOLDER, JOB_FOLDER, VOLUME
from sandbox.providers.kubernetes.runner_chart import rendered_config
from stacks.names import STATE_VARIABLE
from tests.components.mocks import NAME
from tests.kubernetes.api_server import ApiServer, RefusalError
from tests.kubernetes.deployed import REPLICA_SETS, Deployed, create_default_account, deploy, job_pod
from tests.kubernetes.runner_pods import Job, Object, pause_deployment_of
from tests.stacks.authorities import authority

pytestmark = pytest.mark.kubernetes

Doctor = Callable[[Object], None]


def refused(deployed: Deployed, pod: Object, user: str = "") -> str:
    """The API server's reason for refusing a pod."""
    with pytest.raises(RefusalError) as caught:
        deployed.admitted(pod, user)
    assert caught.value.code == 403
    return str(caught.value)


def change(part: str, **fields: Any) -> Doctor:
    """Set fields of the pod's specification, or of a container in it."""

    def doctor(pod: Object) -> None:
        spec = pod["spec"]
        everything = [*spec["containers"], *spec["initContainers"]]
        target = spec if part == "pod" else next(each for each in everything if each["name"] == part)
        for name, value in fields.items():
            target[name] = {**target.get(name, {}), **value} if isinstance(value, dict) else value

    return doctor


def volume(**source: Any) -> Doctor:
    """Add a volume named `more`."""
    return lambda pod: pod["spec"]["volumes"].append({"name": "more", **source})


def without_label(pod: Object) -> None:
    del pod["metadata"]["labels"][BUILD_POD]


def without_selector(pod: Object) -> None:
    del pod["spec"]["nodeSelector"][BUILDS]


def root_in_pod(pod: Object) -> None:
    change("pod", securityContext={"runAsUser": 0})(pod)
    del pod["spec"]["containers"][0]["securityContext"]["runAsUser"]


def projected(**source: Any) -> Doctor:
    return volume(projected={"sources": [source]})


SECRET = {"name": f"{NAME}-arm64", "key": "runner-token"}
ROOT = "containers must not run as root: set runAsNonRoot, and no runAsUser of 0"
ON_NODE = "the pod uses the network, processes or IPC of its node: remove hostNetwork, hostPID and hostIPC"
UNCONFINED = "only the container build may run without seccomp and AppArmor profiles"
VOLUMES = "volumes may only be emptyDir, configMap, secret, projected or downwardAPI: more"
SECRETS = "build pods must not mount Secrets of the namespace, such as a runner's token: more"
VARIABLES = "build pods must not read Secrets of the namespace into variables, such as a runner's token: build"
SERVICE_ACCOUNT = "the service account of a build pod must be builds"
TOLERATIONS = "build pods may tolerate only the taint buildyard.dev/builds"
API_TOKEN = "build pods must not have a token for the Kubernetes API"
CONFIG_MAPS = "build pods must not mount ConfigMaps of the namespace"

DOCTORED: dict[str, tuple[Doctor, str]] = {
    "the node's network": (change("pod", hostNetwork=True), ON_NODE),
    "the node's processes": (change("pod", hostPID=True), ON_NODE),
    "the node's IPC": (change("pod", hostIPC=True), ON_NODE),
    "a folder of the node": (volume(hostPath={"path": "/"}), VOLUMES),
    "the kept state of a stack that keeps none": (volume(hostPath={"path": HOST_FOLDER}), VOLUMES),
    "a volume that outlives the job": (volume(persistentVolumeClaim={"claimName": "data"}), VOLUMES),
    "a volume of a network driver": (volume(csi={"driver": "efs.csi.aws.com"}), VOLUMES),
    "privileged": (change("build", securityContext={"privileged": True}), "containers must not be privileged: build"),
    "a privileged service": (
        change("svc-0", securityContext={"privileged": True}),
        "containers must not be privileged: svc-0",
    ),
    "a privileged init container": (
        change("init-permissions", securityContext={"privileged": True}),
        "containers must not be privileged: init-permissions",
    ),
    "a capability": (
        change("build", securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
        "containers must not add capabilities: build",
    ),
    "an SELinux type": (
        change("build", securityContext={"seLinuxOptions": {"type": "spc_t"}}),
        "containers must not choose their SELinux type: build",
    ),
    "an SELinux type of the pod": (
        change("pod", securityContext={"seLinuxOptions": {"type": "spc_t"}}),
        "containers must not choose their SELinux type: build, helper, svc-0",
    ),
    "parameters of the kernel": (
        change("pod", securityContext={"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "1"}]}),
        "the pod sets parameters of the kernel: remove sysctls",
    ),
    "root in a container": (change("helper", securityContext={"runAsUser": 0}), f"{ROOT}: helper"),
    "root in the pod": (
        root_in_pod,
        f"{ROOT}: build",
    ),
    "a user that the image chooses": (
        change("pod", securityContext={"runAsNonRoot": None}),
        f"{ROOT}: build, helper, svc-0, init-build-uid-gid-collector, init-permissions",
    ),
    "a container that may be root": (change("svc-0", securityContext={"runAsNonRoot": False}), f"{ROOT}: svc-0"),
    "a port of the node": (
        change("svc-0", ports=[{"containerPort": 80, "hostPort": 8080}]),
        "containers must not use ports of the node: svc-0",
    ),
    "a node by its name": (
        change("pod", nodeName="ip-10-0-0-1"),
        "the pod chooses its node by name: remove nodeName, so that the scheduler obeys the nodes' taints",
    ),
    "a priority of the system": (
        change("pod", priorityClassName="system-node-critical"),
        "the pod takes a priority of the system's pods: remove priorityClassName",
    ),
    "another service account": (change("pod", serviceAccountName="default"), SERVICE_ACCOUNT),
    "the manager's service account": (change("pod", serviceAccountName=f"{NAME}-arm64"), SERVICE_ACCOUNT),
    "no label": (without_label, f"the label {BUILD_POD} is missing, by which the network policy knows build pods"),
    "no build nodes": (without_selector, "the node selector of a build pod must have buildyard.dev/builds: test"),
    "another stack's nodes": (
        change("pod", nodeSelector={BUILDS: "prod"}),
        "the node selector of a build pod must have buildyard.dev/builds: test",
    ),
    "nodes with other taints": (
        lambda pod: pod["spec"]["tolerations"].append({"key": "databases", "operator": "Exists"}),
        TOLERATIONS,
    ),
    "nodes with any taint": (lambda pod: pod["spec"]["tolerations"].append({"operator": "Exists"}), TOLERATIONS),
    "a helper without a seccomp profile": (
        change("helper", securityContext={"seccompProfile": {"type": "Unconfined"}}),
        f"{UNCONFINED}: helper",
    ),
    "a service without an AppArmor profile": (
        change("svc-0", securityContext={"appArmorProfile": {"type": "Unconfined"}}),
        f"{UNCONFINED}: svc-0",
    ),
    "a pod without a seccomp profile": (
        change("pod", securityContext={"seccompProfile": None}),
        f"{UNCONFINED}: helper, svc-0, init-permissions",
    ),
    "a Secret as a volume": (volume(secret={"secretName": f"{NAME}-arm64"}), SECRETS),
    "a Secret in a projected volume": (projected(secret={"name": f"{NAME}-arm64"}), SECRETS),
    "a Secret in a variable": (
        change("build", env=[{"name": "TOKEN", "valueFrom": {"secretKeyRef": SECRET}}]),
        VARIABLES,
    ),
    "a Secret as variables": (change("build", envFrom=[{"secretRef": {"name": f"{NAME}-arm64"}}]), VARIABLES),
    "a ConfigMap as a volume": (volume(configMap={"name": f"{NAME}-arm64"}), f"{CONFIG_MAPS}: more"),
    "a ConfigMap in a projected volume": (projected(configMap={"name": CA_CONFIG_MAP}), f"{CONFIG_MAPS}: more"),
    "a token for the Kubernetes API": (
        projected(serviceAccountToken={"path": "token"}),
        f"{API_TOKEN}: more",
    ),
    "the usual token of a pod": (change("pod", automountServiceAccountToken=True), f"{API_TOKEN}: kube-api-access-"),
}


def test_jobs_are_admitted(stack: Deployed) -> None:
    stack.admitted(stack.job_pod())
    stack.admitted(stack.job_pod(Job(image="python:3.13", services=["postgres:16", "redis:7"])))


@pytest.mark.parametrize("resource", ["CPU", "MEMORY", "EPHEMERAL_STORAGE"])
def test_jobs_at_the_ceiling_are_admitted(stack: Deployed, resource: str) -> None:
    ceiling = {"CPU": "8", "MEMORY": "15Gi", "EPHEMERAL_STORAGE": "50Gi"}[resource]
    limit = {f"KUBERNETES_{resource}_LIMIT": ceiling}
    stack.admitted(stack.job_pod(Job(variables={**limit, f"KUBERNETES_{resource}_REQUEST": ceiling})))


@pytest.mark.parametrize("doctored", DOCTORED)
def test_a_doctored_pod_is_refused(stack: Deployed, doctored: str) -> None:
    doctor, reason = DOCTORED[doctored]
    pod = copy.deepcopy(stack.job_pod(Job(services=["postgres:16"])))
    doctor(pod)
    assert f"denied request: {reason}" in refused(stack, pod)


@pytest.mark.parametrize("audience", ["pods.eks.amazonaws.com", "sts.amazonaws.com"])
def test_the_tokens_that_eks_mounts_are_admitted(stack: Deployed, audience: str) -> None:
    pod = stack.job_pod()
    projected(serviceAccountToken={"audience": audience, "path": "token"})(pod)
    stack.admitted(pod)


def test_managers_are_admitted(stack: Deployed) -> None:
    stack.admitted(stack.manager_pod(), REPLICA_SETS)


def test_a_managers_stolen_token_starts_no_pod_with_its_rights(stack: Deployed) -> None:
    assert SERVICE_ACCOUNT in refused(stack, stack.manager_pod(), stack.manager)


def test_not_even_a_manager_runs_as_root(stack: Deployed) -> None:
    pod = copy.deepcopy(stack.manager_pod())
    pod["spec"]["containers"][0]["securityContext"]["runAsUser"] = 0
    assert ROOT in refused(stack, pod, REPLICA_SETS)


def test_people_cannot_start_other_pods_in_the_namespace(stack: Deployed) -> None:
    pod = {"name": "shell", "image": "alpine", "securityContext": {"runAsNonRoot": True}}
    metadata = {"name": "shell", "namespace": stack.namespace}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [pod]}}
    with pytest.raises(RefusalError, match="ValidatingAdmissionPolicy"):
        stack.api.create(manifest, dry_run=True)


def test_other_namespaces_are_left_alone(api_server: ApiServer, stack: Deployed) -> None:
    api_server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
    create_default_account(api_server, "elsewhere")
    spec = {"hostNetwork": True, "containers": [{"name": "agent", "image": "agent"}]}
    metadata = {"name": "agent", "namespace": "elsewhere"}
    api_server.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, dry_run=True)


def test_a_running_build_pod_stays_what_it_is(api_server: ApiServer) -> None:
    running = deploy(api_server, runners={"namespace": "running"})
    pod = running.job_pod()
    api_server.create(pod, user=running.manager)
    path = f"{api_server.collection(pod)}/{pod['metadata']['name']}"
    merge = "application/merge-patch+json"
    with pytest.raises(RefusalError, match=f"the label {BUILD_POD} is missing"):
        api_server.request("PATCH", path, {"metadata": {"labels": {BUILD_POD: None}}}, media_type=merge)
    debugger = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "alpine"}]}}
    with pytest.raises(RefusalError, match="ephemeral containers, as kubectl debug adds them, are not admitted"):
        api_server.request(
            "PATCH", f"{path}/ephemeralcontainers", debugger, media_type="application/strategic-merge-patch+json"
        )
    api_server.request("PATCH", path, {"metadata": {"annotations": {"a": "b"}}}, media_type=merge)


def test_user_namespaces_are_required_where_the_settings_say_so(api_server: ApiServer) -> None:
    isolated = deploy(api_server, runners={"namespace": "isolated", "user-namespaces": True})
    pod = isolated.job_pod()
    assert isolated.admitted(pod)["spec"]["hostUsers"] is False
    del pod["spec"]["hostUsers"]
    assert "build pods must have a user namespace: set hostUsers to false" in refused(isolated, pod)


def test_the_companys_authorities_are_the_only_config_map_of_a_job(api_server: ApiServer) -> None:
    proxy = {"https": "http://10.0.9.9:3128"}
    company = deploy(api_server, runners={"namespace": "company"}, network={"ca-bundle": authority(), "proxy": proxy})
    pod = company.job_pod(Job(services=["postgres:16"]))
    admitted = company.admitted(pod)
    for container in admitted["spec"]["containers"]:
        mounted = {each["name"]: each for each in container["volumeMounts"]}
        assert mounted[CA_CONFIG_MAP] == {"name": CA_CONFIG_MAP, "mountPath": CA_FOLDER, "readOnly": True}
        assert {"name": "HTTPS_PROXY", "value": "http://10.0.9.9:3128"} in container["env"]
    another = copy.deepcopy(pod)
    volume(configMap={"name": f"{NAME}-arm64"})(another)
    assert f"{CONFIG_MAPS}, except {CA_CONFIG_MAP}: more" in refused(company, another)


def test_proc_stays_masked(api_server: ApiServer, stack: Deployed) -> None:
    pod = stack.job_pod()
    pod["spec"]["hostUsers"] = False  # without it, the API server refuses this by itself
    change("build", securityContext={"procMount": "Unmasked"})(pod)
    assert "containers must not unmask /proc: build" in refused(stack, pod)


@pytest.fixture(scope="module")
def cached(api_server: ApiServer) -> Deployed:
    """A stack whose arm64 nodes have a disk that keeps BuildKit's state, and some of them are warm."""
    types = {"arm64": "m7g.4xlarge", "amd64": "m7i.4xlarge"}
    nodes: dict[str, Any] = {architecture: {"instance-types": [each]} for architecture, each in types.items()}
    nodes["arm64"]["cache"] = {"size": "100Gi"}
    return deploy(api_server, nodes=nodes, runners={"namespace": "cached", "warm": {"when": "always"}})


def test_jobs_mount_the_state_that_their_node_keeps(cached: Deployed) -> None:
    admitted = cached.admitted(cached.job_pod())
    [kept] = [each["hostPath"] for each in admitted["spec"]["volumes"] if each["name"] == VOLUME]
    assert kept["path"] == HOST_FOLDER
    for container in admitted["spec"]["containers"]:
        assert {"name": VOLUME, "mountPath": JOB_FOLDER} in container["volumeMounts"]
        assert {"name": STATE_VARIABLE, "value": JOB_FOLDER} in container["env"]
    other = job_pod(cached.stack, f"{NAME}-amd64", Job())
    assert VOLUME not in {each["name"] for each in other["spec"]["volumes"]}, "its nodes have no such disk"
    cached.admitted(other)


KEPT = f"{VOLUMES.removesuffix(': more')}, and in build pods the hostPath {HOST_FOLDER}: "


@pytest.mark.parametrize(
    "path", ["/", "/mnt", f"{HOST_FOLDER}/", f"{HOST_FOLDER}/x", f"/{HOST_FOLDER}", f"{HOST_FOLDER}x", "/var/run"]
)
def test_no_other_folder_of_the_node_is_mounted(cached: Deployed, path: str) -> None:
    pod = cached.job_pod()
    volume(hostPath={"path": path})(pod)
    assert f"denied request: {KEPT}more" in refused(cached, pod)


def test_nothing_above_the_kept_state_is_mounted(cached: Deployed) -> None:
    pod = cached.job_pod()
    volume(hostPath={"path": f"{HOST_FOLDER}/.."})(pod)
    with pytest.raises(RefusalError, match=r"must not contain '\.\.'"):
        cached.admitted(pod)


@pytest.mark.parametrize("key", ["subPath", "subPathExpr"])
@pytest.mark.parametrize("container", ["build", "init-permissions"])
def test_the_kept_state_is_mounted_as_a_whole(cached: Deployed, container: str, key: str) -> None:
    pod = copy.deepcopy(cached.job_pod())
    everything = [*pod["spec"]["containers"], *pod["spec"]["initContainers"]]
    [changed] = [each for each in everything if each["name"] == container]
    changed["volumeMounts"] = [{**each, key: "x"} for each in changed["volumeMounts"] if each["name"] == VOLUME]
    reason = f"containers must mount a hostPath as a whole: remove subPath and subPathExpr: {container}"
    assert f"denied request: {reason}" in refused(cached, pod)


def test_pause_pods_and_managers_do_not_mount_the_kept_state(cached: Deployed) -> None:
    config = cached.stack.of("helm.sh:Release")[f"{NAME}-arm64"].plain()["values"]["runners"]["config"]
    template = pause_deployment_of(rendered_config(config), replicas=1)["spec"]["template"]
    pause = {"apiVersion": "v1", "kind": "Pod", **template}
    pause["metadata"] |= {"name": "pause", "namespace": cached.namespace}
    for pod in (pause, cached.manager_pod()):
        cached.admitted(pod, REPLICA_SETS)
        mounting = copy.deepcopy(pod)
        mounting["spec"].setdefault("volumes", []).append({"name": "more", "hostPath": {"path": HOST_FOLDER}})
        assert f"denied request: {KEPT}more" in refused(cached, mounting, REPLICA_SETS)
