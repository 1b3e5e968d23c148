# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""EKS Pod Identity associations."""

from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.framework import Property
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_eks.type_defs import PodIdentityAssociationTypeDef

_CHANGEABLE = ("roleArn", "disableSessionTags", "targetRoleArn")


class PodIdentityAssociation(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/eks/podidentityassociation/. The id is EKS's."""

    type = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    inputs: ClassVar = {
        "clusterName": Property(required=True, replaces=True),
        "disableSessionTags": Property(computed=True),
        "namespace": Property(required=True, replaces=True),
        "roleArn": Property(required=True),
        "serviceAccount": Property(required=True, replaces=True),
        "targetRoleArn": Property(),
        **TAGS,
        **REGION,
    }
    computed = frozenset({"associationArn", "associationId", "externalId"})

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        cluster = inputs["clusterName"]
        found = connection.eks(inputs).list_pod_identity_associations(
            clusterName=cluster, namespace=inputs["namespace"], serviceAccount=inputs["serviceAccount"]
        )
        return [each["associationId"] for each in found["associations"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        keys = ("clusterName", "namespace", "serviceAccount", "tags", *_CHANGEABLE)
        made = connection.eks(inputs).create_pod_identity_association(**_given(inputs, keys))
        association = made["association"]
        return association["associationId"], _outputs(connection.region_of(inputs), association)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        """Read the association. In an import, the id is `cluster,association`, as in the real provider."""
        cluster, _, association_id = resource_id.rpartition(",")
        found = connection.eks(outputs).describe_pod_identity_association(
            clusterName=cluster or outputs["clusterName"], associationId=association_id
        )
        return _outputs(connection.region_of(outputs), found["association"])

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.eks(inputs)
        changes = {key: value for key, value in _given(inputs, _CHANGEABLE).items() if value != outputs.get(key)}
        if changes:
            client.update_pod_identity_association(
                clusterName=outputs["clusterName"], associationId=outputs["associationId"], **changes
            )
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_resource(resourceArn=outputs["associationArn"], tagKeys=removed)
        if added:
            client.tag_resource(resourceArn=outputs["associationArn"], tags=added)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.eks(outputs).delete_pod_identity_association(
            clusterName=outputs["clusterName"], associationId=outputs["associationId"]
        )


def _given(inputs: Properties, keys: tuple[str, ...]) -> Any:
    return {key: inputs[key] for key in keys if key in inputs}


def _outputs(region: str, association: "PodIdentityAssociationTypeDef") -> Properties:
    return {
        "associationArn": association["associationArn"],
        "associationId": association["associationId"],
        "clusterName": association["clusterName"],
        "disableSessionTags": association["disableSessionTags"],
        "externalId": association.get("externalId", ""),
        "namespace": association["namespace"],
        "roleArn": association["roleArn"],
        "serviceAccount": association["serviceAccount"],
        "targetRoleArn": association.get("targetRoleArn"),
        "region": region,
        **tag_outputs(association.get("tags", {})),
    }
