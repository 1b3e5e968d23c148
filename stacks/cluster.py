"""The settings of the EKS cluster, its build nodes, and the networks that build pods may connect to."""

from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, Field

from stacks.addresses import Cidr
from stacks.architecture import Architecture
from stacks.fields import Integer, Port
from stacks.model import Model, pattern_text
from stacks.problems import refusal
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


InstanceType = Annotated[str, pattern_text(r"^[a-z0-9-]+\.[a-z0-9-]+$", "Use EC2 instance types, such as m7g.4xlarge.")]
Subnet = Annotated[
    str, pattern_text(r"^subnet-[a-z0-9]+$", "Use the ids of subnets, such as subnet-0a1b2c3d4e5f60001.")
]


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
    """What pods of DaemonSets request on every build node, such as those for logs and metrics. Jobs get the rest."""
    cni_role: bool = False
    """Whether the VPC CNI has an IAM role of its own, by Pod Identity or IRSA. Then nodes need no rights for it."""


class Nodes(Model):
    """The node group of one architecture, one per trust tier. It starts with no nodes and scales with the builds."""

    instance_types: Annotated[tuple[InstanceType, ...], Field(min_length=1, max_length=20)]
    """The instance types, in order of preference. Every job must fit each of them: EC2 decides which one starts."""
    max_size: Annotated[Integer, Field(ge=1, le=450)] = 10
    """The maximum number of nodes."""
    disk: Annotated[Quantity, AfterValidator(_whole_gibibytes)] = Quantity("200Gi")
    """The size of the root volume. It holds images, build state and the jobs' ephemeral storage."""
    capacity: Capacity = Capacity.SPOT


DEFAULT_NODES = {
    architecture: Nodes.model_validate({"instance-types": architecture.instance_types}) for architecture in Architecture
}


class Destination(Model):
    """A network that build pods may connect to."""

    cidr: Cidr
    ports: Annotated[tuple[Port, ...], Field(min_length=1)] = (443,)
    """The TCP ports."""


class Network(Model):
    """The networks that build pods may connect to: the internet, and what `allow` adds."""

    deny: tuple[Cidr, ...] | None = None
    """The networks of pods, nodes and the Kubernetes API. Default: the VPC's and that of the cluster's services."""
    allow: tuple[Destination, ...] = ()
    """Parts of these networks that builds need, such as GitLab's address in the VPC. The VPC's endpoints for AWS
    services are allowed by default."""
