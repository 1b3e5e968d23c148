# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""S3: buckets, and their settings, each of which is a resource of its own with the bucket's name as its id."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_outputs
from sandbox.providers.aws.documents import same_policy
from sandbox.providers.framework import Autoname, Property
from sandbox.values import Properties

_FIRST_REGION = "us-east-1"  # whose name CreateBucket does not take
_BUCKET = {"bucket": Property(required=True, replaces=True), **REGION}


class Bucket(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/s3/bucket/. The id is the name."""

    type = "aws:s3/bucket:Bucket"
    inputs: ClassVar = {
        "bucket": Property(replaces=True),
        "forceDestroy": Property(default=False),
        **TAGS,
        **REGION,
    }
    computed = frozenset({"arn", "bucketDomainName"})
    autoname = Autoname(property="bucket", limit=63, lowercase=True)

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["bucket"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        name, region = inputs["bucket"], connection.region_of(inputs)
        place: Any = {} if region == _FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client = connection.s3(inputs)
        client.create_bucket(Bucket=name, **place)
        self._tag(client, name, inputs)
        return self.made(connection, name, inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        client = connection.s3(outputs)
        client.head_bucket(Bucket=resource_id)
        tags = _found(lambda: client.get_bucket_tagging(Bucket=resource_id)["TagSet"], "NoSuchTagSet") or []
        return {
            "arn": f"arn:aws:s3:::{resource_id}",
            "bucket": resource_id,
            "bucketDomainName": f"{resource_id}.s3.amazonaws.com",
            "region": connection.region_of(outputs),
            **tag_outputs({tag["Key"]: tag["Value"] for tag in tags}),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._tag(connection.s3(inputs), resource_id, inputs)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        """Delete the bucket. S3 refuses that while it has objects; `forceDestroy` deletes them first."""
        client = connection.s3(outputs)
        if outputs.get("forceDestroy"):
            for page in client.get_paginator("list_object_versions").paginate(Bucket=resource_id):
                for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    client.delete_object(Bucket=resource_id, Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=resource_id)

    @staticmethod
    def _tag(client: Any, name: str, inputs: Properties) -> None:
        tags: Any = [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()]
        if tags:
            client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        else:
            client.delete_bucket_tagging(Bucket=name)


class _BucketSetting(AwsKind):
    """One of a bucket's settings: writing it replaces it, and there is exactly one."""

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["bucket"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        self.put(connection.s3(inputs), inputs["bucket"], inputs)
        return self.made(connection, inputs["bucket"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        live = self.get(connection.s3(outputs), resource_id, outputs)
        return live and {"bucket": resource_id, "region": connection.region_of(outputs), **live}

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self.put(connection.s3(inputs), resource_id, inputs)
        return self.read(connection, resource_id, inputs) or {}

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        self.remove(connection.s3(outputs), resource_id)

    @abstractmethod
    def put(self, client: Any, bucket: str, inputs: Properties) -> None: ...

    @abstractmethod
    def get(self, client: Any, bucket: str, outputs: Properties) -> Properties | None: ...

    @abstractmethod
    def remove(self, client: Any, bucket: str) -> None: ...


class BucketVersioning(_BucketSetting):
    """https://www.pulumi.com/registry/packages/aws/api-docs/s3/bucketversioning/. Deleting it suspends versioning."""

    type = "aws:s3/bucketVersioning:BucketVersioning"
    inputs: ClassVar = {
        **_BUCKET,
        "versioningConfiguration": Property(required=True, fields={"status": Property(required=True)}),
    }

    def put(self, client: Any, bucket: str, inputs: Properties) -> None:
        status = inputs["versioningConfiguration"]["status"]
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    def get(self, client: Any, bucket: str, outputs: Properties) -> Properties | None:
        status = client.get_bucket_versioning(Bucket=bucket).get("Status")
        return {"versioningConfiguration": {"status": status}} if status in ("Enabled", "Suspended") else None

    def remove(self, client: Any, bucket: str) -> None:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties | None:
        """Read it. A suspended one that was enabled does not exist any more, as for the real provider."""
        live = super().read(connection, resource_id, outputs)
        recorded = (outputs.get("versioningConfiguration") or {}).get("status")
        gone = live and live["versioningConfiguration"]["status"] == "Suspended" and recorded == "Enabled"
        return None if gone else live


class BucketPublicAccessBlock(_BucketSetting):
    """https://www.pulumi.com/registry/packages/aws/api-docs/s3/bucketpublicaccessblock/."""

    type = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    inputs: ClassVar = {
        **_BUCKET,
        "blockPublicAcls": Property(default=False),
        "blockPublicPolicy": Property(default=False),
        "ignorePublicAcls": Property(default=False),
        "restrictPublicBuckets": Property(default=False),
    }
    _NAMES: ClassVar = {name: name[0].upper() + name[1:] for name in inputs if name.endswith(("Acls", "Policy", "ets"))}

    def put(self, client: Any, bucket: str, inputs: Properties) -> None:
        configuration: Any = {theirs: inputs[ours] for ours, theirs in self._NAMES.items()}
        client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=configuration)

    def get(self, client: Any, bucket: str, outputs: Properties) -> Properties | None:
        live: Any = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        return {ours: live[theirs] for ours, theirs in self._NAMES.items()}

    def remove(self, client: Any, bucket: str) -> None:
        client.delete_public_access_block(Bucket=bucket)


class BucketServerSideEncryption(_BucketSetting):
    """https://www.pulumi.com/registry/packages/aws/api-docs/s3/bucketserversideencryptionconfiguration/."""

    type = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    inputs: ClassVar = {
        **_BUCKET,
        "rules": Property(
            required=True,
            fields={
                "applyServerSideEncryptionByDefault": Property(
                    fields={"sseAlgorithm": Property(required=True), "kmsMasterKeyId": Property()}
                ),
                "bucketKeyEnabled": Property(),
            },
        ),
    }

    def put(self, client: Any, bucket: str, inputs: Properties) -> None:
        rules: Any = []
        for rule in inputs["rules"]:
            default = rule["applyServerSideEncryptionByDefault"]
            key = {"KMSMasterKeyID": default["kmsMasterKeyId"]} if "kmsMasterKeyId" in default else {}
            algorithm = {"SSEAlgorithm": default["sseAlgorithm"], **key}
            rules.append(
                {
                    "ApplyServerSideEncryptionByDefault": algorithm,
                    "BucketKeyEnabled": rule.get("bucketKeyEnabled", False),
                }
            )
        client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})

    def get(self, client: Any, bucket: str, outputs: Properties) -> Properties | None:
        live: Any = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return {
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
                        "kmsMasterKeyId": rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID"),
                    },
                    "bucketKeyEnabled": rule.get("BucketKeyEnabled", False),
                }
                for rule in live
            ]
        }

    def remove(self, client: Any, bucket: str) -> None:
        client.delete_bucket_encryption(Bucket=bucket)


class BucketPolicy(_BucketSetting):
    """https://www.pulumi.com/registry/packages/aws/api-docs/s3/bucketpolicy/."""

    type = "aws:s3/bucketPolicy:BucketPolicy"
    inputs: ClassVar = {**_BUCKET, "policy": Property(required=True, equal=same_policy)}

    def put(self, client: Any, bucket: str, inputs: Properties) -> None:
        client.put_bucket_policy(Bucket=bucket, Policy=inputs["policy"])

    def get(self, client: Any, bucket: str, outputs: Properties) -> Properties | None:
        live, recorded = client.get_bucket_policy(Bucket=bucket)["Policy"], outputs.get("policy")
        return {"policy": recorded if recorded and same_policy(recorded, live) else live}

    def remove(self, client: Any, bucket: str) -> None:
        client.delete_bucket_policy(Bucket=bucket)


class BucketLifecycle(_BucketSetting):
    """https://www.pulumi.com/registry/packages/aws/api-docs/s3/bucketlifecycleconfiguration/."""

    type = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    inputs: ClassVar = {
        **_BUCKET,
        "rules": Property(
            fields={
                "id": Property(required=True),
                "status": Property(required=True),
                "noncurrentVersionExpiration": Property(fields={"noncurrentDays": Property(required=True)}),
                "abortIncompleteMultipartUpload": Property(fields={"daysAfterInitiation": Property()}),
            }
        ),
    }

    def put(self, client: Any, bucket: str, inputs: Properties) -> None:
        rules: Any = [
            {
                "ID": rule["id"],
                "Status": rule["status"],
                "Filter": {"Prefix": ""},
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": rule["noncurrentVersionExpiration"]["noncurrentDays"]
                },
                "AbortIncompleteMultipartUpload": {
                    "DaysAfterInitiation": rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
                },
            }
            for rule in inputs["rules"]
        ]
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    def get(self, client: Any, bucket: str, outputs: Properties) -> Properties | None:
        live: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        return {
            "rules": [
                {
                    "id": rule["ID"],
                    "status": rule["Status"],
                    "noncurrentVersionExpiration": {
                        "noncurrentDays": rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
                    },
                    "abortIncompleteMultipartUpload": {
                        "daysAfterInitiation": rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
                    },
                }
                for rule in live
            ]
        }

    def remove(self, client: Any, bucket: str) -> None:
        client.delete_bucket_lifecycle(Bucket=bucket)


def _found(ask: Callable[[], Any], missing: str) -> Any:
    """The client's answer, or None for the error code of something that is not set."""
    try:
        return ask()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == missing:
            return None
        raise
