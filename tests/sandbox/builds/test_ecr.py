"""The registry and ECR's API show the same images. These tests need no real registry."""

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from components import policy_documents
from sandbox.builds.distribution import Distribution
from sandbox.builds.ecr import Ecr
from sandbox.endpoints import REGION, Endpoints
from tests.sandbox.conftest import AwsClient
from tests.sandbox.manifests import IMAGE, digest, image

ACCOUNT = "123456789012"
NAMES = (f"pushed-{number}" for number in itertools.count())


class Store(Distribution):
    """A registry that stores everything."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.stored: dict[str, bytes] = {}

    def pass_on(self, request: Request, path: str, body: bytes | None = None) -> Response:
        if request.method == "PUT":
            self.stored[path] = body or b""
            return Response(status=201)
        if request.method == "POST":
            self.stored["mount"] = path.encode()
            return Response(status=201 if "?mount=" in path else 202)
        return Response(self.stored[path])


def request(path: str, method: str, body: str, content_type: str, **headers: str) -> Request:
    builder = EnvironBuilder(path, method=method, data=body, content_type=content_type)
    builder.headers.extend(headers)
    return Request(builder.get_environ())


@dataclass(kw_only=True)
class Client:
    """A client of the registry with the rights of a build's role."""

    ecr: Ecr
    password: str
    repository: str = field(default_factory=lambda: next(NAMES))

    def ask(self, method: str, path: str, body: str = "") -> Response:
        encoded = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        return self.ecr.answer_registry(
            request(f"/v2/{self.repository}/{path}", method, body, IMAGE, Authorization=f"Basic {encoded}")
        )

    def mount(self, source: str, digest: str = digest(image(1))) -> int:
        """Ask for a layer of another repository. Returns the status: 201 if it is mounted, 202 to upload it."""
        return self.ask("POST", f"blobs/uploads/?mount={digest}&from={source}").status_code

    def push(self, manifest: str, reference: str) -> Response:
        return self.ask("PUT", f"manifests/{reference}", manifest)


@pytest.fixture
def client(endpoints: Endpoints, aws: AwsClient) -> Client:
    repository = next(NAMES)
    aws("ecr").create_repository(
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest"}],
    )
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    rights = policy_documents.push([arn])
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]}
    role = aws("iam").create_role(RoleName=repository, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    own = {"Effect": "Allow", "Action": ["ecr:ListImages", "ecr:BatchDeleteImage"], "Resource": arn}
    for number, policy in enumerate([*rights, {"Version": "2012-10-17", "Statement": [own]}]):
        aws("iam").put_role_policy(RoleName=repository, PolicyName=str(number), PolicyDocument=json.dumps(policy))
    key = aws("sts").assume_role(RoleArn=role, RoleSessionName="build")["Credentials"]["AccessKeyId"]
    ecr = Ecr(aws=endpoints.aws, account=ACCOUNT, region=REGION, images=Store())
    signature = f"AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/ecr/aws4_request, SignedHeaders=host"
    target = {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}
    answer = ecr.answer_api(request("/", "POST", "{}", "application/x-amz-json-1.1", Authorization=signature, **target))
    token = json.loads(answer.get_data())["authorizationData"][0]["authorizationToken"]
    return Client(ecr=ecr, password=base64.b64decode(token).decode().partition(":")[2], repository=repository)


def test_the_api_lists_what_was_pushed(client: Client, aws: AwsClient) -> None:
    assert client.push(image(1), digest(image(1))).status_code == 201
    assert client.push(image(2), "latest").status_code == 201
    ids = aws("ecr").list_images(repositoryName=client.repository)["imageIds"]
    assert {each["imageDigest"]: each.get("imageTag") for each in ids} == {
        digest(image(1)): None,
        digest(image(2)): "latest",
    }
    assert json.loads(client.ask("GET", "tags/list").get_data())["tags"] == ["latest"]
    with pytest.raises(aws("ecr").exceptions.RepositoryNotEmptyException):
        aws("ecr").delete_repository(repositoryName=client.repository)


def test_a_retry_pushes_the_same_image_again(client: Client) -> None:
    for _ in range(2):
        assert client.push(image(1), "latest").status_code == 201


def test_an_immutable_tag_is_refused_before_the_registry_moves_it(client: Client) -> None:
    assert client.push(image(1), "v1").status_code == 201
    refused = client.push(image(2), "v1")
    assert refused.status_code == 400
    assert "the tag is immutable" in refused.get_data(as_text=True)
    assert client.ask("GET", "manifests/v1").get_data(as_text=True) == image(1), "a release was overwritten"


def test_what_the_api_deleted_cannot_be_pulled(client: Client, aws: AwsClient) -> None:
    client.push(image(1), "v1")
    assert client.ask("HEAD", "manifests/v1").status_code == 200
    aws("ecr").delete_repository(repositoryName=client.repository, force=True)
    aws("ecr").create_repository(repositoryName=client.repository)
    missing = client.ask("GET", "manifests/v1")
    assert missing.status_code == 404
    assert "Requested image not found" in missing.get_data(as_text=True)


def test_the_registry_deletes_from_the_api(client: Client, aws: AwsClient) -> None:
    client.push(image(1), "v1")
    assert client.ask("DELETE", "manifests/v1").status_code == 202
    assert aws("ecr").list_images(repositoryName=client.repository)["imageIds"] == []
    assert client.ask("DELETE", "manifests/v1").status_code == 400


@pytest.fixture
def mounting(aws: AwsClient) -> Iterator[None]:
    aws("ecr").put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    yield
    aws("ecr").put_account_setting(name="BLOB_MOUNTING", value="DISABLED")


def readable(client: Client, aws: AwsClient, name: str, **options: Any) -> str:
    """Create a repository that the client's role may read."""
    aws("ecr").create_repository(repositoryName=name, **options)
    [right] = policy_documents.push([], pull_arns=[f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"])
    policy = {"Version": "2012-10-17", "Statement": right["Statement"][1:]}
    for each in policy["Statement"]:
        each["Principal"] = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{client.repository}"}
        del each["Resource"]
    aws("ecr").set_repository_policy(repositoryName=name, policyText=json.dumps(policy))
    return name


@pytest.mark.usefixtures("mounting")
def test_a_layer_is_mounted_from_a_repository_that_the_role_may_read(client: Client, aws: AwsClient) -> None:
    assert client.mount(readable(client, aws, next(NAMES))) == 201
    aws("ecr").create_repository(repositoryName=(unreadable := next(NAMES)))
    assert client.mount(unreadable) == 202, "merge requests could read another tier's layers by their digests"
    assert client.mount("no/such/repository") == 202


@pytest.mark.usefixtures("mounting")
def test_a_layer_with_another_encryption_or_of_a_cache_is_not_mounted(client: Client, aws: AwsClient) -> None:
    assert client.mount(readable(client, aws, next(NAMES), encryptionConfiguration={"encryptionType": "KMS"})) == 202
    prefix = next(NAMES)
    aws("ecr").create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="quay.io")
    try:
        assert client.mount(readable(client, aws, f"{prefix}/image")) == 202
    finally:
        aws("ecr").delete_pull_through_cache_rule(ecrRepositoryPrefix=prefix)


def test_without_the_accounts_setting_no_layer_is_mounted(client: Client, aws: AwsClient) -> None:
    assert client.mount(readable(client, aws, next(NAMES))) == 202
