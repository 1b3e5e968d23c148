"""Private registries besides ECR for builds: GitLab's own, and others with a user and a password. Nobody pushes there.

Their images are in the registry that stores all images, by host: `registry.gitlab.example.com/group/project/image`.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.wrappers import Request, Response

from sandbox.builds.distribution import Distribution

GITLAB_REGISTRY = "registry.gitlab.example.com"
"""The container registry of the sandbox's GitLab: `CI_REGISTRY`."""

Host = Callable[[Request], Response]


@dataclass(frozen=True, kw_only=True)
class Login:
    """A private registry, and the only user that it knows."""

    host: str
    user: str
    password: str


def private_registry(images: Distribution, login: Login) -> Host:
    """A registry that asks for the user and the password in every request."""

    def answer(request: Request) -> Response:
        given = request.authorization
        if given is None or (given.username, given.password) != (login.user, login.password):
            return _unauthorized(f'Basic realm="{login.host}"')
        return _pull(request, images, login.host)

    return answer


def gitlab_registry(images: Distribution, job_tokens: set[str]) -> Host:
    """GitLab's registry, which takes the tokens of running jobs, and gives a token of its own for them.

    Source: https://distribution.github.io/distribution/spec/auth/token/
    """
    issued: set[str] = set()
    challenge = f'Bearer realm="https://{GITLAB_REGISTRY}/jwt/auth",service="container_registry"'

    def answer(request: Request) -> Response:
        given = request.authorization
        if request.path == "/jwt/auth":
            if request.method != "GET":
                return Response(status=404)
            if given is None or given.username != "gitlab-ci-token" or given.password not in job_tokens:
                return _error(403, "DENIED", "access forbidden")
            token = secrets.token_urlsafe(24)
            issued.add(token)
            return Response(json.dumps({"token": token}), mimetype="application/json")
        if given is None or given.token not in issued:
            return _unauthorized(challenge)
        return _pull(request, images, GITLAB_REGISTRY)

    return answer


def _pull(request: Request, images: Distribution, host: str) -> Response:
    if request.method not in ("GET", "HEAD"):
        return _error(405, "UNSUPPORTED", "The sandbox takes no pushes here.")
    path = request.path if request.path == "/v2/" else request.path.replace("/v2/", f"/v2/{host}/", 1)
    return images.pass_on(request, path)


def _unauthorized(challenge: str) -> Response:
    response = _error(401, "UNAUTHORIZED", "authentication required")
    response.headers["WWW-Authenticate"] = challenge
    return response


def _error(status: int, code: str, message: str) -> Response:
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    return Response(body, status, mimetype="application/json")
