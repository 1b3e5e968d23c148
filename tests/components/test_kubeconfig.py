"""The kubeconfig of the Kubernetes provider."""

import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from components.kubeconfig import Login, kubeconfig
from tests.components.mocks import declare
from tests.components.preflight import inspected, problems


@pytest.fixture
def configured(request: pytest.FixtureRequest) -> Iterator[None]:
    """The AWS provider's settings, as the stack's file has them."""
    pulumi.runtime.set_all_config(request.param)
    yield
    pulumi.runtime.set_all_config({})


def given(**settings: Any) -> Any:
    return {f"aws:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}


ROLE = "arn:aws:iam::123456789012:role/deployer"


@pytest.mark.parametrize(
    ("configured", "arguments"),
    [
        ({}, []),
        (given(profile="work"), ["--profile", "work"]),
        (given(assumeRoles=[{"roleArn": ROLE, "sessionName": "x"}]), ["--role-arn", ROLE]),
    ],
    indirect=["configured"],
)
@pytest.mark.usefixtures("configured")
def test_kubernetes_knows_the_identity_that_aws_knows(arguments: list[str]) -> None:
    [provider] = [each for each in declare(iam={}).all if each.type == "pulumi:providers:kubernetes"]
    [user] = json.loads(provider.inputs["kubeconfig"])["users"]
    assert user["user"]["exec"]["args"][8:] == arguments


@pytest.mark.parametrize(
    ("configured", "key", "said"),
    [
        (given(assumeRoles=[{"roleArn": ROLE}, {"roleArn": f"{ROLE}-2"}]), "aws:assumeRoles", "one role"),
        (given(assumeRoles=[{"roleArn": ROLE, "externalId": "7"}]), "aws:assumeRoles", "without externalId"),
        (given(accessKey="AKIA"), "aws:accessKey", "does not know this key"),
        (given(sharedConfigFiles=["~/elsewhere"]), "aws:sharedConfigFiles", "does not know this key"),
    ],
    indirect=["configured"],
)
@pytest.mark.usefixtures("configured")
def test_an_identity_that_the_aws_cli_cannot_have_is_a_problem(key: str, said: str) -> None:
    found = problems(inspected())
    assert said in found[key]
    assert "AKIA" not in str(found)


def test_the_kubeconfig_gets_its_tokens_from_the_aws_cli() -> None:
    text = kubeconfig(
        cluster_name="ci",
        endpoint="https://cluster.example.com",
        certificate_authority="Y2E=",
        region="ap-east-1",
        login=Login(),
    )
    assert json.loads(text) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "ci",
                "cluster": {"server": "https://cluster.example.com", "certificate-authority-data": "Y2E="},
            }
        ],
        "users": [
            {
                "name": "ci",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": [
                            *("--region", "ap-east-1", "eks", "get-token"),
                            *("--cluster-name", "ci", "--output", "json"),
                        ],
                    }
                },
            }
        ],
        "contexts": [{"name": "ci", "context": {"cluster": "ci", "user": "ci"}}],
        "current-context": "ci",
    }
