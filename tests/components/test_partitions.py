"""Stacks in China and GovCloud: nothing that they deploy names another partition."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.components import answers
from tests.components.answers import ACCOUNT
from tests.components.mocks import NAME, Declared, declare
from tests.components.test_lookups import refused

PLACES = {"aws-cn": ("cn-north-1", "amazonaws.com.cn"), "aws-us-gov": ("us-gov-west-1", "amazonaws.com")}
EACH = pytest.mark.parametrize("partition", PLACES)
UNIVERSAL = {
    "ec2.amazonaws.com",
    "ecr.amazonaws.com",
    "lambda.amazonaws.com",
    "pods.eks.amazonaws.com",
    "sts.amazonaws.com",
    "eks.amazonaws.com",  # in labels and annotations of Kubernetes
}
"""Names with this domain in each partition: service principals, an audience, labels."""


@pytest.fixture
def place(partition: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Credentials of an account in the partition: its region, and the domain of its services."""
    region, domain = PLACES[partition]
    monkeypatch.setattr(answers, "PARTITION", partition)
    monkeypatch.setattr(answers, "REGION", region)
    monkeypatch.setattr(answers, "REGISTRY", f"{ACCOUNT}.dkr.ecr.{region}.{domain}")
    monkeypatch.setattr(answers, "ISSUER", f"https://oidc.eks.{region}.{domain}/id/0123456789ABCDEF")
    return region, domain


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    else:
        yield str(value)


def everything(partition: str, place: tuple[str, str], identity: str) -> Declared:
    region, domain = place
    key = f"arn:{partition}:kms:{region}:{ACCOUNT}:key/1b2c3d4e"
    secret = f"arn:{partition}:secretsmanager:{region}:{ACCOUNT}:secret:ecr-pullthroughcache/hub-AbCdEf"
    return declare(
        identity=identity,
        trust="isolated",
        registry={
            "kms-key": key,
            "pull-from": ["shared/base", f"111122223333.dkr.ecr.{region}.{domain}/golden/*"],
            "pull-through": {"docker-hub": {"credentials": secret}},
            "pull": {
                "accounts": ["111122223333"],
                "lambda-accounts": ["111122223333"],
                "principals": [f"arn:{partition}:iam::111122223333:role/deploy"],
            },
        },
    )


@EACH
@pytest.mark.parametrize("identity", ["pod-identity", "irsa"])
def test_no_resource_names_another_partition(partition: str, place: tuple[str, str], identity: str) -> None:
    region, domain = place
    declared = everything(partition, place, identity)
    said = "\n".join(text for resource in declared.all for text in texts(resource.plain()))
    said += json.dumps(declared.outputs)
    assert set(re.findall(r"arn:(aws[a-z-]*):", said)) == {partition}
    hosts = set(re.findall(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?", said)) - UNIVERSAL
    assert hosts
    assert {host for host in hosts if not host.endswith(f".{region}.{domain}")} == set(), "AWS would not be there"


@EACH
def test_a_role_trusts_the_partitions_provider(partition: str, place: tuple[str, str]) -> None:
    region, domain = place
    role = everything(partition, place, "irsa").of("iam:Role")[f"{NAME}-push"].document("assumeRolePolicy")
    [statement] = role["Statement"]
    issuer = f"oidc.eks.{region}.{domain}/id/0123456789ABCDEF"
    assert statement["Principal"] == {"Federated": f"arn:{partition}:iam::{ACCOUNT}:oidc-provider/{issuer}"}
    assert statement["Condition"]["StringEquals"][f"{issuer}:aud"] == "sts.amazonaws.com"


@EACH
def test_what_is_in_another_partition_is_refused(partition: str, place: tuple[str, str]) -> None:
    registry = {
        "kms-key": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1b2c3d4e",
        "pull-from": ["111122223333.dkr.ecr.eu-west-1.amazonaws.com/golden/*"],
    }
    message = refused(registry=registry)
    assert f"buildyard:registry.kms-key: the key is not in the partition {partition} of the registry" in message
    assert f"pull-from[0]: eu-west-1 is not in the partition {partition} of the stack" in message


@EACH
def test_the_preview_says_what_a_partition_may_lack(
    partition: str, place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.warn", said.append)
    everything(partition, place, "pod-identity")
    about = [notice.partition(": ")[0] for notice in said]
    assert ("buildyard:identity" in about) is (partition == "aws-cn")
    assert "buildyard:registry.pull-through" in about
