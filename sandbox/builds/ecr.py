"""Amazon ECR for builds: its registry, the token for that from its API, and the rights of whoever asks.

A real registry (`distribution`) stores manifests and layers. This module adds ECR's own rules: a push creates no
repository, rights come from the policies of the role that asked for the token and of the repository, an immutable tag
cannot be moved, and pull-through caches import images (`pull_through`). Repositories, roles and the list of images are
those of the sandbox's AWS: an image that its API deletes cannot be pulled any more.
"""

import base64
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any

import boto3
from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

from sandbox.builds.aws_api import aws_api
from sandbox.builds.distribution import Distribution
from sandbox.builds.mounting import BlobMounting
from sandbox.builds.pull_through import PullThrough
from sandbox.builds.traffic import Traffic
from sandbox.services.aws.ecr import immutable_tag, is_immutable
from sandbox.services.aws.rights import Policy, allows, grants

_TOKEN_SECONDS = 12 * 3600
_TOKEN_OPERATION = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"  # noqa: S105 - a name
_ACCESS_KEY = re.compile(r"Credential=([^/]+)/")
_PATH = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs/uploads|blobs|tags)/(?P<reference>[^/]*)")

# Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html and the service authorization
# reference, https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
_ACTIONS = {
    ("GET", "manifests"): "ecr:BatchGetImage",
    ("HEAD", "manifests"): "ecr:BatchGetImage",
    ("PUT", "manifests"): "ecr:PutImage",
    ("DELETE", "manifests"): "ecr:BatchDeleteImage",
    ("GET", "blobs"): "ecr:GetDownloadUrlForLayer",
    ("HEAD", "blobs"): "ecr:BatchCheckLayerAvailability",
    ("POST", "blobs/uploads"): "ecr:InitiateLayerUpload",
    ("GET", "blobs/uploads"): "ecr:UploadLayerPart",
    ("PATCH", "blobs/uploads"): "ecr:UploadLayerPart",
    ("PUT", "blobs/uploads"): "ecr:CompleteLayerUpload",
    ("GET", "tags"): "ecr:ListImages",
}


@dataclass(frozen=True, kw_only=True)
class _Caller:
    """The owner of a token. The role's policies are read when the token is issued, and hold as long as the token."""

    arn: str
    policies: Sequence[Policy]
    boundary: Policy | None
    region: str
    until: float

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    def may(self, action: str, resource: str) -> bool:
        """Whether the caller's own policies allow something."""
        return allows(self.policies, action, resource, boundary=self.boundary)

    @property
    def role(self) -> str:
        """The ARN of the assumed role, or of the caller itself."""
        kind, _, rest = self.arn.rpartition(":")[2].partition("/")
        return f"arn:aws:iam::{self.account}:role/{rest.split('/')[0]}" if kind == "assumed-role" else self.arn


Callers = dict[str, _Caller]
"""The owners of tokens, by token."""


class Ecr:
    """One account's ECR in one region."""

    def __init__(
        self,
        *,
        aws: str,
        account: str,
        region: str,
        images: Distribution,
        folder: str = "",
        callers: Callers | None = None,
    ) -> None:
        """`aws` is the URL of the sandbox's AWS; `images` stores the images.

        `folder` keeps the images of another account's or region's registry apart; nobody pushes there.
        `callers` are shared by all registries: a token is for its owner and a region, not for one account's registry.
        """
        self.registry_host = f"{account}.dkr.ecr.{region}.amazonaws.com"
        self.api_host = f"api.ecr.{region}.amazonaws.com"
        self._aws, self._account, self._region, self._images = aws, account, region, images
        self._ask_aws = aws_api(aws)
        self._folder = folder
        self.traffic = Traffic()
        self._callers = {} if callers is None else callers
        self._moving_tags = Lock()
        self._making_clients = Lock()  # threads may share boto3's clients, but not create them at the same time
        self._throttled_seconds = self._throttled_until = 0.0
        self._session = boto3.Session("sandbox", "sandbox", region_name=region)
        self._ecr = self._client("ecr", account=account)
        self._pull_through = PullThrough(self._ecr, images)
        self._mounting = BlobMounting(self._ecr, folder=folder)

    def throttle(self, seconds: float) -> None:
        """Refuse all requests for some seconds from the next one, as ECR does when an account sends too many."""
        self._throttled_seconds = seconds

    def _is_throttling(self) -> bool:
        if self._throttled_seconds:
            self._throttled_until = time.monotonic() + self._throttled_seconds
            self._throttled_seconds = 0.0
        return time.monotonic() < self._throttled_until

    def answer_api(self, request: Request) -> Response:
        """ECR's API. The sandbox's AWS answers, except that each caller gets a password of its own here."""
        if self._is_throttling():
            return _json({"__type": "ThrottlingException", "message": "Rate exceeded"}, 400)
        answer = self._ask_aws(request)
        if request.headers.get("X-Amz-Target") != _TOKEN_OPERATION or answer.status_code != HTTPStatus.OK:
            return answer
        caller = self._identify(request)
        if not caller.may("ecr:GetAuthorizationToken", "*"):
            message = _refusal(caller, "ecr:GetAuthorizationToken", "*")
            return _json({"__type": "AccessDeniedException", "Message": message}, 400)
        token = secrets.token_urlsafe(24)
        self._callers[token] = caller
        encoded = base64.b64encode(f"AWS:{token}".encode()).decode()
        [data] = json.loads(answer.get_data())["authorizationData"]
        return _json({"authorizationData": [{**data, "authorizationToken": encoded, "expiresAt": caller.until}]})

    def answer_registry(self, request: Request) -> Response:
        """The registry: the OCI distribution protocol with ECR's refusals."""
        if self._is_throttling():
            return _error(429, "TOOMANYREQUESTS", "Rate exceeded")
        caller = self._callers.get((request.authorization and request.authorization.password) or "")
        if caller is None or caller.until < time.time() or caller.region != self._region:
            challenge = f'Basic realm="https://{self.registry_host}/",service="ecr.amazonaws.com"'
            return _error(401, "UNAUTHORIZED", "Not Authorized", {"WWW-Authenticate": challenge})
        if request.path == "/v2/":
            return self._images.pass_on(request, "/v2/")
        found = _PATH.fullmatch(request.path)
        action = _ACTIONS.get((request.method, found["kind"])) if found else None
        if found is None or action is None:
            return _error(405, "UNSUPPORTED", f"The operation is unsupported: {request.method} {request.path}")
        return self._answer(request, caller, action, found["repository"], found["reference"])

    def _answer(self, request: Request, caller: _Caller, action: str, repository: str, reference: str) -> Response:
        resource = f"arn:aws:ecr:{self._region}:{self._account}:repository/{repository}"
        if not self._allows(caller, action, repository):
            return _error(403, "DENIED", _refusal(caller, action, resource))
        if action == "ecr:BatchGetImage":
            missing = self._pull_through.bring(
                repository, reference, lambda right: self._allows(caller, right, repository)
            )
            if missing:
                return _error(403, "DENIED", _refusal(caller, missing, resource))
        settings = self._repository(repository)
        if settings is None:
            message = (
                f"The repository with name '{repository}' does not exist in the registry with id '{self._account}'"
            )
            return _error(404, "NAME_UNKNOWN", message)
        if action == "ecr:PutImage":
            with self._moving_tags:
                return self._put_image(request, settings, repository, reference)
        if action == "ecr:BatchDeleteImage":
            return self._delete_image(repository, reference)
        if action == "ecr:ListImages":
            return self._list_tags(repository)
        if action == "ecr:BatchGetImage" and not self._has_image(repository, reference):
            return _error(404, "MANIFEST_UNKNOWN", "Requested image not found")
        query = request.query_string.decode()
        if action == "ecr:InitiateLayerUpload":
            query = self._mounting.query(
                settings,
                request.args,
                find=self._repository,
                is_cached=self._pull_through.is_cached,
                allows=lambda right, name: self._allows(caller, right, name),
            )
        path = request.path.replace("/v2/", f"/v2/{self._folder}", 1)
        response = self._images.pass_on(request, f"{path}?{query}" if query else path)
        self.traffic.note(request, action, repository, reference, response)
        return response

    def _allows(self, caller: _Caller, action: str, repository: str) -> bool:
        """Whether the caller's own policies or the repository's allow it; for another account's caller, both must.

        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
        """
        resource = f"arn:aws:ecr:{self._region}:{self._account}:repository/{repository}"
        by_caller = caller.may(action, resource)
        if caller.account == self._account and by_caller:
            return True
        policy = self._repository_policy(repository)
        if policy is None:
            return False
        if caller.account == self._account:
            return grants(policy, caller.role, action, {})
        owners = (caller.role, f"arn:aws:iam::{caller.account}:root")
        return by_caller and any(grants(policy, owner, action, {}) for owner in owners)

    def _repository_policy(self, repository: str) -> Policy | None:
        try:
            policy: Policy = json.loads(self._ecr.get_repository_policy(repositoryName=repository)["policyText"])
        except ClientError as error:
            if error.response["Error"]["Code"] in ("RepositoryPolicyNotFoundException", "RepositoryNotFoundException"):
                return None
            raise
        return policy

    def _put_image(self, request: Request, settings: Mapping[str, Any], repository: str, reference: str) -> Response:
        tag = None if ":" in reference else reference
        if tag and is_immutable(settings, tag) and self._has_image(repository, tag):
            return _error(400, "TAG_INVALID", immutable_tag(repository, tag))
        manifest = request.get_data()
        response = self._images.pass_on(request, request.path, manifest)
        if response.status_code == HTTPStatus.CREATED:
            image = {"imageManifest": manifest.decode(), "imageManifestMediaType": request.content_type}
            try:
                self._ecr.put_image(repositoryName=repository, **image, **({"imageTag": tag} if tag else {}))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ImageAlreadyExistsException":
                    raise
        return response

    def _delete_image(self, repository: str, reference: str) -> Response:
        """Delete an image from ECR. Its files stay in the registry; ECR does not serve them any more."""
        done = self._ecr.batch_delete_image(repositoryName=repository, imageIds=[_image_id(reference)])
        if done["failures"]:
            return _error(400, "UNSUPPORTED", done["failures"][0]["failureReason"])
        return Response(status=HTTPStatus.ACCEPTED)

    def _list_tags(self, repository: str) -> Response:
        pages = self._ecr.get_paginator("list_images").paginate(repositoryName=repository)
        tags = [each["imageTag"] for page in pages for each in page["imageIds"] if "imageTag" in each]
        return _json({"name": repository, "tags": sorted(tags)})

    def _has_image(self, repository: str, reference: str) -> bool:
        return bool(self._ecr.batch_get_image(repositoryName=repository, imageIds=[_image_id(reference)])["images"])

    def _repository(self, name: str) -> Mapping[str, Any] | None:
        try:
            [settings] = self._ecr.describe_repositories(repositoryNames=[name])["repositories"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "RepositoryNotFoundException":
                return None
            raise
        return dict(settings)

    def _identify(self, request: Request) -> _Caller:
        key = _ACCESS_KEY.search(request.headers.get("Authorization", ""))
        # The sandbox's AWS identifies callers by their access key, and does not check signatures.
        arn = self._client("sts", key[1] if key else "none").get_caller_identity()["Arn"]
        until = int(time.time()) + _TOKEN_SECONDS
        policies, boundary = self._rights(arn)
        return _Caller(arn=arn, policies=policies, boundary=boundary, region=self._region, until=until)

    def _rights(self, arn: str) -> tuple[list[Policy], Policy | None]:
        """The policies and the permissions boundary of an assumed role; none for any other caller."""
        kind, _, rest = arn.rpartition(":")[2].partition("/")
        if kind != "assumed-role":
            return [], None
        role = rest.split("/")[0]
        iam = self._client("iam", account=arn.split(":")[4])
        inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents: list[Any] = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in inline
        ]
        attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        documents += [_document(iam, each["PolicyArn"]) for each in attached]
        boundary = iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return documents, _document(iam, boundary) if boundary else None

    def _client(self, service: Any, access_key: str | None = None, *, account: str | None = None) -> Any:
        """A client with an access key, or an administrator's of an account."""
        with self._making_clients:
            client = self._session.client(
                service, endpoint_url=self._aws, aws_access_key_id=access_key, aws_secret_access_key=access_key
            )
        if account:
            client.meta.events.register("before-sign", partial(_name_account, account))
        return client


def _document(iam: Any, arn: str) -> Policy:
    """The document of a managed policy."""
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: Policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return document


def _name_account(account: str, request: Any, **_: Any) -> None:
    """Tell the sandbox's AWS the account of a request, which it finds by the access key otherwise."""
    request.headers["x-moto-account-id"] = account


def _image_id(reference: str) -> dict[str, str]:
    """ECR's form of a tag or a digest."""
    return {"imageDigest" if ":" in reference else "imageTag": reference}


def _refusal(caller: _Caller, action: str, resource: str) -> str:
    kind = "resource" if caller.may(action, resource) else "identity"
    return (
        f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} because no "
        f"{kind}-based policy allows the {action} action"
    )


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"errors": [{"code": code, "message": message}]}, status, headers)


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, mimetype="application/json")
