"""Every job must fit a node."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from stacks.cluster import Nodes
from stacks.quantities import GIBIBYTE, Quantity
from stacks.runners import Resources
from stacks.sizing import Amounts, InstanceType, allocatable, check_fit, job_requests
from tests.stacks.stack_settings import project, settings

# As EC2 describes them.
INSTANCE_TYPES = {
    "m7g.large": InstanceType(
        vcpus=2, memory_mib=8192, architectures=("arm64",), network_interfaces=3, addresses_per_interface=10
    ),
    "m7g.4xlarge": InstanceType(
        vcpus=16, memory_mib=65536, architectures=("arm64",), network_interfaces=8, addresses_per_interface=30
    ),
    "m7i.4xlarge": InstanceType(
        vcpus=16, memory_mib=65536, architectures=("x86_64",), network_interfaces=8, addresses_per_interface=30
    ),
}
NODES = Nodes.model_validate({"instance-types": ["m7g.large"]})
SEED = {
    "cpu": {"request": "6", "limit": "8"},
    "memory": {"request": "13Gi", "limit": "15Gi"},
    "ephemeral-storage": {"request": "50Gi"},
}


def test_allocatable_resources_are_without_what_eks_reserves() -> None:
    node = allocatable(INSTANCE_TYPES["m7g.4xlarge"], Nodes.model_validate({"instance-types": ["m7g.4xlarge"]}))
    assert INSTANCE_TYPES["m7g.4xlarge"].max_pods == 234
    assert str(node.cpu) == "15.890", "6 % of a core, 1 % of a second, 0.5 % of two, 0.25 % of twelve"
    assert Quantity("56Gi").value < node.memory < Quantity("57Gi").value
    assert node.ephemeral_storage == Quantity("179Gi").value, "kubelet keeps a tenth free, and 1Gi is reserved"


@pytest.mark.parametrize(
    ("vcpus", "cpu"), [(1, "0.94"), (2, "1.93"), (3, "2.925"), (4, "3.92"), (5, "4.917"), (16, "15.89")]
)
def test_reserved_cpu_follows_the_number_of_cores(vcpus: int, cpu: str) -> None:
    assert allocatable(replace(INSTANCE_TYPES["m7g.large"], vcpus=vcpus), NODES).cpu == Decimal(cpu)


def test_reserved_memory_follows_the_number_of_pods() -> None:
    large = INSTANCE_TYPES["m7g.large"]
    assert large.max_pods == 29
    mebibytes = Decimal(8192) * Decimal("0.925") - 255 - 11 * 29 - 100
    assert allocatable(large, NODES).memory == int(mebibytes * 1024**2), "Kubernetes counts whole bytes"


def test_a_pod_may_fill_a_node_exactly() -> None:
    node = Amounts(cpu=Decimal(2), memory=4 * GIBIBYTE, ephemeral_storage=50 * GIBIBYTE)
    assert node.fit(node)
    for field in ("cpu", "memory", "ephemeral_storage"):
        assert not replace(node, **{field: getattr(node, field) + 1}).fit(node), f"{field} is not checked"


def test_a_pod_without_a_request_requests_its_limit_and_its_helper_counts() -> None:
    none: dict[str, Any] = {"cpu": {}, "memory": {}, "ephemeral-storage": {}}
    stack = settings(
        nodes={"arm64": {"instance-types": ["m7g.large"], "disk": "20Gi"}},
        runners={
            "defaults": {**none, "cpu": {"limit": "1500m"}, "memory": {"limit": "6Gi"}},
            "helper": {
                "cpu": {"request": "431m"},
                "memory": {"limit": "2Gi"},
                "ephemeral-storage": {"request": "30Gi"},
            },
        },
    )
    [problem] = check_fit(stack, INSTANCE_TYPES)
    assert problem.path == "buildyard:runners.defaults"
    assert problem.message == (
        "a job with the default resources asks for 1.93 CPU, 8Gi of memory and 30Gi of ephemeral storage, "
        "helper container included, and fits no arm64 node"
    )
    assert problem.hint == (
        "The largest, m7g.large, has 1.73 CPU, 6.49Gi of memory and 17Gi of ephemeral storage for jobs. "
        "Ask for less, or change the instance-types or disk of buildyard:nodes.arm64."
    )


def test_the_seeds_image_fits_the_default_nodes() -> None:
    assert not list(check_fit(settings(projects=[project({"name": "toolbox", "resources": SEED})]), INSTANCE_TYPES))


def test_a_job_that_fits_no_node_is_refused_with_the_largest_nodes_resources() -> None:
    stack = settings(
        nodes={"arm64": {"instance-types": ["m7g.large"]}, "amd64": {"instance-types": ["m7i.4xlarge"]}},
        projects=[project({"name": "toolbox", "resources": SEED})],
    )
    problems = {problem.path: problem for problem in check_fit(stack, INSTANCE_TYPES)}
    image = problems["buildyard:projects[0].images[0].resources"]
    assert "6.1 CPU" in image.message, "the helper container counts"
    assert "m7g.large" in image.hint
    assert "arm64" in image.hint
    assert "buildyard:runners.defaults" in problems, "2 CPU and a helper do not fit 2 vCPUs either"


def test_a_node_without_fit_is_described_in_full() -> None:
    amounts = Amounts(cpu=Decimal("15.899"), memory=57 * GIBIBYTE - 1, ephemeral_storage=179 * GIBIBYTE)
    assert str(amounts) == "15.89 CPU, 56.99Gi of memory and 179Gi of ephemeral storage"


def test_the_largest_node_is_the_one_with_the_most_memory() -> None:
    stack = settings(
        nodes={"arm64": {"instance-types": ["m7g.large", "m7g.4xlarge", "m7g.2xlarge"]}},
        projects=[project({"name": "toolbox", "resources": {"ephemeral-storage": {"request": "50Gi"}}})],
        runners={"defaults": {"memory": {"request": "70Gi", "limit": "70Gi"}}, "ceilings": {"memory": "70Gi"}},
    )
    smaller = replace(INSTANCE_TYPES["m7g.4xlarge"], vcpus=8, memory_mib=32768)
    found = list(check_fit(stack, {**INSTANCE_TYPES, "m7g.2xlarge": smaller}))
    assert found
    assert all("The largest, m7g.4xlarge, has 15.69 CPU" in problem.hint for problem in found)


def test_a_job_must_fit_every_instance_type() -> None:
    stack = settings(
        nodes={"arm64": {"instance-types": ["m7g.large", "m7g.4xlarge"]}},
        projects=[project({"name": "toolbox", "resources": SEED})],
    )
    found = {problem.path: problem for problem in check_fit(stack, INSTANCE_TYPES)}
    image = found["buildyard:projects[0].images[0].resources"]
    assert image.message.endswith("does not fit m7g.large"), "with spot, EC2 could start the type that is too small"
    assert image.hint == (
        "m7g.large has 1.73 CPU, 6.49Gi of memory and 179Gi of ephemeral storage for jobs. Ask for less, or remove "
        "what is too small from buildyard:nodes.arm64.instance-types: EC2 may start any of them."
    )


def test_jobs_get_what_daemon_sets_leave() -> None:
    def found(cpu: str) -> list[str]:
        stack = settings(cluster={"name": "ci", "daemon-sets": {"cpu": cpu}}, nodes=LARGE, runners=SMALL_JOBS)
        return [problem.path for problem in check_fit(stack, INSTANCE_TYPES)]

    assert not found("330m"), "1.5 and 0.1 of 1.93 CPU are left"
    assert found("331m") == ["buildyard:runners.defaults"]


LARGE = {"arm64": {"instance-types": ["m7g.large"]}}
SMALL_JOBS = {
    "defaults": {"cpu": {"request": "1500m"}, "memory": {"request": "1Gi"}, "ephemeral-storage": {"request": "1Gi"}}
}


def test_a_disk_that_cannot_hold_the_job_is_refused() -> None:
    stack = settings(
        nodes={"arm64": {"instance-types": ["m7g.4xlarge"], "disk": "50Gi"}},
        projects=[project({"name": "toolbox", "resources": SEED})],
    )
    (problem,) = check_fit(stack, INSTANCE_TYPES)
    assert "44Gi of ephemeral storage" in problem.hint


def test_an_instance_type_of_another_architecture_is_refused() -> None:
    stack = settings(nodes={"arm64": {"instance-types": ["m7g.4xlarge", "m7i.4xlarge"]}})
    (problem,) = check_fit(stack, INSTANCE_TYPES)
    assert problem.path == "buildyard:nodes.arm64.instance-types[1]"
    assert problem.message == "m7i.4xlarge has x86_64 processors"
    assert problem.hint == "Use instance types with arm64 processors."


def test_an_image_of_one_architecture_must_fit_only_its_nodes() -> None:
    stack = settings(
        nodes={"arm64": {"instance-types": ["m7g.large"]}, "amd64": {"instance-types": ["m7i.4xlarge"]}},
        runners={"defaults": {"cpu": {"request": "1", "limit": "4"}, "memory": {"request": "2Gi"}}},
        projects=[project({"name": "toolbox", "resources": SEED, "architectures": ["amd64"]})],
    )
    assert not list(check_fit(stack, INSTANCE_TYPES))


def test_requests_are_rounded_up_as_the_scheduler_rounds_them() -> None:
    stack = settings(runners={"helper": {"cpu": {"request": "0.0001"}, "memory": {"request": "0.5"}}})
    build = Resources.model_validate({"cpu": {"request": "0.0001"}, "memory": {"request": "0.5"}})
    pod = job_requests(stack, build)
    assert (pod.cpu, pod.memory) == (Decimal("0.002"), Decimal(2)), "each container's request is a whole number"
