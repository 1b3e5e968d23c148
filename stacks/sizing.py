"""Check that every job fits a node: a pod that fits none stays pending, and no autoscaler says why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from stacks.architecture import Architecture
from stacks.checks import RESOURCES
from stacks.cluster import Nodes
from stacks.problems import Problem
from stacks.quantities import GIBIBYTE, Quantity
from stacks.runners import Bounds, Resources
from stacks.settings import Settings

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
        """Whether a pod with these requests fits an empty node with these allocatable resources."""
        return all(getattr(self, field) <= getattr(node, field) for field in RESOURCES)

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
    return Amounts(
        cpu=cores - reserved_cores,
        memory=memory - (255 + 11 * instance_type.max_pods + 100) * MEBIBYTE,
        ephemeral_storage=nodes.disk.value * Decimal("0.9") - GIBIBYTE,
    )


def check_fit(settings: Settings, instance_types: Mapping[str, InstanceType]) -> Iterator[Problem]:
    """Find instance types of the wrong processor, and jobs that are too large for every node.

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
        by_type = {name: allocatable(instance_types[name], nodes) for name in nodes.instance_types}
        yield from _default_fit(settings, architecture, by_type)
        yield from _image_fit(settings, architecture, by_type)


def _default_fit(settings: Settings, architecture: Architecture, by_type: Mapping[str, Amounts]) -> Iterator[Problem]:
    pod = _pod(settings, settings.runners.defaults)
    if not any(pod.fit(node) for node in by_type.values()):
        yield _fits_none("buildyard:runners.defaults", "a job with the default resources", pod, architecture, by_type)


def _image_fit(settings: Settings, architecture: Architecture, by_type: Mapping[str, Amounts]) -> Iterator[Problem]:
    for project_position, project in enumerate(settings.projects):
        for position, image in enumerate(project.images):
            if image.retired or architecture not in settings.architectures_of(image) or image.resources == Resources():
                continue
            pod = _pod(settings, settings.resources_of(image))
            if not any(pod.fit(node) for node in by_type.values()):
                path = f"buildyard:projects[{project_position}].images[{position}].resources"
                yield _fits_none(path, f"build-{image.name}:{architecture}", pod, architecture, by_type)


def _pod(settings: Settings, build: Resources) -> Amounts:
    """The requests of a job's pod: those of its build and helper containers together."""

    def request(bounds: Bounds) -> Decimal:
        quantity = bounds.request or bounds.limit  # without a request, Kubernetes uses the limit
        return quantity.value if quantity else Decimal(0)

    containers = (build, settings.runners.helper)
    return Amounts(
        cpu=sum((request(container.cpu) for container in containers), Decimal(0)),
        memory=sum((request(container.memory) for container in containers), Decimal(0)),
        ephemeral_storage=sum((request(container.ephemeral_storage) for container in containers), Decimal(0)),
    )


def _fits_none(
    path: str, job: str, pod: Amounts, architecture: Architecture, by_type: Mapping[str, Amounts]
) -> Problem:
    largest = max(by_type, key=lambda name: (by_type[name].memory, by_type[name].cpu))
    return Problem(
        path=path,
        message=f"{job} asks for {pod}, helper container included, and fits no {architecture} node",
        hint=f"The largest, {largest}, has {by_type[largest]} allocatable. Ask for less, or change the instance-types "
        f"or disk of buildyard:nodes.{architecture}.",
    )
