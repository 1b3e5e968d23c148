"""The build nodes: a node group per architecture, without nodes until a build waits for one."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import node_cache, policy_documents
from components.labels import BUILDS, NODE_GROUP, TAINT_VALUE, node_labels
from components.runner_config import BUILD_USER
from stacks.architecture import Architecture
from stacks.cluster import BOUNDARY, Capacity, Nodes
from stacks.iam import Iam
from stacks.quantities import GIBIBYTE, Quantity

MANAGED_POLICIES = (
    # The node reads its own name and its cluster; the Pod Identity agent on it gets the credentials of pods.
    "AmazonEKSWorkerNodePolicy",
    # Pull only, so that a build that breaks out to its node cannot push from there.
    "AmazonEC2ContainerRegistryPullOnly",
)
CNI_POLICY = "AmazonEKS_CNI_Policy"
"""The rights of the VPC CNI, which can detach and delete every network interface of the account.

In most clusters, the CNI uses the node's role: without them, a node never becomes ready. Pods cannot use them in any
case: see the hop limit below.
Source: https://docs.aws.amazon.com/eks/latest/userguide/cni-iam-role.html
"""

ROOT_DEVICE = "/dev/xvda"
NODE_PROPERTIES = ("blockDeviceMappings", "metadataOptions", "userData", "vpcSecurityGroupIds")
"""The properties of nodes in a launch template, besides their tags."""

IDS_PER_POD = 196608
"""The users of a pod with a user namespace: enough for the builder image's sub-uids, which end at 165535.

By default a pod has 65536, and the kubelet takes multiples of that only.
"""

_CAPACITY = {Capacity.SPOT: "SPOT", Capacity.ON_DEMAND: "ON_DEMAND"}
_TEMPLATE = "k8s.io/cluster-autoscaler/node-template"


@dataclass(frozen=True, kw_only=True)
class BuildNodesArgs:
    stack: str
    architecture: Architecture
    nodes: Nodes
    cluster_name: pulumi.Input[str]
    kubernetes_version: pulumi.Input[str]
    """The cluster's version, such as `1.34`."""
    subnet_ids: Sequence[pulumi.Input[str]]
    cluster_security_group_id: pulumi.Input[str]
    """The security group that EKS made for the cluster."""
    cni_role: bool
    """Whether the VPC CNI has a role of its own."""
    partition: str
    """AWS's name of the set of regions, as in ARNs: `aws`, `aws-cn`, `aws-us-gov`."""
    user_namespaces: bool
    """Whether pods have user namespaces of their own."""
    iam: Iam
    stopped: int
    """How many nodes are prepared and stopped. EC2 can only prepare on-demand nodes, and not in China's regions."""
    tags: Mapping[str, str]
    running: int
    """How many nodes run in the present node group."""
    own_tags: Mapping[str, str]
    """Those of the tags that the settings name, which can change."""


class BuildNodes(pulumi.ComponentResource):
    """The build nodes of one architecture."""

    node_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: BuildNodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:BuildNodes", name, {}, opts)
        self._name = name
        self._args = args
        role = self._create_role()
        rights = self._attach_policies(role)
        template = self._create_launch_template()
        group = self._create_node_group(role, template, rights)
        self._tag_for_autoscaler(group)
        self._tag_nodes(group)
        self.node_group_name = group.node_group_name
        self.register_outputs({"nodeGroupName": self.node_group_name})

    def _create_role(self) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-node",
            name=self._args.iam.named(f"{self._name}-node"),
            path=self._args.iam.path,
            permissions_boundary=self._args.iam.permissions_boundary,
            description=f"Build nodes, {self._args.architecture}",
            assume_role_policy=json.dumps(policy_documents.node_trust()),
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _attach_policies(self, role: aws.iam.Role) -> list[aws.iam.RolePolicyAttachment]:
        return [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{policy}",
                role=role.name,
                policy_arn=f"arn:{self._args.partition}:iam::aws:policy/{policy}",
                opts=pulumi.ResourceOptions(parent=self),
            )
            for policy in managed_policies(cni_role=self._args.cni_role)
        ]

    def _create_launch_template(self) -> aws.ec2.LaunchTemplate:
        tags = {**self._args.tags, "Name": self._name}
        return aws.ec2.LaunchTemplate(
            self._name,
            block_device_mappings=block_devices(self._args.nodes),
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                # One hop ends at the node, so that the code of a build cannot get the credentials of the node's role.
                "http_put_response_hop_limit": 1,
            },
            vpc_security_group_ids=self._security_groups,
            user_data=user_data(scripts=boot_scripts(self._args.nodes), user_namespaces=self._args.user_namespaces),
            tag_specifications=[
                {"resource_type": resource, "tags": tags} for resource in ("instance", "volume", "network-interface")
            ],
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Other tags must not be a new version, which only new node groups get: see `_tag_nodes`. Whatever else
                # changes makes a new template, and that one has today's tags.
                ignore_changes=["tagSpecifications"],
                replace_on_changes=list(NODE_PROPERTIES),
            ),
        )

    @property
    def _security_groups(self) -> list[pulumi.Input[str]] | None:
        """The cluster's security group, which EKS itself gives only to nodes without others, and those of the settings.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html#launch-template-security-groups
        """
        own = self._args.nodes.security_groups
        return [self._args.cluster_security_group_id, *own] if own else None

    def _create_node_group(
        self, role: aws.iam.Role, template: aws.ec2.LaunchTemplate, rights: Sequence[pulumi.Resource]
    ) -> aws.eks.NodeGroup:
        args = self._args
        return aws.eks.NodeGroup(
            self._name,
            cluster_name=args.cluster_name,
            node_role_arn=role.arn,
            subnet_ids=args.subnet_ids,
            version=args.kubernetes_version,
            ami_type=args.architecture.ami_type,
            capacity_type=_CAPACITY[args.nodes.capacity],
            instance_types=list(args.nodes.instance_types),
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"min_size": 0, "max_size": args.nodes.max_size, "desired_size": 0},
            labels={**args.nodes.labels, **node_labels(args.stack)},
            taints=[{"key": BUILDS, "value": TAINT_VALUE, "effect": "NO_SCHEDULE"}],
            update_config={"max_unavailable": 1},
            warm_pool_config=self._warm_pool(),
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                # A node that starts before its role has its policies never joins. One that outlives them cannot leave.
                depends_on=rights,
                # The autoscaler sets it. A deployment must not stop nodes that builds run on.
                ignore_changes=["scalingConfig.desiredSize"],
                # In an update, EKS waits 15 minutes for each node to drain, then fails half-way. A new group takes the
                # next builds immediately, and the old group is deleted after its last build: see draining.py.
                # https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
                replace_on_changes=["launchTemplate", "version", *self._replaced_by_size],
            ),
        )

    @property
    def _replaced_by_size(self) -> Sequence[str]:
        """The maximum, if more nodes run: EKS refuses one below the desired size, and a smaller one stops nodes.

        Then a new group has the new maximum, and the old one takes no more builds.
        Source: https://github.com/aws/containers-roadmap/issues/1637
        """
        return ["scalingConfig.maxSize"] if self._args.running > self._args.nodes.max_size else []

    def _warm_pool(self) -> Any:
        """Nodes that have started once, and only have to continue. A stopped node costs its disk.

        Sources: https://docs.aws.amazon.com/eks/latest/userguide/warm-pools-managed-node-groups.html and
        https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html
        """
        args = self._args
        if not args.stopped or args.nodes.capacity is Capacity.SPOT or args.partition == "aws-cn":
            return None
        size = min(args.stopped, args.nodes.max_size)
        # Without the second, the pool has as many nodes as the group may still start.
        return {"min_size": size, "max_group_prepared_capacity": size, "pool_state": "STOPPED"}

    def _tag_for_autoscaler(self, group: aws.eks.NodeGroup) -> None:
        """Tell Cluster Autoscaler what a node of an empty group would offer.

        It also reads labels and taints from EKS if it has the permission, but reads the storage only from this tag.
        Source: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
        """
        labels = {f"label/{key}": value for key, value in node_labels(self._args.stack).items()}
        hints: dict[str, pulumi.Input[str]] = {
            **labels,
            f"label/{NODE_GROUP}": group.node_group_name,
            f"taint/{BUILDS}": f"{TAINT_VALUE}:NoSchedule",
            "resources/ephemeral-storage": str(self._args.nodes.disk),
        }
        for hint, value in hints.items():
            aws.autoscaling.Tag(
                f"{self._name}-{hint}",
                autoscaling_group_name=group.resources.apply(autoscaling_group_name),
                tag={"key": f"{_TEMPLATE}/{hint}", "value": value, "propagate_at_launch": False},
                # It is deleted with its scaling group. Until then, accepted jobs may still need a node there.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )

    def _tag_nodes(self, group: aws.eks.NodeGroup) -> None:
        """Tag the nodes that start from now on, without a new node group.

        A scaling group's tags take precedence over those of the launch template, which volumes and network interfaces
        keep: they get no tags from the group.
        Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html#tag-lifecycle
        """
        for key, value in self._args.own_tags.items():
            aws.autoscaling.Tag(
                f"{self._name}-tag-{key}",
                autoscaling_group_name=group.resources.apply(autoscaling_group_name),
                tag={"key": key, "value": value, "propagate_at_launch": True},
                opts=pulumi.ResourceOptions(parent=self),
            )


def managed_policies(*, cni_role: bool) -> tuple[str, ...]:
    """The names of AWS's policies that nodes need."""
    return MANAGED_POLICIES if cni_role else (*MANAGED_POLICIES, CNI_POLICY)


def block_devices(nodes: Nodes) -> list[Any]:
    """The volumes of a node: the root volume, and the one that keeps BuildKit's state, if the settings have one."""

    def volume(device: str, size: Quantity, iops: int, throughput: int) -> dict[str, Any]:
        ebs = {
            "volume_type": "gp3",
            "volume_size": int(size.value / GIBIBYTE),
            "iops": iops,
            "throughput": throughput,
            "encrypted": "true",
            **({"kms_key_id": nodes.kms_key} if nodes.kms_key else {}),
            "delete_on_termination": "true",
        }
        return {"device_name": device, "ebs": ebs}

    cache = nodes.cache
    return [
        volume(ROOT_DEVICE, nodes.disk, nodes.disk_iops, nodes.disk_throughput),
        *([volume(node_cache.DEVICE, cache.size, cache.iops, cache.throughput)] if cache else ()),
    ]


def boot_scripts(nodes: Nodes) -> list[str]:
    """The scripts that run before a node joins the cluster, in this order."""
    ours = [node_cache.boot_script(owner=BUILD_USER)] if nodes.cache else []
    return [*ours, *([nodes.boot_script] if nodes.boot_script else ())]


def user_data(*, scripts: Sequence[str], user_namespaces: bool) -> str:
    """Scripts, and the kubelet's configuration, in base64. EKS merges them with its own, and runs the scripts first.

    Sources: https://awslabs.github.io/amazon-eks-ami/nodeadm/,
    https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html#launch-template-user-data
    """
    kubelet: dict[str, Any] = {
        # By default, the kernel kills all processes of a container that runs out of memory, also the script that would
        # say so in the job's log. Kubernetes 1.32 and newer: https://github.com/kubernetes/kubernetes/pull/126096
        "singleProcessOOMKill": True,
    }
    if user_namespaces:
        kubelet["userNamespaces"] = {"idsPerPod": IDS_PER_POD}
    config = {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {"kubelet": {"config": kubelet}},
    }
    parts = [
        *(('text/x-shellscript; charset="utf-8"', script) for script in scripts),
        ("application/node.eks.aws", json.dumps(config)),  # which is YAML too
    ]
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{BOUNDARY}"', ""]
    for kind, text in parts:
        lines += [f"--{BOUNDARY}", f"Content-Type: {kind}", "", text]
    return base64.b64encode("\n".join((*lines, f"--{BOUNDARY}--", "")).encode()).decode()


def autoscaling_group_name(resources: Sequence[aws.eks.outputs.NodeGroupResource]) -> str:
    """The autoscaling group of a node group. EKS creates exactly one."""
    [resource] = resources
    [group] = resource.autoscaling_groups or ()
    return str(group.name)
