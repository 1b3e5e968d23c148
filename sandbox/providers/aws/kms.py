# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""KMS: keys and their aliases."""

from typing import Any, ClassVar

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.framework import Property
from sandbox.values import Properties


class Key(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/kms/key/. The id is KMS's.

    Deleting it schedules its deletion: KMS keeps a key for at least a week.
    """

    type = "aws:kms/key:Key"
    inputs: ClassVar = {
        "description": Property(computed=True),
        "enableKeyRotation": Property(default=False),
        "deletionWindowInDays": Property(),
        **TAGS,
        **REGION,
    }
    computed = frozenset({"arn", "keyId"})

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        client = connection.kms(inputs)
        found = [client.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in client.list_keys()["Keys"]]
        return [each["KeyId"] for each in found if each.get("Description") == inputs.get("description")]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        client = connection.kms(inputs)
        tags: Any = [{"TagKey": key, "TagValue": value} for key, value in inputs.get("tags", {}).items()]
        made = client.create_key(Description=inputs.get("description", ""), Tags=tags)["KeyMetadata"]["KeyId"]
        if inputs["enableKeyRotation"]:
            client.enable_key_rotation(KeyId=made)
        return self.made(connection, made, inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        client = connection.kms(outputs)
        key = client.describe_key(KeyId=resource_id)["KeyMetadata"]
        if key["KeyState"] == "PendingDeletion":
            return None
        tags = client.list_resource_tags(KeyId=resource_id).get("Tags", [])
        return {
            "arn": key["Arn"],
            "keyId": key["KeyId"],
            "description": key["Description"],
            "enableKeyRotation": client.get_key_rotation_status(KeyId=resource_id)["KeyRotationEnabled"],
            "region": connection.region_of(outputs),
            **tag_outputs({tag["TagKey"]: tag["TagValue"] for tag in tags}),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.kms(inputs)
        if inputs.get("description", "") != outputs.get("description", ""):
            client.update_key_description(KeyId=resource_id, Description=inputs.get("description", ""))
        if inputs["enableKeyRotation"] != outputs.get("enableKeyRotation"):
            change = client.enable_key_rotation if inputs["enableKeyRotation"] else client.disable_key_rotation
            change(KeyId=resource_id)
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_resource(KeyId=resource_id, TagKeys=removed)
        if added:
            tags: Any = [{"TagKey": key, "TagValue": value} for key, value in added.items()]
            client.tag_resource(KeyId=resource_id, Tags=tags)
        return self.read(connection, resource_id, outputs) or {}

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        if self.read(connection, resource_id, outputs) is not None:
            days = outputs.get("deletionWindowInDays") or 30
            connection.kms(outputs).schedule_key_deletion(KeyId=resource_id, PendingWindowInDays=days)


class Alias(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/kms/alias/. The id is the name, `alias/...`."""

    type = "aws:kms/alias:Alias"
    inputs: ClassVar = {
        "name": Property(replaces=True),
        "targetKeyId": Property(required=True),
        **REGION,
    }
    computed = frozenset({"arn"})

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["name"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        connection.kms(inputs).create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        return self.made(connection, inputs["name"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        for page in connection.kms(outputs).get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] == resource_id and "TargetKeyId" in alias:
                    return {
                        "arn": alias["AliasArn"],
                        "name": resource_id,
                        "targetKeyId": alias["TargetKeyId"],
                        "region": connection.region_of(outputs),
                    }
        return None

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        connection.kms(inputs).update_alias(AliasName=resource_id, TargetKeyId=inputs["targetKeyId"])
        return self.read(connection, resource_id, outputs) or {}

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        if self.read(connection, resource_id, outputs) is not None:
            connection.kms(outputs).delete_alias(AliasName=resource_id)
