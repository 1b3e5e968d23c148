# ruff: noqa: ARG002, S106 (methods keep the framework's signatures; a function's token is its name)
"""EKS managed node groups."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.framework import Autoname, Function, Property
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_eks.type_defs import NodegroupTypeDef

_SIZES = {
    "desiredSize": Property(required=True),
    "maxSize": Property(required=True),
    "minSize": Property(required=True),
}
_TAINT = {"key": Property(required=True), "value": Property(), "effect": Property(required=True)}


def _same_items(old: list[Any], new: list[Any]) -> bool:
    """Whether two lists are equal as sets, as EKS compares them."""
    return sorted(map(repr, map(_sorted, old))) == sorted(map(repr, map(_sorted, new)))


def _sorted(item: Any) -> Any:
    return sorted(item.items()) if isinstance(item, dict) else item


class NodeGroup(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/eks/nodegroup/. The id is `cluster:name`."""

    type = "aws:eks/nodeGroup:NodeGroup"
    inputs: ClassVar = {
        "amiType": Property(computed=True, replaces=True),
        "capacityType": Property(computed=True, replaces=True),
        "clusterName": Property(required=True, replaces=True),
        "diskSize": Property(computed=True, replaces=True),
        "forceUpdateVersion": Property(),
        "instanceTypes": Property(computed=True, replaces=True),
        "labels": Property(),
        "launchTemplate": Property(
            fields={
                "id": Property(computed=True, replaces=True),
                "name": Property(computed=True, replaces=True),
                "version": Property(required=True),
            }
        ),
        "nodeGroupName": Property(replaces=True),
        "nodeRoleArn": Property(required=True, replaces=True),
        "releaseVersion": Property(computed=True),
        "scalingConfig": Property(required=True, fields=_SIZES),
        "subnetIds": Property(required=True, replaces=True, equal=_same_items),
        "taints": Property(fields=_TAINT, equal=_same_items),
        "updateConfig": Property(
            computed=True, fields={"maxUnavailable": Property(), "maxUnavailablePercentage": Property()}
        ),
        "version": Property(computed=True),
        "warmPoolConfig": Property(
            fields={
                "maxGroupPreparedCapacity": Property(),
                "minSize": Property(),
                "poolState": Property(computed=True),
                "reuseOnScaleIn": Property(),
            }
        ),
        **TAGS,
        **REGION,
    }
    computed = frozenset({"arn", "resources", "status"})
    autoname = Autoname(property="nodeGroupName", limit=63)

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        sizes = inputs.get("scalingConfig")
        if isinstance(sizes, dict) and isinstance(sizes.get("maxSize"), int) and sizes["maxSize"] < 1:
            yield "scalingConfig.maxSize", f"maxSize must be at least 1, not {sizes['maxSize']}."
        update = inputs.get("updateConfig")
        if isinstance(update, dict) and len(update) != 1:
            yield "updateConfig", "Set either 'maxUnavailable' or 'maxUnavailablePercentage'."

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [f"{inputs['clusterName']}:{inputs['nodeGroupName']}"]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        request: dict[str, Any] = {
            "clusterName": inputs["clusterName"],
            "nodegroupName": inputs["nodeGroupName"],
            "nodeRole": inputs["nodeRoleArn"],
            "subnets": inputs["subnetIds"],
            **{
                key: inputs.get(key)
                for key in (
                    "amiType",
                    "capacityType",
                    "diskSize",
                    "instanceTypes",
                    "labels",
                    "launchTemplate",
                    "releaseVersion",
                    "scalingConfig",
                    "tags",
                    "taints",
                    "updateConfig",
                    "version",
                )
            },
        }
        if inputs.get("warmPoolConfig"):
            request["warmPoolConfig"] = {"enabled": True, **inputs["warmPoolConfig"]}
        made = connection.eks(inputs).create_nodegroup(
            **{key: value for key, value in request.items() if value is not None}
        )
        resource_id = f"{inputs['clusterName']}:{inputs['nodeGroupName']}"
        return resource_id, _outputs(connection.region_of(inputs), made["nodegroup"])

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        cluster, _, name = resource_id.partition(":")
        found = connection.eks(outputs).describe_nodegroup(clusterName=cluster, nodegroupName=name)
        return _outputs(connection.region_of(outputs), found["nodegroup"])

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.eks(inputs)
        target = {"clusterName": outputs["clusterName"], "nodegroupName": outputs["nodeGroupName"]}
        version = _version_changes(outputs, inputs)
        if version:
            client.update_nodegroup_version(**target, **version, force=inputs.get("forceUpdateVersion", False))
        config = _config_changes(outputs, inputs)
        if config:
            client.update_nodegroup_config(**target, **config)
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_resource(resourceArn=outputs["arn"], tagKeys=removed)
        if added:
            client.tag_resource(resourceArn=outputs["arn"], tags=added)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        cluster, _, name = resource_id.partition(":")
        connection.eks(outputs).delete_nodegroup(clusterName=cluster, nodegroupName=name)


def _version_changes(outputs: Properties, inputs: Properties) -> Any:
    """The parameters of UpdateNodegroupVersion. EKS takes a launch template by id or by name, not by both."""
    changes: Properties = {
        key: inputs[key] for key in ("releaseVersion", "version") if key in inputs and inputs[key] != outputs.get(key)
    }
    template, old = inputs.get("launchTemplate"), outputs.get("launchTemplate") or {}
    if template and template["version"] != old.get("version"):
        name = {"id": template["id"]} if "id" in template else {"name": template["name"]}
        changes["launchTemplate"] = {**name, "version": template["version"]}
    return changes


def _config_changes(outputs: Properties, inputs: Properties) -> Any:
    """The parameters of UpdateNodegroupConfig. A change of one size sends all, as the real provider does."""
    changes: Properties = {}
    old_labels, labels = outputs.get("labels") or {}, inputs.get("labels") or {}
    if labels != old_labels:
        changes["labels"] = {
            "addOrUpdateLabels": {key: value for key, value in labels.items() if old_labels.get(key) != value},
            "removeLabels": sorted(old_labels.keys() - labels.keys()),
        }
    old_taints, taints = outputs.get("taints") or [], inputs.get("taints") or []
    if not _same_items(old_taints, taints):
        kept = {(taint["key"], taint["effect"]) for taint in taints}
        changes["taints"] = {
            "addOrUpdateTaints": [taint for taint in taints if taint not in old_taints],
            "removeTaints": [taint for taint in old_taints if (taint["key"], taint["effect"]) not in kept],
        }
    old_sizes = outputs.get("scalingConfig") or {}
    if any(value != old_sizes.get(key) for key, value in inputs["scalingConfig"].items()):
        changes["scalingConfig"] = inputs["scalingConfig"]
    if "updateConfig" in inputs and inputs["updateConfig"] != outputs.get("updateConfig"):
        changes["updateConfig"] = inputs["updateConfig"]
    pool, old_pool = inputs.get("warmPoolConfig"), outputs.get("warmPoolConfig")
    if pool != old_pool and (pool or old_pool):
        changes["warmPoolConfig"] = {"enabled": True, **pool} if pool else {"enabled": False}
    return changes


def _warm_pool(found: Any) -> Properties | None:
    return {key: value for key, value in found.items() if key != "enabled"} if found and found["enabled"] else None


def _outputs(region: str, group: "NodegroupTypeDef") -> Properties:
    groups = group["resources"]["autoScalingGroups"]
    return {
        "arn": group["nodegroupArn"],
        "amiType": group["amiType"],
        "capacityType": group["capacityType"],
        "clusterName": group["clusterName"],
        "diskSize": group.get("diskSize", 0),
        "instanceTypes": group.get("instanceTypes", []),
        "labels": group.get("labels") or None,
        "launchTemplate": group.get("launchTemplate"),
        "nodeGroupName": group["nodegroupName"],
        "nodeRoleArn": group["nodeRole"],
        "releaseVersion": group["releaseVersion"],
        "resources": [
            {"autoscalingGroups": [{"name": each["name"]} for each in groups], "remoteAccessSecurityGroupId": ""}
        ],
        "scalingConfig": group["scalingConfig"],
        "status": group["status"],
        "subnetIds": group["subnets"],
        "taints": group.get("taints") or None,
        "updateConfig": group.get("updateConfig"),
        "version": group["version"],
        "warmPoolConfig": _warm_pool(group.get("warmPoolConfig")),
        "region": region,
        **tag_outputs(group.get("tags", {})),
    }


def get_node_group(connection: AwsConnection, arguments: Properties) -> Properties:
    """https://www.pulumi.com/registry/packages/aws/api-docs/eks/getnodegroup/"""
    cluster, name = arguments["clusterName"], arguments["nodeGroupName"]
    client = connection.eks(arguments)
    try:
        found = client.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
    except client.exceptions.ResourceNotFoundException:
        # The real provider's words
        raise LookupError(f"reading EKS Node Group ({cluster}:{name}): couldn't find resource") from None
    outputs = _outputs(connection.region_of(arguments), found)
    single = {key: outputs.pop(key) for key in ("launchTemplate", "scalingConfig", "updateConfig")}
    return {
        **outputs,
        **{f"{key}s": [value] if value else [] for key, value in single.items()},
        "labels": outputs["labels"] or {},
        "taints": [{"value": "", **taint} for taint in outputs["taints"] or []],
        "remoteAccesses": [],
        "id": f"{cluster}:{name}",
    }


GET_NODE_GROUP = Function(
    token="aws:eks/getNodeGroup:getNodeGroup",
    arguments={
        "clusterName": Property(required=True),
        "nodeGroupName": Property(required=True),
        "region": Property(),
        "tags": Property(),
    },
    call=get_node_group,
)
