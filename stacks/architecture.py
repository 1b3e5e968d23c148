"""The only table of facts about processor architectures.

The rest of the code uses `Architecture.ARM64` and its properties.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class _Facts:
    ami_type: str
    instance_architecture: str
    instance_types: tuple[str, ...]
    machine: str
    qemu: str
    runner_helper: str


class Architecture(str, Enum):
    """A processor architecture that images are built for, natively.

    Settings, job names, runner tags, cache tags and OCI platforms use the value. It is also Kubernetes' own value of
    the node label `kubernetes.io/arch`.
    """

    ARM64 = "arm64"
    AMD64 = "amd64"

    def __str__(self) -> str:
        return self.value

    @property
    def platform(self) -> str:
        """The OCI platform, as in BuildKit's options and image indexes."""
        return f"linux/{self.value}"

    @property
    def runner_tags(self) -> tuple[str, ...]:
        """The GitLab tags of this architecture's runners, and of the jobs that they run."""
        return (self.value, "linux")

    @property
    def node_selector(self) -> dict[str, str]:
        """The label that kubelet sets on every node of this architecture.

        GitLab Runner chooses the architecture of its helper container by this label, and reads it only from a node
        selector, not from an affinity.
        """
        return {"kubernetes.io/arch": self.value}

    @property
    def ami_type(self) -> str:
        """EKS's name of its Amazon Linux 2023 image. EKS stopped publishing AL2 images in November 2025."""
        return _FACTS[self].ami_type

    @property
    def instance_architecture(self) -> str:
        """EC2's name of the architecture, in an instance type's `supported_architectures`."""
        return _FACTS[self].instance_architecture

    @property
    def instance_types(self) -> tuple[str, ...]:
        """The EC2 instance types of build nodes, where the settings name none."""
        return _FACTS[self].instance_types

    @property
    def machine(self) -> str:
        """The kernel's name for the processor, as `uname -m` prints it."""
        return _FACTS[self].machine

    @property
    def qemu(self) -> str:
        """QEMU's name for the processor, as in `qemu-aarch64`."""
        return _FACTS[self].qemu

    @property
    def runner_helper(self) -> str:
        """GitLab's name of the architecture, in the tags of the runner's helper image."""
        return _FACTS[self].runner_helper


_FACTS = {
    Architecture.ARM64: _Facts(
        ami_type="AL2023_ARM_64_STANDARD",
        instance_architecture="arm64",
        instance_types=("m7g.4xlarge",),
        machine="aarch64",
        qemu="aarch64",
        runner_helper="arm64",
    ),
    Architecture.AMD64: _Facts(
        ami_type="AL2023_x86_64_STANDARD",
        instance_architecture="x86_64",
        instance_types=("m7i.4xlarge",),
        machine="x86_64",
        qemu="x86_64",
        runner_helper="x86_64",
    ),
}
