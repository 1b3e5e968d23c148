"""Check that every job fits a node: a pod that fits none stays pending, and no autoscaler says why."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from stacks.architecture import Architecture
from stacks.cluster import DaemonSets, Nodes
from stacks.problems import Problem
from stacks.quantities import GIBIBYTE, Quantity
from stacks.resource_checks import RESOURCES
from stacks.runners import Bounds, Resources
from stacks.settings import Settings
from stacks.warm import When

MEBIBYTE = Decimal(1024) ** 2

MEMORY_OVERHEAD = Decimal("0.075")
"""The share of an instance's memory that its firmware and kernel keep. Kubelet does not see it.

Karpenter assumes the same share by default (its `VM_MEMORY_OVERHEAD_PERCENT`).
"""


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """EC2's description of an instance type: vCPUs, memory in MiB, processors in EC2's words, and network cards."""

    vcpus: int
    memory_mib: int
    architectures: tuple[str, ...]
    network_interfaces: int
    addresses_per_interface: int

    @property
    def max_pods(self) -> int:
        """The pods that a node can run. Each needs an address, but the first of an interface is its own.

        Two pods use the host's network.

        Source: https://github.com/aws/amazon-vpc-cni-k8s
        """
        return self.network_interfaces * (self.addresses_per_interface - 1) + 2


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Cores, and bytes of memory and ephemeral storage: a node's allocatable resources, or a pod's requests."""

    cpu: Decimal
    memory: Decimal
    ephemeral_storage: Decimal

    def fit(self, node: "Amounts") -> bool:
        """Whether a pod with these requests fits a node with these free resources."""
        return all(getattr(self, field) <= getattr(node, field) for field in RESOURCES)

    def without(self, others: "Amounts | DaemonSets") -> "Amounts":
        """The rest of these amounts. None of them is negative."""

        def rest(field: str) -> Decimal:
            own: Decimal = getattr(self, field)
            return max(own - _whole(field, getattr(others, field), ROUND_CEILING), Decimal(0))

        return Amounts(**{field: rest(field) for field in RESOURCES})

    def __str__(self) -> str:
        cpu = f"{self.cpu.quantize(Decimal('0.01'), rounding='ROUND_DOWN').normalize():f} CPU"
        memory = f"{Quantity.gibibytes(self.memory / GIBIBYTE)} of memory"
        return f"{cpu}, {memory} and {Quantity.gibibytes(self.ephemeral_storage / GIBIBYTE)} of ephemeral storage"


def allocatable(instance_type: InstanceType, nodes: Nodes) -> Amounts:
    """A node's allocatable resources: its capacity without what EKS's AMIs reserve and the eviction thresholds.

    Source: https://awslabs.github.io/amazon-eks-ami/nodeadm/ (255Mi + 11Mi a pod; 6 % of the first core, 1 % of the
    second, 0.5 % of the next two, 0.25 % of the rest; 1Gi of storage; eviction at 100Mi of memory and 10 % of disk).
    """
    cores = instance_type.vcpus
    reserved_cores = (
        Decimal("0.06")
        + Decimal("0.01") * (cores >= 2)
        + Decimal("0.005") * max(0, min(cores, 4) - 2)
        + Decimal("0.0025") * max(0, cores - 4)
    )
    memory = instance_type.memory_mib * MEBIBYTE * (1 - MEMORY_OVERHEAD)
    amounts = {
        "cpu": cores - reserved_cores,
        "memory": memory - (255 + 11 * instance_type.max_pods + 100) * MEBIBYTE,
        "ephemeral_storage": nodes.disk.value * Decimal("0.9") - GIBIBYTE,
    }
    return Amounts(**{field: _whole(field, amount, ROUND_FLOOR) for field, amount in amounts.items()})


def check_fit(settings: Settings, instance_types: Mapping[str, InstanceType]) -> Iterator[Problem]:
    """Find instance types of the wrong processor, and jobs that are too large for one of the instance types.

    A job must fit every type: EC2 starts the one that it has, and Cluster Autoscaler takes all for equal.
    `instance_types` describes every instance type that the settings name.
    """
    for architecture, nodes in settings.nodes.items():
        key = f"buildyard:nodes.{architecture}.instance-types"
        for position, name in enumerate(nodes.instance_types):
            processors = instance_types[name].architectures
            if architecture.instance_architecture not in processors:
                yield Problem(
                    path=f"{key}[{position}]",
                    message=f"{name} has {' and '.join(processors)} processors",
                    hint=f"Use instance types with {architecture.instance_architecture} processors.",
                )
        by_type = {name: free(settings, instance_types[name], nodes) for name in nodes.instance_types}
        yield from _warm_fit(settings, architecture, by_type)
        for path, job, resources in _jobs(settings, architecture):
            pod = job_requests(settings, resources)
            too_small = [name for name, node in by_type.items() if not pod.fit(node)]
            asks = f"{job} asks for {pod}, helper container included, and"
            if len(too_small) == len(by_type):
                largest = max(by_type, key=lambda name: (by_type[name].memory, by_type[name].cpu))
                yield Problem(
                    path=path,
                    message=f"{asks} fits no {architecture} node",
                    hint=f"The largest, {largest}, has {by_type[largest]} for jobs. Ask for less, or change the "
                    f"instance-types or disk of buildyard:nodes.{architecture}.",
                )
            elif too_small:
                yield Problem(
                    path=path,
                    message=f"{asks} does not fit {' and '.join(too_small)}",
                    hint=f"{too_small[0]} has {by_type[too_small[0]]} for jobs. Ask for less, or remove what is too "
                    f"small from {key}: EC2 may start any of them.",
                )


def warm_nodes(settings: Settings, by_type: Iterable[Amounts]) -> int:
    """The nodes that the warm capacity of an architecture and tier needs, if they are of the smallest type.

    Raises ValueError if the default job fits no node.
    """
    pod = job_requests(settings, settings.runners.defaults)
    jobs_of_node = min(_how_many(pod, node) for node in by_type)
    if not jobs_of_node:
        raise ValueError("the default job fits no node")
    return math.ceil(settings.runners.warm.jobs / jobs_of_node)


def _how_many(pod: Amounts, node: Amounts) -> int:
    asked = {field: getattr(pod, field) for field in RESOURCES if getattr(pod, field)}
    return min((int(getattr(node, field) // amount) for field, amount in asked.items()), default=1)


def _warm_fit(settings: Settings, architecture: Architecture, by_type: Mapping[str, Amounts]) -> Iterator[Problem]:
    if settings.runners.warm.when is When.OFF:
        return
    with suppress(ValueError):  # of a job that fits no node, which is a problem of its own
        jobs, largest = settings.runners.warm.jobs, settings.nodes[architecture].max_size
        needed = warm_nodes(settings, by_type.values())
        if needed > largest:
            yield Problem(
                path="buildyard:runners.warm.jobs",
                message=f"{jobs} jobs need {needed} {architecture} nodes, and max-size is {largest}",
                hint=f"Keep fewer jobs warm, or raise buildyard:nodes.{architecture}.max-size.",
            )


def free(settings: Settings, instance_type: InstanceType, nodes: Nodes) -> Amounts:
    """The resources for jobs of a node that runs none."""
    return allocatable(instance_type, nodes).without(settings.cluster.daemon_sets)


def _jobs(settings: Settings, architecture: Architecture) -> Iterator[tuple[str, str, Resources]]:
    """The default job, and each image's if it differs: the key of its resources, its name, and its build container's.

    An image with the defaults fits if the default job does.
    """
    yield "buildyard:runners.defaults", "a job with the default resources", settings.runners.defaults
    for project_position, project in enumerate(settings.projects):
        for position, image in enumerate(project.images):
            built = not image.retired and architecture in settings.architectures_of(image)
            if built and image.resources != Resources():
                path = f"buildyard:projects[{project_position}].images[{position}].resources"
                yield path, f"build-{image.name}:{architecture}", settings.resources_of(image)


def job_requests(settings: Settings, build: Resources) -> Amounts:
    """The requests of a job's pod: those of its build and helper containers together."""

    def request(field: str, container: Resources) -> Decimal:
        bounds: Bounds = getattr(container, field)
        # Without a request, Kubernetes uses the limit.
        return _whole(field, bounds.request or bounds.limit or Decimal(0), ROUND_CEILING)

    containers = (build, settings.runners.helper)
    return Amounts(
        **{field: sum((request(field, container) for container in containers), Decimal(0)) for field in RESOURCES}
    )


def _whole(field: str, amount: Decimal | Quantity, rounding: str) -> Decimal:
    """An amount in whole thousandths of cores, or whole bytes, as the scheduler counts."""
    value = amount.value if isinstance(amount, Quantity) else amount
    return value.quantize(Decimal("0.001") if field == "cpu" else Decimal(1), rounding=rounding)
