"""ECR's registry at the address of its API: manifests for whoever has a login."""

import json

import pytest
import requests

from sandbox.endpoints import Endpoints
from tests.sandbox.conftest import AwsClient
from tests.sandbox.manifests import INDEX, digest, image, index
from tests.sandbox.services_aws.test_ecr import put, repository


def ask(endpoints: Endpoints, aws: AwsClient, path: str) -> requests.Response:
    [login] = aws("ecr").get_authorization_token()["authorizationData"]
    headers = {"Authorization": f"Basic {login['authorizationToken']}"}
    return requests.get(f"{endpoints.aws}/v2/{path}", headers=headers, timeout=10)


def test_a_manifest_is_what_was_pushed(endpoints: Endpoints, aws: AwsClient) -> None:
    name = repository(aws)
    put(aws, name, image())
    put(aws, name, index(image()), "1.0")
    answer = ask(endpoints, aws, f"{name}/manifests/1.0")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, INDEX)
    assert answer.headers["Docker-Content-Digest"] == digest(index(image()))
    assert answer.json() == json.loads(index(image()))
    assert ask(endpoints, aws, f"{name}/manifests/{digest(image())}").text == image()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("{name}/manifests/2.0", 404, "MANIFEST_UNKNOWN"),
        ("{name}-other/manifests/1.0", 404, "NAME_UNKNOWN"),
        ("{name}/blobs/sha256:0", 405, "UNSUPPORTED"),
    ],
)
def test_what_is_not_there_is_named_as_ecr_names_it(
    endpoints: Endpoints, aws: AwsClient, path: str, status: int, code: str
) -> None:
    answer = ask(endpoints, aws, path.format(name=repository(aws)))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


def test_nobody_reads_without_a_login(endpoints: Endpoints, aws: AwsClient) -> None:
    answer = requests.get(f"{endpoints.aws}/v2/{repository(aws)}/manifests/1.0", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
