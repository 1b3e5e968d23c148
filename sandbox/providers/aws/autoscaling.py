# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""Single tags of an Auto Scaling group that another service made, such as EKS for a node group."""

from typing import ClassVar

from sandbox.providers.aws.connection import REGION, AwsConnection, AwsKind
from sandbox.providers.framework import Property
from sandbox.values import Properties


class ScalingGroupTag(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/autoscaling/tag/. The id is `group,key`."""

    type = "aws:autoscaling/tag:Tag"
    inputs: ClassVar = {
        "autoscalingGroupName": Property(required=True, replaces=True),
        "tag": Property(
            required=True,
            fields={
                "key": Property(required=True, replaces=True),
                "propagateAtLaunch": Property(required=True),
                "value": Property(required=True),
            },
        ),
        **REGION,
    }

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [f"{inputs['autoscalingGroupName']},{inputs['tag']['key']}"]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        group, tag = inputs["autoscalingGroupName"], inputs["tag"]
        connection.autoscaling(inputs).create_or_update_tags(
            Tags=[
                {
                    "ResourceId": group,
                    "ResourceType": "auto-scaling-group",
                    "Key": tag["key"],
                    "Value": tag["value"],
                    "PropagateAtLaunch": tag["propagateAtLaunch"],
                }
            ]
        )
        return f"{group},{tag['key']}", {**inputs, "region": connection.region_of(inputs)}

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        group, _, key = resource_id.partition(",")
        found = connection.autoscaling(outputs).describe_tags(
            Filters=[{"Name": "auto-scaling-group", "Values": [group]}, {"Name": "key", "Values": [key]}]
        )["Tags"]
        for tag in found:
            value = {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
            return {"autoscalingGroupName": group, "tag": value, "region": connection.region_of(outputs)}
        return None

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        return self.create(connection, inputs)[1]

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        """Remove the tag, unless its group is gone."""
        group, _, key = resource_id.partition(",")
        if self.read(connection, resource_id, outputs) is None:
            return
        connection.autoscaling(outputs).delete_tags(
            Tags=[{"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key}]
        )
