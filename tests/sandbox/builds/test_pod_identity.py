"""The emulated agent of EKS Pod Identity, with requests as from a build's programs."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest
import requests

from sandbox.builds.pod_identity import ServiceAccount, pod_identity
from sandbox.endpoints import REGION
from stacks.trust import Tier, Trust
from tests.sandbox.builds.example_group import BUILDS, ExampleGroup, account, role_of

REVIEWS = account(Trust.ISOLATED, Tier.UNPROTECTED)
NOBODY = ServiceAccount(cluster=BUILDS.cluster, namespace=BUILDS.namespace, name="nobody")


@pytest.fixture
def agent(example: tuple[ExampleGroup, Path]) -> Iterator[Mapping[ServiceAccount, dict[str, str]]]:
    group = example[0]
    with pod_identity([BUILDS, REVIEWS, NOBODY], aws=group.aws, region=REGION, key=group.token_key) as environments:
        yield environments


def test_one_token_gets_the_same_credentials_again(agent: Mapping[ServiceAccount, dict[str, str]]) -> None:
    environment = agent[BUILDS]
    first, second = (_ask(environment, environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]).json() for _ in range(2))
    assert first == second, "ECR's helper would forget the registry's token with every new access key"
    assert first["Token"]


def test_the_token_decides_whose_credentials_they_are(
    agent: Mapping[ServiceAccount, dict[str, str]], example: tuple[ExampleGroup, Path]
) -> None:
    for mine in (BUILDS, REVIEWS):
        got = _ask(agent[BUILDS], agent[mine]["AWS_CONTAINER_AUTHORIZATION_TOKEN"]).json()
        session = boto3.Session(got["AccessKeyId"], got["SecretAccessKey"], region_name=REGION)
        identity = session.client("sts", endpoint_url=example[0].aws).get_caller_identity()
        assert identity["Arn"].split("/")[1] == role_of(mine)


def test_nobody_gets_credentials_without_a_pods_token(agent: Mapping[ServiceAccount, dict[str, str]]) -> None:
    answer = _ask(agent[BUILDS], "another")
    assert answer.status_code == 400
    assert "InvalidTokenException" in answer.text
    assert "AccessKeyId" not in answer.text


def test_an_account_without_a_role_is_named_every_time(agent: Mapping[ServiceAccount, dict[str, str]]) -> None:
    for _ in range(2):
        answer = _ask(agent[NOBODY], agent[NOBODY]["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
        assert answer.status_code == 404
        assert f"{NOBODY.namespace}/nobody" in answer.text


def _ask(environment: dict[str, str], token: str) -> requests.Response:
    return requests.get(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token}, timeout=30)
