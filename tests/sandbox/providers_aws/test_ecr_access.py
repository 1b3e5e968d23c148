"""Repository policies, pull-through cache rules and repository templates through their lives."""

import json
from typing import Any

import grpc
import pytest

from sandbox.values import Properties
from tests.sandbox.conftest import AwsClient
from tests.sandbox.provider_client import ProviderClient
from tests.sandbox.providers_aws.managed import Managed

REPOSITORY = "aws:ecr/repository:Repository"
POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
RULE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
SETTING = "aws:ecr/accountSetting:AccountSetting"
TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
SECRET = "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"


def policy(*principals: str) -> str:
    statement = {
        "Sid": "Pull",
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_repository_policy_changes_in_place(client: ProviderClient, aws: AwsClient) -> None:
    repository = Managed(client, REPOSITORY, "shared").create({})
    inputs: Properties = {"repository": repository.id, "policy": policy("arn:aws:iam::111122223333:root")}
    managed = Managed(client, POLICY, "shared").create(inputs)
    assert managed.id == repository.id
    both = policy("arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root")
    assert managed.update({**inputs, "policy": both}) == {"policy": "UPDATE"}
    live = aws("ecr").get_repository_policy(repositoryName=repository.id)["policyText"]
    assert json.loads(live) == json.loads(both)
    assert managed.diff({"repository": "another", "policy": both}) == {"repository": "UPDATE_REPLACE"}
    managed.delete()
    with pytest.raises(aws("ecr").exceptions.RepositoryPolicyNotFoundException):
        aws("ecr").get_repository_policy(repositoryName=repository.id)


def test_a_role_that_does_not_exist_is_refused_as_by_ecr(client: ProviderClient) -> None:
    repository = Managed(client, REPOSITORY, "strict").create({})
    wrong = {"repository": repository.id, "policy": policy("arn:aws:iam::123456789012:role/nobody")}
    with pytest.raises(grpc.RpcError, match="Invalid repository policy provided"):
        client.create(POLICY, "strict", Managed(client, POLICY, "strict").check(wrong))


def test_a_cache_rule_keeps_its_prefix_and_upstream(client: ProviderClient, aws: AwsClient) -> None:
    inputs: Properties = {
        "ecrRepositoryPrefix": "rules/hub",
        "upstreamRegistryUrl": "registry-1.docker.io",
        "credentialArn": SECRET,
    }
    rule = Managed(client, RULE, "hub").create(inputs)
    assert rule.outputs["upstreamRepositoryPrefix"] == "ROOT"
    assert rule.update({**inputs, "credentialArn": f"{SECRET}2"}) == {"credentialArn": "UPDATE"}
    [live] = aws("ecr").describe_pull_through_cache_rules(ecrRepositoryPrefixes=["rules/hub"])["pullThroughCacheRules"]
    assert live["credentialArn"] == f"{SECRET}2"
    assert live["upstreamRegistry"] == "docker-hub"
    other = {"ecrRepositoryPrefix": "rules/quay", "upstreamRegistryUrl": "quay.io"}
    assert rule.diff(other) == {
        "credentialArn": "DELETE",
        "ecrRepositoryPrefix": "UPDATE_REPLACE",
        "upstreamRegistryUrl": "UPDATE_REPLACE",
    }
    rule.delete()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"upstreamRegistryUrl": "docker.io"}, "is not supported"),
        ({"credentialArn": None}, "requires credentials"),
        ({"upstreamRegistryUrl": "quay.io"}, "takes no credentials"),
        ({"ecrRepositoryPrefix": "p" * 31}, "must have length less than or equal to 30"),
        ({"credentialArn": SECRET.replace("ecr-pullthroughcache/", "other/")}, "must satisfy regular expression"),
    ],
)
def test_a_wrong_rule_is_refused(client: ProviderClient, changed: dict[str, Any], reason: str) -> None:
    inputs = {
        "ecrRepositoryPrefix": "wrong/hub",
        "upstreamRegistryUrl": "registry-1.docker.io",
        "credentialArn": SECRET,
        **changed,
    }
    given = {key: value for key, value in inputs.items() if value}
    with pytest.raises(grpc.RpcError, match=reason):
        client.create(RULE, "wrong", Managed(client, RULE, "wrong").check(given))


def test_two_rules_cannot_have_one_prefix(client: ProviderClient) -> None:
    inputs = {"ecrRepositoryPrefix": "twice/quay", "upstreamRegistryUrl": "quay.io"}
    Managed(client, RULE, "first").create(inputs)
    with pytest.raises(grpc.RpcError, match="already exists"):
        client.create(RULE, "second", Managed(client, RULE, "second").check(inputs))


def test_a_template_changes_in_place_but_for_its_prefix(client: ProviderClient, aws: AwsClient) -> None:
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7},
        "action": {"type": "expire"},
    }
    inputs: Properties = {
        "prefix": "templates/quay",
        "appliedFors": ["PULL_THROUGH_CACHE"],
        "description": "one",
        "lifecyclePolicy": json.dumps({"rules": [rule]}),
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
    }
    template = Managed(client, TEMPLATE, "quay").create(inputs)
    assert template.update({**inputs, "description": "two"}) == {"description": "UPDATE"}
    [live] = aws("ecr").describe_repository_creation_templates(prefixes=["templates/quay"])[
        "repositoryCreationTemplates"
    ]
    assert live["description"] == "two"
    assert live["appliedFor"] == ["PULL_THROUGH_CACHE"]
    assert template.diff({**inputs, "description": "two", "prefix": "templates/k8s"}) == {"prefix": "UPDATE_REPLACE"}
    template.delete()


def test_a_template_with_a_key_needs_a_role(client: ProviderClient) -> None:
    inputs = {
        "prefix": "templates/secret",
        "appliedFors": ["PULL_THROUGH_CACHE"],
        "encryptionConfigurations": [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:ap-east-1:123456789012:key/1"},
        ],
    }
    with pytest.raises(grpc.RpcError, match="need a role"):
        client.create(TEMPLATE, "secret", Managed(client, TEMPLATE, "secret").check(inputs))


def test_an_account_setting_stays_when_nobody_manages_it(client: ProviderClient, aws: AwsClient) -> None:
    setting = Managed(client, SETTING, "mounting").create({"name": "BLOB_MOUNTING", "value": "ENABLED"})
    assert setting.diff({"name": "REGISTRY_POLICY_SCOPE", "value": "V2"})["name"] == "UPDATE_REPLACE"
    client.delete(SETTING, "mounting", setting.id, setting.outputs)
    assert aws("ecr").get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
    assert setting.update({"name": "BLOB_MOUNTING", "value": "DISABLED"}) == {"value": "UPDATE"}
    assert aws("ecr").get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"
