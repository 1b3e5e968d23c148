"""ECR's registry, as far as its API knows the images: their manifests, to read.

It listens at the address of the API. Builds use another one, which stores layers, too (`sandbox.builds.ecr`). Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import json
import re
from collections.abc import Callable, Iterator

from moto.ecr.models import Repository, ecr_backends
from werkzeug.wrappers import Request, Response

from sandbox.services.aws.required_rights import Right

PREFIX = "/v2/"
_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<reference>[^/]+)")
_TOKEN = re.compile(r"(?P<account>\d{12})-auth-token-(?P<access_key>.+)")

Refusal = Callable[[str, str, Right], str | None]
"""The reason why the owner of an access key of an account has not this right; None if they have it."""


def password(account: str, access_key: str) -> str:
    """The registry's password for the owner of an access key."""
    return f"{account}-auth-token-{access_key}"


def answer(request: Request, refusal: Refusal) -> Response:
    """Answer a request. The repository is looked for in all regions of the token's account."""
    login = _TOKEN.fullmatch((request.authorization and request.authorization.password) or "")
    if login is None:
        return _error(401, "UNAUTHORIZED", "Not Authorized", {"WWW-Authenticate": 'Basic service="ecr.amazonaws.com"'})
    found = _MANIFEST.fullmatch(request.path)
    if found is None or request.method not in ("GET", "HEAD"):
        message = f"The sandbox's registry has no route {request.method} {request.path}"
        return _error(405, "UNSUPPORTED", message)
    known = list(_repositories(login["account"], found["repository"]))
    if not known:
        message = f"The repository with name '{found['repository']}' does not exist in the registry"
        return _error(404, "NAME_UNKNOWN", message)
    for repository in known:
        right = Right(action="ecr:BatchGetImage", resource=repository.arn)
        if reason := refusal(login["account"], login["access_key"], right):
            return _error(403, "DENIED", reason)
        for image in repository.images:
            if found["reference"] in (image.image_digest, *image.image_tags):
                headers = {"Docker-Content-Digest": image.image_digest}
                return Response(image.image_manifest, 200, headers, mimetype=image.image_manifest_media_type)
    return _error(404, "MANIFEST_UNKNOWN", "Requested image not found")


def _repositories(account: str, name: str) -> Iterator[Repository]:
    """The repositories with this name."""
    for backend in ecr_backends[account].values():
        if name in backend.repositories:
            yield backend.repositories[name]


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    return Response(body, status, headers, mimetype="application/json")
