# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""EKS access entries, and the access policies that are associated with them."""

from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.framework import Property
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_eks.type_defs import AccessEntryTypeDef

_TIME = "%Y-%m-%dT%H:%M:%SZ"


class AccessEntry(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/eks/accessentry/. The id is `cluster:principal`."""

    type = "aws:eks/accessEntry:AccessEntry"
    inputs: ClassVar = {
        "clusterName": Property(required=True, replaces=True),
        "kubernetesGroups": Property(computed=True),
        "principalArn": Property(required=True, replaces=True),
        "type": Property(default="STANDARD", replaces=True),
        "userName": Property(computed=True),
        **TAGS,
        **REGION,
    }
    computed = frozenset({"accessEntryArn", "createdAt"})

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [f"{inputs['clusterName']}:{inputs['principalArn']}"]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        request: dict[str, Any] = {
            "clusterName": inputs["clusterName"],
            "principalArn": inputs["principalArn"],
            "kubernetesGroups": inputs.get("kubernetesGroups"),
            "type": inputs["type"],
            "username": inputs.get("userName"),
            "tags": inputs.get("tags"),
        }
        given: Any = {key: value for key, value in request.items() if value is not None}
        entry = connection.eks(inputs).create_access_entry(**given)["accessEntry"]
        return f"{inputs['clusterName']}:{inputs['principalArn']}", _outputs(connection.region_of(inputs), entry)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        cluster, _, principal = resource_id.partition(":")
        found = connection.eks(outputs).describe_access_entry(clusterName=cluster, principalArn=principal)
        return _outputs(connection.region_of(outputs), found["accessEntry"])

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client, (cluster, _, principal) = connection.eks(inputs), resource_id.partition(":")
        names = {"kubernetesGroups": "kubernetesGroups", "userName": "username"}
        changes: Any = {names[key]: inputs[key] for key in names if key in inputs and inputs[key] != outputs.get(key)}
        if changes:
            client.update_access_entry(clusterName=cluster, principalArn=principal, **changes)
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_resource(resourceArn=outputs["accessEntryArn"], tagKeys=removed)
        if added:
            client.tag_resource(resourceArn=outputs["accessEntryArn"], tags=added)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        cluster, _, principal = resource_id.partition(":")
        connection.eks(outputs).delete_access_entry(clusterName=cluster, principalArn=principal)


def _outputs(region: str, entry: "AccessEntryTypeDef") -> Properties:
    return {
        "accessEntryArn": entry["accessEntryArn"],
        "clusterName": entry["clusterName"],
        "createdAt": entry["createdAt"].strftime(_TIME),
        "kubernetesGroups": entry["kubernetesGroups"],
        "principalArn": entry["principalArn"],
        "region": region,
        "type": entry["type"],
        "userName": entry["username"],
        **tag_outputs(entry.get("tags", {})),
    }


class AccessPolicyAssociation(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/eks/accesspolicyassociation/.

    The id is `cluster#principal#policy`.
    """

    type = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    inputs: ClassVar = {
        "accessScope": Property(
            required=True, replaces=True, fields={"type": Property(required=True), "namespaces": Property()}
        ),
        "clusterName": Property(required=True, replaces=True),
        "policyArn": Property(required=True, replaces=True),
        "principalArn": Property(required=True, replaces=True),
        **REGION,
    }
    computed = frozenset({"associatedAt"})
    delete_before_replace = True

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return ["#".join(inputs[key] for key in ("clusterName", "principalArn", "policyArn"))]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        connection.eks(inputs).associate_access_policy(
            clusterName=inputs["clusterName"],
            principalArn=inputs["principalArn"],
            policyArn=inputs["policyArn"],
            accessScope=inputs["accessScope"],
        )
        [made] = self.candidates(connection, inputs)
        return self.made(connection, made, inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        cluster, principal, policy = resource_id.split("#")
        pages = connection.eks(outputs).get_paginator("list_associated_access_policies")
        for page in pages.paginate(clusterName=cluster, principalArn=principal):
            for found in page["associatedAccessPolicies"]:
                if found["policyArn"] == policy:
                    scope: Any = found["accessScope"]
                    return {
                        "accessScope": {"type": scope["type"], "namespaces": scope.get("namespaces") or None},
                        "associatedAt": found["associatedAt"].strftime(_TIME),
                        "clusterName": cluster,
                        "policyArn": policy,
                        "principalArn": principal,
                        "region": connection.region_of(outputs),
                    }
        return None

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        cluster, principal, policy = resource_id.split("#")
        connection.eks(outputs).disassociate_access_policy(
            clusterName=cluster, principalArn=principal, policyArn=policy
        )
