"""Moto's managed node groups, with the launch templates, versions and Auto Scaling groups of EKS.

No instances start: a group only has its sizes.
Behaviour: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
"""

from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.eks.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.eks.models import EKSBackend, Nodegroup
from moto.moto_api._internal import mock_random

_SIZES = {"minSize": "min_size", "maxSize": "max_size", "desiredSize": "desired_capacity"}
_VERSIONS = {"version": "Version", "releaseVersion": "ReleaseVersion", "launchTemplate": "LaunchTemplateVersion"}
# The AMI release of every node group: EKS appends the AMI's build date to the Kubernetes version.
_AMI_BUILD = "20251112"


class NodeGroups(EKSBackend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._updates: dict[str, dict[str, Any]] = {}

    def make_node_group(self, cluster_name: str, request: dict[str, Any]) -> Nodegroup:
        """Create a node group from all parameters of CreateNodegroup; moto's own method takes only some."""
        cluster = self.describe_cluster(cluster_name)
        _check_sizes(request["scalingConfig"])
        _check_warm_pool(request.get("warmPoolConfig"), request.get("capacityType"))
        version = request.get("version") or cluster.version
        template = self._resolved(request.get("launchTemplate"))
        own_types = self._instance_types_of(template)
        if own_types and request.get("instanceTypes"):
            raise InvalidParameterException(
                message="Instance types can be specified in the launch template or in the node group, not in both."
            )
        group = self.create_nodegroup(
            cluster_name=cluster_name,
            nodegroup_name=request["nodegroupName"],
            node_role=request["nodeRole"],
            subnets=request["subnets"],
            scaling_config=dict(request["scalingConfig"]),
            disk_size=request.get("diskSize"),
            instance_types=request.get("instanceTypes"),
            ami_type=request.get("amiType") or "AL2023_x86_64_STANDARD",
            remote_access=request.get("remoteAccess"),
            labels=request.get("labels"),
            taints=request.get("taints"),
            tags=request.get("tags"),
            client_request_token=request.get("clientRequestToken"),
            launch_template=template,
            capacity_type=request.get("capacityType"),
            version=version,
            release_version=request.get("releaseVersion") or f"{version}.0-{_AMI_BUILD}",
        )
        group.update_config = request.get("updateConfig") or {"maxUnavailable": 1}
        group.node_repair_config = request.get("nodeRepairConfig")
        vars(group)["warm_pool_config"] = _pool(request.get("warmPoolConfig"))
        # Moto sets defaults where EKS sets none, or uses the launch template's.
        vars(group).update(
            remote_access=request.get("remoteAccess"),
            disk_size=None if template else request.get("diskSize", 20),
            instance_types=[] if own_types else group.instance_types,
            resources={"autoScalingGroups": [{"name": f"eks-{group.nodegroup_name}-{group.uuid}"}]},
        )
        self._make_scaling_group(group)
        return group

    def update_nodegroup_config(
        self,
        cluster_name: str,
        nodegroup_name: str,
        labels: dict[str, Any] | None = None,
        taints: dict[str, Any] | None = None,
        scaling_config: dict[str, int] | None = None,
        update_config: dict[str, Any] | None = None,
        node_repair_config: dict[str, Any] | None = None,
        client_request_token: str | None = None,
        warm_pool_config: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        group = self.describe_nodegroup(cluster_name, nodegroup_name)
        _check_warm_pool(warm_pool_config, group.capacity_type)
        if warm_pool_config is not None:
            vars(group)["warm_pool_config"] = _pool(warm_pool_config)
        _check_sizes({**group.scaling_config, **(scaling_config or {})})
        update = super().update_nodegroup_config(
            cluster_name,
            nodegroup_name,
            labels,
            taints,
            scaling_config,
            update_config,
            node_repair_config,
            client_request_token,
        )
        self._set_sizes(group)
        return self._recorded(update)

    def update_node_group_version(
        self, cluster_name: str, nodegroup_name: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        group = self.describe_nodegroup(cluster_name, nodegroup_name)
        template = self._resolved(request.get("launchTemplate"))
        if template is not None:
            if group.launch_template is None or group.launch_template["id"] != template["id"]:
                raise InvalidParameterException(
                    message="A node group keeps its launch template: only another version of it can be given."
                )
            group.launch_template = template
        if "version" in request:
            group.version = request["version"]
        if "version" in request or "releaseVersion" in request:
            group.release_version = request.get("releaseVersion") or f"{group.version}.0-{_AMI_BUILD}"
        group.modified_at = utcnow()
        return self._version_update({key: request[key] for key in _VERSIONS if key in request})

    def update_cluster_version(self, cluster_name: str, version: str) -> dict[str, Any]:
        """Upgrade the control plane, by one minor version at a time as EKS requires."""
        cluster = self.describe_cluster(cluster_name)
        major, minor = (int(part) for part in cluster.version.split("."))
        if version != f"{major}.{minor + 1}":
            raise InvalidParameterException(
                message=f"Unsupported Kubernetes minor version update from {cluster.version} to {version}"
            )
        cluster.version = version
        return self._version_update({"version": version})

    def describe_update(self, update_id: str) -> dict[str, Any]:
        if update_id not in self._updates:
            raise ResourceNotFoundException(message=f"No update found for id: {update_id}.")
        return self._updates[update_id]

    def delete_nodegroup(self, cluster_name: str, nodegroup_name: str) -> Nodegroup:
        group = super().delete_nodegroup(cluster_name, nodegroup_name)
        self._scaling.delete_auto_scaling_group(_scaling_group_name(group))
        if group.launch_template is None:
            self._ec2.delete_launch_template(_own_template_name(group), None)
        return group

    def list_nodegroups(
        self, cluster_name: str, max_results: int, next_token: str | None
    ) -> tuple[list[Nodegroup], Nodegroup | None]:
        self.describe_cluster(cluster_name)
        return super().list_nodegroups(cluster_name, max_results, next_token)

    @property
    def _scaling(self) -> Any:
        return autoscaling_backends[self.account_id][self.region_name]

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self.account_id][self.region_name]

    def _resolved(self, specification: dict[str, str] | None) -> dict[str, str] | None:
        """A launch template's id, name and version, as EKS returns them for any reference."""
        if specification is None:
            return None
        if "id" in specification:
            template = self._ec2.get_launch_template(specification["id"])
        else:
            template = self._ec2.get_launch_template_by_name(specification["name"])
        version = template.get_version(specification.get("version") or "$Default")
        return {"id": template.id, "name": template.name, "version": str(version.number)}

    def _instance_types_of(self, template: dict[str, str] | None) -> str:
        if template is None:
            return ""
        instance_type: str = (
            self._ec2.get_launch_template(template["id"]).get_version(template["version"]).instance_type
        )
        return instance_type

    def _make_scaling_group(self, group: Nodegroup) -> None:
        name = _scaling_group_name(group)
        template = group.launch_template
        if template is None:
            made = self._ec2.create_launch_template(_own_template_name(group), "", {}, {})
            template = {"id": made.id, "version": "1"}
        owned = {
            "eks:cluster-name": group.cluster_name,
            "eks:nodegroup-name": group.nodegroup_name,
            "k8s.io/cluster-autoscaler/enabled": "true",
            f"k8s.io/cluster-autoscaler/{group.cluster_name}": "owned",
            f"kubernetes.io/cluster/{group.cluster_name}": "owned",
        }
        self._scaling.create_auto_scaling_group(
            name=name,
            availability_zones=[],
            desired_capacity=0,
            max_size=0,
            min_size=0,
            launch_config_name="",
            launch_template={"LaunchTemplateId": template["id"], "Version": template["version"]},
            vpc_zone_identifier=",".join(group.subnets),
            default_cooldown=None,
            health_check_period=15,
            health_check_type="EC2",
            load_balancers=[],
            target_group_arns=[],
            placement_group=None,
            termination_policies=[],
            tags=[
                {
                    "Key": key,
                    "Value": value,
                    "ResourceId": name,
                    "ResourceType": "auto-scaling-group",
                    "PropagateAtLaunch": "true",
                }
                for key, value in owned.items()
            ],
        )
        self._set_sizes(group)

    def _set_sizes(self, group: Nodegroup) -> None:
        """Set the sizes of the scaling group without starting instances, as moto would."""
        scaling_group: FakeAutoScalingGroup = self._scaling.autoscaling_groups[_scaling_group_name(group)]
        for ours, theirs in _SIZES.items():
            setattr(scaling_group, theirs, group.scaling_config[ours])

    def _version_update(self, versions: dict[str, Any]) -> dict[str, Any]:
        return self._recorded(
            {
                "id": str(mock_random.uuid4()),
                "status": "Successful",
                "type": "VersionUpdate",
                "params": [{"type": _VERSIONS[key], "value": str(value)} for key, value in versions.items()],
                "createdAt": utcnow(),
                "errors": [],
            }
        )

    def _recorded(self, update: dict[str, Any]) -> dict[str, Any]:
        self._updates[update["id"]] = update
        return update


def _scaling_group_name(group: Nodegroup) -> str:
    resources: dict[str, Any] = vars(group)["resources"]
    return str(resources["autoScalingGroups"][0]["name"])


def _own_template_name(group: Nodegroup) -> str:
    """The name of the launch template that EKS creates for a node group without one."""
    return f"eks-{group.uuid}"


def _check_sizes(sizes: dict[str, int]) -> None:
    smallest, largest, desired = sizes["minSize"], sizes["maxSize"], sizes["desiredSize"]
    if largest < 1:
        raise InvalidParameterException(message="maxSize must be at least 1.")
    if smallest > largest:
        raise InvalidParameterException(
            message=f"Minimum capacity {smallest} can't be greater than maximum size {largest}"
        )
    if not smallest <= desired <= largest:
        raise InvalidParameterException(
            message=f"Desired capacity {desired} must be between minimum size {smallest} and maximum size {largest}"
        )


def _check_warm_pool(pool: dict[str, Any] | None, capacity_type: str | None) -> None:
    """Refuse what a warm pool cannot have.

    Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html
    """
    if pool and pool.get("enabled") and capacity_type == "SPOT":
        raise InvalidParameterException(message="Warm pools are not supported for node groups with Spot capacity.")


def _pool(request: dict[str, Any] | None) -> dict[str, Any] | None:
    return {"poolState": "STOPPED", "minSize": 0, **request} if request and request.get("enabled") else None
