"""The settings of the EKS cluster, its build nodes, and their network."""

from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, Field

from stacks.addresses import Cidr
from stacks.architecture import Architecture
from stacks.fields import Integer, KmsKey, Port
from stacks.model import Model, pattern_text
from stacks.network import CaBundle, Mirrors, Proxy
from stacks.problems import echo, refusal
from stacks.quantities import GIBIBYTE, Quantity


class Capacity(str, Enum):
    """The EC2 purchase option of the build nodes."""

    SPOT = "spot"
    """Cheap, but EC2 reclaims nodes with two minutes' notice. The published jobs retry after that."""
    ON_DEMAND = "on-demand"

    def __str__(self) -> str:
        return self.value


def _whole_gibibytes(size: Quantity) -> Quantity:
    if size.value % GIBIBYTE or size.value == 0:
        raise refusal(
            f"{size} is not a whole number of GiB, but the size of an EBS volume is", "Use, for example, 200Gi."
        )
    return size


MAX_VOLUME = 65536
"""GiB. Source: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type"""


def _cache_size(size: Quantity) -> Quantity:
    if not 10 * GIBIBYTE <= size.value <= MAX_VOLUME * GIBIBYTE:
        raise refusal(f"{size} is not between 10Gi and {MAX_VOLUME}Gi", "Use, for example, 200Gi.")
    return _whole_gibibytes(size)


InstanceType = Annotated[str, pattern_text(r"^[a-z0-9-]+\.[a-z0-9-]+$", "Use EC2 instance types, such as m7g.4xlarge.")]
Subnet = Annotated[
    str, pattern_text(r"^subnet-[a-z0-9]+$", "Use the ids of subnets, such as subnet-0a1b2c3d4e5f60001.")
]
SecurityGroup = Annotated[
    str, pattern_text(r"^sg-[a-z0-9]+$", "Use the ids of security groups, such as sg-0a1b2c3d4e5f60001.")
]

_RESERVED_LABELS = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/", "buildyard.dev/")
"""The marks of labels that belong to Kubernetes, EKS and Buildyard. EKS refuses the first three.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html
"""


def _free_label(key: str) -> str:
    if any(reserved in key for reserved in _RESERVED_LABELS):
        raise refusal(f"the label {echo(key)} belongs to Kubernetes, EKS or Buildyard", "Use another prefix.")
    return key


LabelKey = Annotated[
    str,
    pattern_text(
        r"^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$",
        "Use a label's name, such as team or example.com/team.",
        max_length=63,
    ),
    AfterValidator(_free_label),
]
LabelValue = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$", "Use letters, digits, '-', '_' and '.'.", max_length=63
    ),
]

BOUNDARY = "//"
"""The line between the parts of nodes' user data."""


def _script(text: str) -> str:
    if not text.startswith("#!"):
        raise refusal("does not begin with #!", "Write the interpreter in the first line, such as #!/bin/bash.")
    if any(line.startswith(f"--{BOUNDARY}") for line in text.splitlines()):
        raise refusal(f"has a line that begins with --{BOUNDARY}, which ends the script", "Indent that line.")
    return text


MAX_SCRIPT = 8192
"""EC2 takes user data of 16 KiB, and EKS adds to it.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
"""


class DaemonSets(Model):
    """The requests of the DaemonSets' pods that run on every build node, together.

    The default is more than those of EKS's add-ons: the VPC CNI, kube-proxy, the Pod Identity agent and the EBS driver.
    """

    cpu: Quantity = Quantity("200m")
    memory: Quantity = Quantity("256Mi")
    ephemeral_storage: Quantity = Quantity("0")


class Cluster(Model):
    """The existing EKS cluster that runs the builds."""

    name: Annotated[
        str, pattern_text(r"^[0-9A-Za-z][A-Za-z0-9_-]*$", "Use a name from `aws eks list-clusters`.", max_length=100)
    ]
    subnet_ids: Annotated[tuple[Subnet, ...], Field(min_length=1)] | None = None
    """The subnets of the build nodes. Default: the cluster's own subnets."""
    daemon_sets: DaemonSets = DaemonSets()
    """The requests of DaemonSets' pods on every build node, such as those for logs and metrics. Jobs get the rest."""
    cni_role: bool = False
    """Whether the VPC CNI has an IAM role of its own, by Pod Identity or IRSA. Then nodes need no rights for it."""


class NodeCache(Model):
    """A second disk of each node, which keeps BuildKit's state from job to job and lives as long as the node.

    On instance types with an instance store, that is used instead, and the EBS volume stays empty: make it small there.
    """

    size: Annotated[Quantity, AfterValidator(_cache_size)]
    """The size of the volume, which is of the type gp3."""
    iops: Annotated[Integer, Field(ge=3000, le=80000)] = 6000
    """The provisioned IOPS of the volume. 3,000 cost nothing extra."""
    throughput: Annotated[Integer, Field(ge=125, le=2000)] = 500
    """The provisioned throughput of the volume, in MiB per second. 125 cost nothing extra."""


class Nodes(Model):
    """The node group of one architecture, one per trust tier. It starts with no nodes and scales with the builds."""

    instance_types: Annotated[tuple[InstanceType, ...], Field(min_length=1, max_length=20)]
    """The instance types, in order of preference. Every job must fit each of them: EC2 decides which one starts."""
    max_size: Annotated[Integer, Field(ge=1, le=450)] = 10
    """The maximum number of nodes."""
    disk: Annotated[Quantity, AfterValidator(_whole_gibibytes)] = Quantity("200Gi")
    """The size of the root volume. It holds images, build state and the jobs' ephemeral storage."""
    disk_iops: Annotated[Integer, Field(ge=3000, le=80000)] = 6000
    """The provisioned IOPS of the root volume, which is of the type gp3. 3,000 cost nothing extra."""
    disk_throughput: Annotated[Integer, Field(ge=125, le=2000)] = 500
    """The provisioned throughput of the root volume, in MiB per second. 125 cost nothing extra."""
    cache: NodeCache | None = None
    """A second disk that keeps BuildKit's state from job to job. Default: none, so every job starts without."""
    kms_key: KmsKey | None = None
    """The ARN of the KMS key that encrypts the volumes. Default: the account's default key for EBS."""
    capacity: Capacity = Capacity.SPOT
    security_groups: Annotated[tuple[SecurityGroup, ...], Field(max_length=15)] = ()
    """Security groups of the nodes, in addition to the cluster's own."""
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=40)] = {}
    """Kubernetes labels of the nodes, in addition to the platform's own."""
    boot_script: Annotated[str, Field(max_length=MAX_SCRIPT), AfterValidator(_script)] | None = None
    """A shell script that runs as root on each node before the node joins the cluster, for example to trust a company's
    CA. Everybody who may read the account's launch templates can read it: it must contain no secrets."""


DEFAULT_NODES = {
    architecture: Nodes.model_validate({"instance-types": architecture.instance_types}) for architecture in Architecture
}


class Destination(Model):
    """A network that build pods may connect to."""

    cidr: Cidr
    ports: Annotated[tuple[Port, ...], Field(min_length=1)] = (443,)
    """The TCP ports."""


class Network(Model):
    """The networks that build pods may connect to, the internet and what `allow` adds; and how a company reaches it."""

    deny: tuple[Cidr, ...] | None = None
    """The networks of pods, nodes and the Kubernetes API. Default: the VPC's and that of the cluster's services."""
    allow: tuple[Destination, ...] = ()
    """Parts of these networks that builds need, such as GitLab's address in the VPC. The VPC's endpoints for AWS
    services are allowed by default."""
    ca_bundle: CaBundle | None = None
    """The company's certificate authorities, which managers and jobs trust besides the public ones: a PEM file in
    `stacks/`, or the text itself."""
    proxy: Proxy | None = None
    """The HTTP proxy of managers, jobs and their builds. Default: none."""
    mirrors: Mirrors = Mirrors()
    """The company's copies of the runner's chart and images. Default: GitLab's own."""
