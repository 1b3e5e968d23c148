"""Where Kubernetes' own scheduler puts the pods of jobs and managers, and whether it agrees with `stacks.sizing`."""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from components.labels import BUILDS, NODE_GROUP
from pipeline.jobs.resources import overwrites
from stacks.architecture import Architecture
from stacks.cluster import Nodes
from stacks.quantities import Quantity
from stacks.runners import Resources
from stacks.settings import Settings
from stacks.sizing import Amounts, InstanceType, allocatable, free, job_requests
from stacks.trust import Tier
from tests.components.answers import INSTANCE_TYPES
from tests.components.mocks import NAME, Declared, declare
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.deployed import create_default_account, create_objects, job_pod, manifests_of
from tests.kubernetes.runner_pods import Job, Object
from tests.kubernetes.scheduler import Scheduler, scheduler
from tests.stacks.stack_settings import project, settings

pytestmark = pytest.mark.kubernetes

NODES = {
    "arm64": {"instance-types": ["m7g.4xlarge", "c7g.8xlarge"]},
    "amd64": {"instance-types": ["m7i.4xlarge", "m6i.4xlarge"]},
}
LARGEST = {
    "cpu": {"request": "8", "limit": "8"},
    "memory": {"request": "15Gi", "limit": "15Gi"},
    "ephemeral-storage": {"request": "50Gi", "limit": "50Gi"},
}
STACK = settings(
    trust="isolated",
    nodes=NODES,
    runners={"namespace": "scheduling"},
    projects=[
        project(
            {"name": "small"},
            {"name": "largest", "resources": LARGEST},
            {"name": "one", "architectures": ["amd64"]},
        )
    ],
)
ORDINARY = "shop"
"""A namespace of others."""
NUMBERS = count()


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A stack's objects, a node of each instance type of its node groups, and nodes that are not its own."""

    scheduler: Scheduler
    stack: Declared
    groups: Mapping[str, str]
    """The node group of each build node."""


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    stack = declare(STACK)
    create_objects(api_server, stack)
    api_server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ORDINARY}})
    create_default_account(api_server, ORDINARY)
    groups: dict[str, str] = {}
    with scheduler(api_server, tmp_path_factory.mktemp("scheduler")) as running:
        for group in stack.of("eks:NodeGroup").values():
            for instance_type in group.inputs["instanceTypes"]:
                name = f"{group.name}-{instance_type}"
                add_build_node(running, name, group, instance_type)
                groups[name] = group.name
        for architecture in Architecture:
            labels = {"kubernetes.io/arch": str(architecture), "kubernetes.io/os": "linux"}
            running.add_node(f"general-{architecture}", labels=labels, allocatable=plenty())
            others = {"key": BUILDS, "value": "true", "effect": "NoSchedule"}
            running.add_node(
                f"other-{architecture}",
                labels={**labels, BUILDS: "other", NODE_GROUP: "other"},
                taints=[others],
                allocatable=plenty(),
            )
        yield Cluster(scheduler=running, stack=stack, groups=groups)
        for name in [*groups, *(f"{kind}-{each}" for kind in ("general", "other") for each in Architecture)]:
            running.remove_node(name)


def plenty() -> dict[str, str]:
    return {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti"}


def add_build_node(running: Scheduler, name: str, group: Any, instance_type: str) -> None:
    """A node as EKS starts it in a node group, with the resources that `sizing` computes."""
    effects = {"NO_SCHEDULE": "NoSchedule"}
    vcpus, memory, processor = INSTANCE_TYPES[instance_type]
    architecture = next(each for each in Architecture if each.instance_architecture == processor)
    described = InstanceType(
        vcpus=vcpus,
        memory_mib=memory,
        architectures=(processor,),
        network_interfaces=8,
        addresses_per_interface=30,
    )
    running.add_node(
        name,
        labels={
            **group.inputs["labels"],
            NODE_GROUP: f"{group.name}-abc1234",
            "kubernetes.io/arch": str(architecture),
            "kubernetes.io/os": "linux",
        },
        taints=[{**taint, "effect": effects[taint["effect"]]} for taint in group.inputs["taints"]],
        allocatable=amounts(allocatable(described, STACK.nodes[architecture])),
    )


def amounts(given: Amounts) -> dict[str, str]:
    """A node's status: whole thousandths of cores, and whole bytes."""
    return {
        "cpu": f"{math.floor(given.cpu * 1000)}m",
        "memory": str(math.floor(given.memory)),
        "ephemeral-storage": str(math.floor(given.ephemeral_storage)),
    }


def unique(pod: Object) -> Object:
    """The same pod under a name of its own."""
    renamed = copy.deepcopy(pod)
    renamed["metadata"]["name"] = f"{pod['metadata']['name']}-{next(NUMBERS)}"
    return renamed


def manager(tier: Tier, architecture: Architecture) -> str:
    return f"{tier.of(NAME)}-{architecture}"


def job_of(stack: Settings, image: str, architecture: Architecture) -> Job:
    """An image's build job, with the variables that the pipeline gives it."""
    [found] = [each for each in stack.projects[0].images if each.name == image]
    variables = overwrites(stack.resources_of(found), stack.runners.defaults)
    return Job(variables={name: str(value) for name, value in variables.items()})


@pytest.mark.parametrize("image", ["small", "largest", "one"])
@pytest.mark.parametrize("tier", Tier)
def test_a_job_runs_on_nodes_of_its_tier_and_architecture(cluster: Cluster, tier: Tier, image: str) -> None:
    [found] = [each for each in STACK.projects[0].images if each.name == image]
    for architecture in STACK.architectures_of(found):
        name = manager(tier, architecture)
        pod = unique(job_pod(cluster.stack, name, job_of(STACK, image, architecture)))
        decided = cluster.scheduler.schedule(pod, user=f"system:serviceaccount:{pod['metadata']['namespace']}:{name}")
        cluster.scheduler.delete(pod)
        assert decided.node, decided.reason
        assert cluster.groups.get(decided.node) == name, f"a build for {name} runs on {decided.node}"


def test_a_job_of_the_largest_size_fits_every_instance_type(cluster: Cluster) -> None:
    for node, group in cluster.groups.items():
        tier = Tier.UNPROTECTED if "unprotected" in group else Tier.PROTECTED
        architecture = Architecture(group.rpartition("-")[2])
        pod = unique(job_pod(cluster.stack, manager(tier, architecture), job_of(STACK, "largest", architecture)))
        pod["spec"]["nodeSelector"]["kubernetes.io/hostname"] = node
        merge = "application/merge-patch+json"
        labels = {"metadata": {"labels": {"kubernetes.io/hostname": node}}}
        cluster.scheduler.api.request("PATCH", f"/api/v1/nodes/{node}", labels, media_type=merge)
        decided = cluster.scheduler.schedule(pod)
        cluster.scheduler.delete(pod)
        assert decided.node == node, f"a spot node of this type would never get the job: {decided.reason}"


def test_managers_stay_off_build_nodes(cluster: Cluster) -> None:
    deployments = [each for each in manifests_of(cluster.stack) if each["kind"] == "Deployment"]
    assert len(deployments) == len(Tier) * len(Architecture)
    for deployment in deployments:
        template = deployment["spec"]["template"]
        namespace = deployment["metadata"]["namespace"]
        metadata = {**template["metadata"], "name": deployment["metadata"]["name"], "namespace": namespace}
        pod = unique({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
        decided = cluster.scheduler.schedule(pod)
        cluster.scheduler.delete(pod)
        assert decided.node in {f"general-{architecture}" for architecture in Architecture}, (
            "a manager keeps a build node alive, and dies with it"
        )


def test_other_pods_stay_off_build_nodes(cluster: Cluster) -> None:
    container = {"name": "shop", "image": "shop", "resources": {"requests": {"cpu": "65"}}}
    metadata = {"name": "shop", "namespace": ORDINARY}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    decided = cluster.scheduler.schedule(pod)
    cluster.scheduler.delete(pod)
    assert decided.node is None
    tainted = len(cluster.groups) + len(Architecture)
    assert f"{tainted} node(s) had untolerated taint(s)" in decided.reason, "it could run on a build node"


AROUND = st.sampled_from([Decimal("-0.001"), Decimal("-0.0001"), Decimal(0), Decimal("0.0001"), Decimal("0.001")])
BYTES_AROUND = st.sampled_from([Decimal(-1), Decimal("-0.5"), Decimal(0), Decimal("0.5"), Decimal(1)])


@run_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    vcpus=st.sampled_from([2, 4, 8, 16, 48, 96]),
    memory_gib=st.sampled_from([8, 16, 64, 192, 768]),
    disk=st.sampled_from(["50Gi", "200Gi", "1Ti"]),
    daemons=st.sampled_from(["0", "150m", "333.3m"]),
    helper=st.sampled_from(["100m", "0.0333", "1"]),
    cpu=AROUND,
    memory=BYTES_AROUND,
    storage=BYTES_AROUND,
)
def test_sizes_that_are_accepted_are_those_that_are_scheduled(
    cluster: Cluster,
    vcpus: int,
    memory_gib: int,
    disk: str,
    daemons: str,
    helper: str,
    cpu: Decimal,
    memory: Decimal,
    storage: Decimal,
) -> None:
    described = InstanceType(
        vcpus=vcpus,
        memory_mib=memory_gib * 1024,
        architectures=("arm64",),
        network_interfaces=3,
        addresses_per_interface=10,
    )
    nodes = Nodes.model_validate({"instance-types": ["m7g.large"], "disk": disk})
    base = settings(
        cluster={"name": "ci", "daemon-sets": {"cpu": daemons}},
        runners={"namespace": "scheduling", "helper": {**HELPER, "cpu": {"request": helper}}},
    )
    room = free(base, described, nodes)
    rest = room.without(job_requests(base, Resources()))
    build = Resources.model_validate(
        {
            "cpu": {"request": quantity(rest.cpu + cpu)},
            "memory": {"request": quantity(rest.memory + memory)},
            "ephemeral-storage": {"request": quantity(rest.ephemeral_storage + storage)},
        }
    )
    accepted = job_requests(base, build).fit(room)
    assert scheduled(cluster, base, described, nodes, build) == accepted


HELPER = {"memory": {"request": "256Mi"}, "ephemeral-storage": {"request": "100Mi"}}


def quantity(amount: Decimal) -> str:
    return f"{max(amount, Decimal(0)):f}"


def scheduled(cluster: Cluster, base: Settings, described: InstanceType, nodes: Nodes, build: Resources) -> bool:
    """Whether a job's pod gets a node of this type, on which pods of DaemonSets run already."""
    running, node = cluster.scheduler, f"sized-{next(NUMBERS)}"
    selector = {"kubernetes.io/hostname": node}
    running.add_node(node, labels=selector, allocatable=amounts(allocatable(described, nodes)))
    daemons = dict(base.cluster.daemon_sets)
    pods = [
        sized(selector, "daemon", {name: Quantity(str(value)) for name, value in daemons.items()}),
        sized(selector, "job", {name: bounds.request for name, bounds in build}, base.runners.helper),
    ]
    try:
        decisions = [running.schedule(pod).node for pod in pods]
    finally:
        for pod in pods:
            running.delete(pod)
        running.remove_node(node)
    assert decisions[0], "the DaemonSets' pods do not fit"
    return decisions[1] == node


def sized(
    selector: Mapping[str, str],
    name: str,
    build: Mapping[str, Quantity | None],
    helper: Resources | None = None,
) -> Object:
    """A pod with the containers of a job's, whose requests are these."""
    requests = {
        "build": build,
        "helper": {each: bounds.request for each, bounds in helper} if helper else dict.fromkeys(build),
    }
    containers = [
        {
            "name": container,
            "image": "sized",
            "resources": {
                "requests": {each.replace("_", "-"): str(value or 0) for each, value in requests[container].items()}
            },
        }
        for container in requests
    ]
    metadata = {"name": f"{name}-{next(NUMBERS)}", "namespace": ORDINARY}
    spec = {"containers": containers, "nodeSelector": dict(selector), "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
