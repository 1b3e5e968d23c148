"""The kinds that an administrator's program makes: state bucket, key, identity provider and access entries."""

import json
from typing import Any

import pytest

from sandbox.values import Properties
from tests.sandbox.conftest import AwsClient
from tests.sandbox.provider_client import ProviderClient
from tests.sandbox.providers_aws.conftest import Unique
from tests.sandbox.providers_aws.managed import Managed
from tests.sandbox.providers_aws.test_declarations import ENCRYPTION, LIFECYCLE
from tests.sandbox.providers_aws.test_kinds import make_role

BUCKET = "aws:s3/bucket:Bucket"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
DAYS = "noncurrentVersionExpiration"


def rule(days: int) -> Properties:
    return {
        "id": "old",
        "status": "Enabled",
        DAYS: {"noncurrentDays": days},
        "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1},
    }


def policy(bucket: str, sid: str) -> str:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": f"arn:aws:s3:::{bucket}/*"}]})


def test_a_bucket_lives_with_its_settings(client: ProviderClient, unique: Unique, aws: AwsClient) -> None:
    name = unique("state")
    bucket = Managed(client, BUCKET, "state").create({"bucket": name, "tags": {"team": "a"}})
    assert bucket.diff({"bucket": f"{name}2", "tags": {"team": "a"}}) == {"bucket": "UPDATE_REPLACE"}
    assert bucket.update({"bucket": name, "tags": {"team": "b"}})
    public = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True}
    kms = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:aws:kms:ap-east-1:123456789012:key/1"}
    for token, first, second in (
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"versioningConfiguration": {"status": "Suspended"}},
            {"versioningConfiguration": {"status": "Enabled"}},
        ),
        (
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            public,
            {**public, "restrictPublicBuckets": True},
        ),
        (
            ENCRYPTION,
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]},
            {"rules": [{"applyServerSideEncryptionByDefault": kms, "bucketKeyEnabled": True}]},
        ),
        ("aws:s3/bucketPolicy:BucketPolicy", {"policy": policy(name, "A")}, {"policy": policy(name, "B")}),
        (LIFECYCLE, {"rules": [rule(30)]}, {"rules": [rule(90)]}),
    ):
        setting = Managed(client, token, "setting").create({"bucket": name, **first})
        assert setting.update({"bucket": name, **second}), token
        setting.delete()
    aws("s3").put_object(Bucket=name, Key="object", Body=b"kept")
    with pytest.raises(Exception, match="BucketNotEmpty"):
        client.delete(BUCKET, "state", name, bucket.outputs)
    assert bucket.update({"bucket": name, "tags": {"team": "b"}, "forceDestroy": True})
    bucket.delete()


def test_a_key_and_its_alias(client: ProviderClient, unique: Unique, aws: AwsClient) -> None:
    key = Managed(client, "aws:kms/key:Key", "key").create({"description": "secrets", "tags": {"team": "a"}})
    assert key.update({"description": "secrets of stacks", "enableKeyRotation": True, "tags": {"team": "b"}})
    name = f"alias/{unique('key')}"
    alias = Managed(client, "aws:kms/alias:Alias", "alias").create({"name": name, "targetKeyId": key.id})
    other = Managed(client, "aws:kms/key:Key", "other").create({"description": "other"})
    assert alias.update({"name": name, "targetKeyId": other.id}) == {"targetKeyId": "UPDATE"}
    alias.delete()
    key.delete()
    assert aws("kms").describe_key(KeyId=key.id)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_an_identity_provider(client: ProviderClient, unique: Unique) -> None:
    url, thumbprint = f"https://{unique('gitlab')}.example.com", "ab" * 20
    inputs: Properties = {"url": url, "clientIdLists": ["sts.amazonaws.com"]}
    provider = Managed(client, "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "gitlab").create(inputs)
    assert provider.update({**inputs, "thumbprintLists": [thumbprint], "tags": {"team": "a"}})
    assert provider.diff({**inputs, "url": f"{url}/gitlab"})["url"] == "UPDATE_REPLACE"
    provider.delete()


def test_an_access_entry_and_its_policy(client: ProviderClient) -> None:
    role = make_role(client, "entered")
    inputs: Properties = {"clusterName": "ci", "principalArn": role.outputs["arn"], "kubernetesGroups": ["readers"]}
    entry = Managed(client, ENTRY, "entry").create(inputs)
    assert entry.update({**inputs, "kubernetesGroups": ["writers"], "tags": {"team": "a"}})
    policy = {
        "clusterName": "ci",
        "principalArn": role.outputs["arn"],
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
    }
    associated = Managed(client, ASSOCIATION, "admin").create({**policy, "accessScope": {"type": "cluster"}})
    narrower = {**policy, "accessScope": {"type": "namespace", "namespaces": ["a"]}}
    assert "accessScope.type" in associated.diff(narrower)
    associated.delete()
    entry.delete()
