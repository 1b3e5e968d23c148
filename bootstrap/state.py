"""The backend of all stacks of the account: the bucket with their state, and the key that encrypts it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from bootstrap.role_documents import tls_only

ALIAS = "alias/buildyard-state"

KEEP_VERSIONS_DAYS = 90
"""How long an older version of a state can be restored. Every step of an update writes one."""


@dataclass(frozen=True, kw_only=True)
class StateBackendArgs:
    bucket: str
    partition: str
    tags: Mapping[str, str]


class StateBackend(pulumi.ComponentResource):
    """The bucket and the key. Pulumi refuses to delete both: they hold what all stacks are."""

    bucket: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: StateBackendArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:bootstrap:StateBackend", name, {}, opts)
        self._name = name
        self._args = args
        key = self._create_key()
        bucket = self._create_bucket()
        self._close(bucket)
        self._encrypt(bucket, key)
        self._keep_versions(bucket)
        self.bucket, self.key_arn = bucket.bucket, key.arn
        self.register_outputs({"bucket": self.bucket, "keyArn": self.key_arn})

    @property
    def _protected(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=True)

    @property
    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _create_key(self) -> aws.kms.Key:
        key = aws.kms.Key(
            self._name,
            description="Buildyard: the state of stacks and the secrets in it",
            enable_key_rotation=True,
            tags=self._args.tags,
            opts=self._protected,
        )
        aws.kms.Alias(self._name, name=ALIAS, target_key_id=key.key_id, opts=self._protected)
        return key

    def _create_bucket(self) -> aws.s3.Bucket:
        return aws.s3.Bucket(self._name, bucket=self._args.bucket, tags=self._args.tags, opts=self._protected)

    def _close(self, bucket: aws.s3.Bucket) -> None:
        block = aws.s3.BucketPublicAccessBlock(
            self._name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        arn = f"arn:{self._args.partition}:s3:::{self._args.bucket}"
        aws.s3.BucketPolicy(
            self._name,
            bucket=bucket.bucket,
            policy=pulumi.Output.json_dumps(tls_only(arn)),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )

    def _encrypt(self, bucket: aws.s3.Bucket, key: aws.kms.Key) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            self._name,
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=self._child,
        )

    def _keep_versions(self, bucket: aws.s3.Bucket) -> None:
        versioning = aws.s3.BucketVersioning(
            self._name, bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=self._child
        )
        aws.s3.BucketLifecycleConfiguration(
            self._name,
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "noncurrent_version_expiration": {"noncurrent_days": KEEP_VERSIONS_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
