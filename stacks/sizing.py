"""Whether the largest job fits a node: a pod that fits none waits for ever, and no autoscaler says why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from stacks.architecture import Architecture
from stacks.checks import RESOURCES
from stacks.mistakes import Mistake
from stacks.quantities import GIBIBYTE, Quantity
from stacks.settings import Bounds, Nodes, Resources, Settings

MEBIBYTE = Decimal(1024) ** 2

MEMORY_OVERHEAD = Decimal("0.075")
"""The share of an instance's memory that its firmware and kernel keep, so that kubelet never sees it.

Karpenter reckons with the same share by default (its `VM_MEMORY_OVERHEAD_PERCENT`).
"""


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """What EC2 says of an instance type: vCPUs, memory in MiB, its own words for its processors, and network cards."""

    vcpus: int
    memory_mib: int
    architectures: tuple[str, ...]
    network_interfaces: int
    addresses_per_interface: int

    @property
    def max_pods(self) -> int:
        """Pods that get an address of the VPC: the first address of an interface is its own; two pods use the host's.

        Source: https://github.com/aws/amazon-vpc-cni-k8s
        """
        return self.network_interfaces * (self.addresses_per_interface - 1) + 2


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Cores, and bytes of memory and ephemeral storage: what a node has for pods, or what a pod asks for."""

    cpu: Decimal
    memory: Decimal
    ephemeral_storage: Decimal

    def fit(self, room: "Amounts") -> bool:
        """Whether a pod of these amounts goes into an empty node with that room."""
        return all(getattr(self, field) <= getattr(room, field) for field in RESOURCES)

    def __str__(self) -> str:
        cpu = f"{self.cpu.quantize(Decimal('0.01'), rounding='ROUND_DOWN').normalize():f} CPU"
        memory = f"{Quantity.gibibytes(self.memory / GIBIBYTE)} of memory"
        return f"{cpu}, {memory} and {Quantity.gibibytes(self.ephemeral_storage / GIBIBYTE)} of ephemeral storage"


def allocatable(instance_type: InstanceType, nodes: Nodes) -> Amounts:
    """What a node leaves to pods: capacity less what EKS's AMIs reserve and the eviction thresholds.

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


def check_fit(settings: Settings, instance_types: Mapping[str, InstanceType]) -> Iterator[Mistake]:
    """The mistakes that only EC2 can show: node groups of the wrong processor, and jobs too large for every node.

    `instance_types` has a row for every instance type that the settings name.
    """
    for architecture, nodes in settings.nodes.items():
        key = f"buildyard:nodes.{architecture}.instance-types"
        for position, name in enumerate(nodes.instance_types):
            processors = instance_types[name].architectures
            if architecture.instance_architecture not in processors:
                yield Mistake(
                    path=f"{key}[{position}]",
                    wrong=f"{name} has {' and '.join(processors)} processors",
                    right=f"Name instance types with {architecture.instance_architecture} processors.",
                )
        rooms = {name: allocatable(instance_types[name], nodes) for name in nodes.instance_types}
        yield from _default_fit(settings, architecture, rooms)
        yield from _image_fit(settings, architecture, rooms)


def _default_fit(settings: Settings, architecture: Architecture, rooms: Mapping[str, Amounts]) -> Iterator[Mistake]:
    pod = _pod(settings, settings.runners.defaults)
    if not any(pod.fit(room) for room in rooms.values()):
        yield _misfit("buildyard:runners.defaults", "a job that asks for nothing special", pod, architecture, rooms)


def _image_fit(settings: Settings, architecture: Architecture, rooms: Mapping[str, Amounts]) -> Iterator[Mistake]:
    for project_position, project in enumerate(settings.projects):
        for position, image in enumerate(project.images):
            if architecture not in settings.architectures_of(image) or image.resources == Resources():
                continue
            pod = _pod(settings, settings.resources_of(image))
            if not any(pod.fit(room) for room in rooms.values()):
                path = f"buildyard:projects[{project_position}].images[{position}].resources"
                yield _misfit(path, f"build-{image.name}:{architecture}", pod, architecture, rooms)


def _pod(settings: Settings, build: Resources) -> Amounts:
    """What a job's pod asks the scheduler for: its build and helper containers together."""

    def asked(bounds: Bounds) -> Decimal:
        quantity = bounds.request or bounds.limit  # Kubernetes takes the limit for a request that is not there
        return quantity.value if quantity else Decimal(0)

    containers = (build, settings.runners.helper)
    return Amounts(
        cpu=sum((asked(container.cpu) for container in containers), Decimal(0)),
        memory=sum((asked(container.memory) for container in containers), Decimal(0)),
        ephemeral_storage=sum((asked(container.ephemeral_storage) for container in containers), Decimal(0)),
    )


def _misfit(path: str, job: str, pod: Amounts, architecture: Architecture, rooms: Mapping[str, Amounts]) -> Mistake:
    largest = max(rooms, key=lambda name: (rooms[name].memory, rooms[name].cpu))
    return Mistake(
        path=path,
        wrong=f"{job} asks for {pod}, helper container included, which fits no {architecture} node",
        right=f"The largest, {largest}, has room for {rooms[largest]}. Ask for less, or change the instance-types or "
        f"disk of buildyard:nodes.{architecture}.",
    )
