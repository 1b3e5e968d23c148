"""The emulated agent of EKS Pod Identity, with requests as from a build's programs."""

from pathlib import Path

import requests

from sandbox.builds.pod_identity import ServiceAccount, pod_identity
from sandbox.endpoints import REGION
from tests.sandbox.builds.example_group import BUILDS, ExampleGroup


def test_one_token_gets_the_same_credentials_again(example: tuple[ExampleGroup, Path]) -> None:
    with pod_identity(BUILDS, aws=example[0].aws, region=REGION) as environment:
        first, second = (_ask(environment, environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]).json() for _ in range(2))
    assert first == second, "ECR's helper would forget the registry's token with every new access key"
    assert first["Token"]


def test_nobody_gets_credentials_without_the_pods_token(example: tuple[ExampleGroup, Path]) -> None:
    with pod_identity(BUILDS, aws=example[0].aws, region=REGION) as environment:
        answer = _ask(environment, "another")
    assert answer.status_code == 401
    assert "AccessKeyId" not in answer.text


def test_an_account_without_a_role_is_named_every_time(example: tuple[ExampleGroup, Path]) -> None:
    nobody = ServiceAccount(cluster=BUILDS.cluster, namespace=BUILDS.namespace, name="nobody")
    with pod_identity(nobody, aws=example[0].aws, region=REGION) as environment:
        for _ in range(2):
            answer = _ask(environment, environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
            assert answer.status_code == 404
            assert f"{nobody.namespace}/nobody" in answer.text


def _ask(environment: dict[str, str], token: str) -> requests.Response:
    return requests.get(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token}, timeout=30)
