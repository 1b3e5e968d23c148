"""Pause pods: which the API server admits, and that the scheduler removes them for a job, and never a build."""

import copy
from collections.abc import Callable, Iterator

import pytest

from components.labels import PAUSE_POD
from sandbox.providers.kubernetes.runner_chart import rendered_config
from stacks.architecture import Architecture
from tests.components.mocks import NAME
from tests.kubernetes.api_server import ApiServer, RefusalError
from tests.kubernetes.deployed import REPLICA_SETS, Deployed, deploy
from tests.kubernetes.runner_pods import Object, pause_deployment_of
from tests.kubernetes.scheduler import Scheduler, scheduler

pytestmark = pytest.mark.kubernetes

JOBS = 3


@pytest.fixture(scope="module")
def warm(api_server: ApiServer) -> Deployed:
    """A stack that keeps capacity for three jobs."""
    return deploy(api_server, runners={"namespace": "warm", "warm": {"when": "always", "jobs": JOBS}})


def pause_deployment(warm: Deployed) -> Object:
    values = warm.stack.of("helm.sh:Release")[f"{NAME}-arm64"].plain()["values"]
    return pause_deployment_of(rendered_config(values["runners"]["config"]), JOBS)


def pause_pod(warm: Deployed, name: str = "pause") -> Object:
    """A pod of the Deployment, as the controller makes it."""
    deployment = pause_deployment(warm)
    template = copy.deepcopy(deployment["spec"]["template"])
    metadata = {**template["metadata"], "name": name, "namespace": deployment["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def test_the_manager_may_keep_pause_pods(warm: Deployed) -> None:
    deployment = pause_deployment(warm)
    path = warm.api.collection(deployment)
    warm.api.request("POST", path, deployment, user=warm.manager, dry_run=True)
    assert "items" in warm.api.request("GET", path, user=warm.manager)


def test_pause_pods_are_admitted(warm: Deployed) -> None:
    pod = warm.admitted(pause_pod(warm), REPLICA_SETS)
    assert pod["spec"]["priority"] == -1, "a job, whose priority is 0, would not get its place"
    assert pod["spec"]["preemptionPolicy"] == "Never", "it would remove another pod to hold a place"


Doctor = Callable[[Object], None]


def own_command(pod: Object) -> None:
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", "env"]


def own_arguments(pod: Object) -> None:
    pod["spec"]["containers"][0]["args"] = ["1"]


def own_image(pod: Object) -> None:
    pod["spec"]["containers"][0]["image"] = "miner"


def a_hook(pod: Object) -> None:
    pod["spec"]["containers"][0]["lifecycle"] = {"postStart": {"exec": {"command": ["env"]}}}


def managers_account(pod: Object) -> None:
    pod["spec"]["serviceAccountName"] = f"{NAME}-arm64"


def no_priority(pod: Object) -> None:
    del pod["spec"]["priorityClassName"]


def other_nodes(pod: Object) -> None:
    del pod["spec"]["nodeSelector"]


def another_container(pod: Object) -> None:
    pod["spec"]["containers"].append({"name": "more", "image": "miner"})


REFUSED: list[tuple[Doctor, str]] = [
    (own_command, "a pause pod may only run the image"),
    (own_arguments, "a pause pod may only run the image"),
    (own_image, "a pause pod may only run the image"),
    (a_hook, "a pause pod may only run the image"),
    (another_container, "a pause pod may only run the image"),
    (managers_account, "the service account of a build pod must be builds"),
    (no_priority, "the priority class of a pause pod must be warm-pause"),
    (other_nodes, "the node selector of a build pod must have buildyard.dev/builds: test"),
]


@pytest.mark.parametrize(("doctor", "reason"), REFUSED, ids=[doctor.__name__ for doctor, _ in REFUSED])
def test_a_doctored_pause_pod_is_refused(warm: Deployed, doctor: Doctor, reason: str) -> None:
    pod = pause_pod(warm)
    doctor(pod)
    with pytest.raises(RefusalError) as caught:
        warm.admitted(pod, REPLICA_SETS)
    assert reason in str(caught.value)


def test_a_manager_may_create_no_other_deployment(warm: Deployed) -> None:
    deployment = pause_deployment(warm)
    del deployment["spec"]["template"]["metadata"]["labels"][PAUSE_POD]
    del deployment["spec"]["selector"]["matchLabels"][PAUSE_POD]
    with pytest.raises(RefusalError) as caught:
        warm.api.request("POST", warm.api.collection(deployment), deployment, user=warm.manager, dry_run=True)
    assert f"only Deployments of pods with the label {PAUSE_POD}" in str(caught.value)


def test_without_warm_capacity_a_manager_may_create_no_deployment(stack: Deployed, warm: Deployed) -> None:
    deployment = pause_deployment(warm)
    deployment["metadata"]["namespace"] = stack.namespace
    with pytest.raises(RefusalError) as caught:
        stack.api.request("POST", stack.api.collection(deployment), deployment, user=stack.manager, dry_run=True)
    assert "deployments.apps is forbidden" in str(caught.value)


@pytest.fixture
def one_node(warm: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler, and one build node with room for three jobs."""
    [group, _] = warm.stack.of("eks:NodeGroup").values()
    job = warm.job_pod()
    with scheduler(warm.api, tmp_path_factory.mktemp("scheduler")) as running:
        effects = {"NO_SCHEDULE": "NoSchedule"}
        running.add_node(
            "warm",
            labels={**job["spec"]["nodeSelector"], "kubernetes.io/arch": str(Architecture.ARM64)},
            taints=[{**taint, "effect": effects[taint["effect"]]} for taint in group.inputs["taints"]],
            allocatable={"cpu": "6500m", "memory": "13Gi", "ephemeral-storage": "100Gi"},
        )
        yield running
        for name in running.pods(warm.namespace):
            metadata = {"name": name, "namespace": warm.namespace}
            running.delete({"metadata": metadata})
        running.remove_node("warm")


def build_pod(warm: Deployed, name: str) -> Object:
    pod = warm.job_pod()
    pod["metadata"]["name"] = name
    return pod


def test_a_job_takes_the_place_of_a_pause_pod_and_never_of_a_build(warm: Deployed, one_node: Scheduler) -> None:
    builds = [build_pod(warm, f"build-{number}") for number in range(2)]
    assert one_node.schedule(builds[0], user=warm.manager).node == "warm"
    for number in range(2):
        pod = pause_pod(warm, f"pause-{number}")
        assert one_node.schedule(pod, user=REPLICA_SETS).node == "warm", "there is room for three jobs"

    one_node.api.create(builds[1], user=warm.manager)
    assert one_node.wait_for_node(builds[1]) == "warm", "the job waits for a node, although a place is kept"
    left = one_node.pods(warm.namespace)
    assert {"build-0", "build-1"} <= left, "a build was removed"
    assert len(left & {"pause-0", "pause-1"}) == 1, "one place was enough"

    third = build_pod(warm, "build-2")
    one_node.api.create(third, user=warm.manager)
    assert one_node.wait_for_node(third) == "warm"
    fourth = build_pod(warm, "build-3")
    decided = one_node.schedule(fourth, user=warm.manager)
    assert decided.node is None, "builds remove builds"
    assert one_node.pods(warm.namespace) == {"build-0", "build-1", "build-2", "build-3"}
