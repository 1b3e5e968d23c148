# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""IAM: roles, managed policies, and their attachments."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.connection import TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.aws.documents import is_json, same_policy
from sandbox.providers.framework import Autoname, Property
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_iam.type_defs import RoleTypeDef


class Role(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/iam/role/. The id is the name."""

    type = "aws:iam/role:Role"
    inputs: ClassVar = {
        "name": Property(replaces=True),
        "assumeRolePolicy": Property(required=True, equal=same_policy),
        "description": Property(),
        "forceDetachPolicies": Property(default=False),
        "maxSessionDuration": Property(default=3600),
        "path": Property(default="/", replaces=True),
        "permissionsBoundary": Property(),
        **TAGS,
    }
    computed = frozenset({"arn", "createDate", "uniqueId"})
    autoname = Autoname(property="name", limit=64)

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if not is_json(inputs.get("assumeRolePolicy")):
            yield "assumeRolePolicy", "The trust policy must be a JSON object, as a string."

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["name"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        request: dict[str, Any] = {
            "RoleName": inputs["name"],
            "AssumeRolePolicyDocument": inputs["assumeRolePolicy"],
            "Description": inputs.get("description"),
            "MaxSessionDuration": inputs["maxSessionDuration"],
            "Path": inputs["path"],
            "PermissionsBoundary": inputs.get("permissionsBoundary"),
            "Tags": [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()],
        }
        connection.iam().create_role(**{key: value for key, value in request.items() if value is not None})
        return self.made(connection, inputs["name"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        client = connection.iam()
        role = client.get_role(RoleName=resource_id)["Role"]
        # The real provider reads these, too, for properties that no program here uses.
        client.list_role_policies(RoleName=resource_id)
        client.list_attached_role_policies(RoleName=resource_id)
        return self._outputs(role, outputs)

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.iam()
        if not same_policy(outputs["assumeRolePolicy"], inputs["assumeRolePolicy"]):
            client.update_assume_role_policy(RoleName=resource_id, PolicyDocument=inputs["assumeRolePolicy"])
        if any(inputs.get(key) != outputs.get(key) for key in ("description", "maxSessionDuration")):
            client.update_role(
                RoleName=resource_id,
                Description=inputs.get("description", ""),
                MaxSessionDuration=inputs["maxSessionDuration"],
            )
        boundary = inputs.get("permissionsBoundary")
        if boundary != outputs.get("permissionsBoundary"):
            if boundary:
                client.put_role_permissions_boundary(RoleName=resource_id, PermissionsBoundary=boundary)
            else:
                client.delete_role_permissions_boundary(RoleName=resource_id)
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_role(RoleName=resource_id, TagKeys=removed)
        if added:
            tags: Any = [{"Key": key, "Value": value} for key, value in added.items()]
            client.tag_role(RoleName=resource_id, Tags=tags)
        return self.read(connection, resource_id, {**outputs, "assumeRolePolicy": inputs["assumeRolePolicy"]})

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        """Delete the role. IAM refuses that while policies are attached, unless `forceDetachPolicies` is set."""
        client = connection.iam()
        if outputs.get("forceDetachPolicies"):
            for policy in client.list_attached_role_policies(RoleName=resource_id)["AttachedPolicies"]:
                client.detach_role_policy(RoleName=resource_id, PolicyArn=policy["PolicyArn"])
            for name in client.list_role_policies(RoleName=resource_id)["PolicyNames"]:
                client.delete_role_policy(RoleName=resource_id, PolicyName=name)
        client.delete_role(RoleName=resource_id)

    @staticmethod
    def _outputs(role: "RoleTypeDef", recorded: Properties) -> Properties:
        return {
            "arn": role["Arn"],
            "name": role["RoleName"],
            "assumeRolePolicy": _as_recorded(role["AssumeRolePolicyDocument"], recorded.get("assumeRolePolicy")),
            "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "description": role.get("Description") or None,
            "maxSessionDuration": role["MaxSessionDuration"],
            "path": role["Path"],
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "uniqueId": role["RoleId"],
            **tag_outputs({tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}),
        }


class Policy(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/iam/policy/. The id is the ARN.

    `attachmentCount` is left out: it changes with every attachment of the policy, and no program here reads it.
    """

    type = "aws:iam/policy:Policy"
    inputs: ClassVar = {
        "name": Property(replaces=True),
        "description": Property(replaces=True),
        "path": Property(default="/", replaces=True),
        "policy": Property(required=True, equal=same_policy),
        **TAGS,
    }
    computed = frozenset({"arn", "policyId"})
    autoname = Autoname(property="name", limit=128)

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if not is_json(inputs.get("policy")):
            yield "policy", "The IAM policy must be a JSON object, as a string."

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        pages = connection.iam().get_paginator("list_policies").paginate(Scope="Local")
        return [each["Arn"] for page in pages for each in page["Policies"] if each["PolicyName"] == inputs["name"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        request: dict[str, Any] = {
            "PolicyName": inputs["name"],
            "PolicyDocument": inputs["policy"],
            "Description": inputs.get("description"),
            "Path": inputs["path"],
            "Tags": [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()],
        }
        made = connection.iam().create_policy(**{key: value for key, value in request.items() if value is not None})
        return self.made(connection, made["Policy"]["Arn"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        client = connection.iam()
        policy = client.get_policy(PolicyArn=resource_id)["Policy"]
        version = client.get_policy_version(PolicyArn=resource_id, VersionId=policy["DefaultVersionId"])
        return {
            "arn": policy["Arn"],
            "name": policy["PolicyName"],
            "description": policy.get("Description") or None,
            "path": policy["Path"],
            "policy": _as_recorded(version["PolicyVersion"]["Document"], outputs.get("policy")),
            "policyId": policy["PolicyId"],
            **tag_outputs({tag["Key"]: tag["Value"] for tag in policy.get("Tags", [])}),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.iam()
        if not same_policy(outputs["policy"], inputs["policy"]):
            self._drop_versions(connection, resource_id)  # IAM allows five versions
            client.create_policy_version(PolicyArn=resource_id, PolicyDocument=inputs["policy"], SetAsDefault=True)
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_policy(PolicyArn=resource_id, TagKeys=removed)
        if added:
            tags: Any = [{"Key": key, "Value": value} for key, value in added.items()]
            client.tag_policy(PolicyArn=resource_id, Tags=tags)
        return self.read(connection, resource_id, {**outputs, "policy": inputs["policy"]})

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        self._drop_versions(connection, resource_id)
        connection.iam().delete_policy(PolicyArn=resource_id)

    @staticmethod
    def _drop_versions(connection: AwsConnection, resource_id: str) -> None:
        """Delete all versions except the default one."""
        client = connection.iam()
        for version in client.list_policy_versions(PolicyArn=resource_id)["Versions"]:
            if not version["IsDefaultVersion"]:
                client.delete_policy_version(PolicyArn=resource_id, VersionId=version["VersionId"])


class RolePolicyAttachment(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/iam/rolepolicyattachment/. The id is `role/policy-arn`."""

    type = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    inputs: ClassVar = {
        "policyArn": Property(required=True, replaces=True),
        "role": Property(required=True, replaces=True),
    }

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [f"{inputs['role']}/{inputs['policyArn']}"]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        connection.iam().attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}", inputs

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        role, _, policy_arn = resource_id.partition("/")
        pages = connection.iam().get_paginator("list_attached_role_policies").paginate(RoleName=role)
        attached = {policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]}
        return {"role": role, "policyArn": policy_arn} if policy_arn in attached else None

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        role, _, policy_arn = resource_id.partition("/")
        connection.iam().detach_role_policy(RoleName=role, PolicyArn=policy_arn)


def _as_recorded(live: Any, recorded: str | None) -> str:
    """A policy's text: the recorded one while it means the same as the live one, whose text IAM formats differently."""
    text = live if isinstance(live, str) else json.dumps(live, separators=(",", ":"))
    return recorded if recorded and same_policy(recorded, text) else text
