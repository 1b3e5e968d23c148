"""A registry's answers about the builder image, as a check."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from delivery.doctor.builder import check_builder_image
from delivery.doctor.outputs import Deployed
from delivery.doctor.questions import Refused, Registry
from delivery.doctor.report import Check, Result
from tests.stacks.stack_settings import settings

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
BOTH = {"manifests": [{"platform": {"os": "linux", "architecture": each}} for each in ("arm64", "amd64")]}
ARM64_ALONE = {"arm64": {"instance-types": ["m7g.4xlarge"]}}
PASSWORD = "the-password-of-the-registry"


class Answers(HTTPServer):
    """A registry that answers every request the same."""

    status = 200
    body: Any = BOTH
    asked: str = ""
    authorization: str = ""


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.server.asked, self.server.authorization = self.path, self.headers["Authorization"]
        self.send_response(self.server.status)
        self.end_headers()
        body = self.server.body
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the library)
        pass


@pytest.fixture
def registry() -> Iterator[Answers]:
    with Answers(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def check(registry: Answers, image: str = f"{HOST}/buildyard/builder:1.1.0", **keys: Any) -> Check:
    login = Registry(url=f"http://127.0.0.1:{registry.server_port}", user="AWS", password=PASSWORD)
    assert PASSWORD not in repr(login)
    deployed = Deployed(registry_host=HOST, builder_image=image, runners={}, node_groups={})
    return check_builder_image(settings(**keys), deployed, login)


def test_the_image_is_there_for_both_architectures(registry: Answers) -> None:
    found = check(registry)
    assert (found.result, found.found) == (Result.OK, "buildyard/builder:1.1.0, for arm64 and amd64")
    assert registry.asked == "/v2/buildyard/builder/manifests/1.1.0"
    assert registry.authorization.startswith("Basic "), "ECR answers nobody without a login"


def test_an_image_by_its_digest_is_asked_for_by_its_digest(registry: Answers) -> None:
    check(registry, f"{HOST}/builder:1@sha256:{'a' * 64}")
    assert registry.asked == f"/v2/builder/manifests/sha256:{'a' * 64}"


def test_an_image_without_one_architecture_names_it(registry: Answers) -> None:
    registry.body = {"manifests": [*BOTH["manifests"][:1], {"platform": {"os": "unknown"}}, {"platform": None}, 7]}
    found = check(registry)
    assert found.result is Result.FAILED
    assert "no image for amd64" in found.findings[0].message
    assert check(registry, nodes=ARM64_ALONE).result is Result.OK


def test_an_image_for_one_architecture_does_for_one_only(registry: Answers) -> None:
    registry.body = {"config": {}}
    assert check(registry).result is Result.FAILED
    assert check(registry, nodes=ARM64_ALONE).result is Result.NOTICE


@pytest.mark.parametrize(
    ("status", "body", "message", "hint"),
    [
        (404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]}, "does not exist", "images/builder/README.md"),
        (403, {"errors": [{"message": "not authorized"}]}, "not authorized", "ecr:BatchGetImage"),
        (401, b"no", "Unauthorized", "ecr:BatchGetImage"),
        (503, b"", "503", "Try again"),
        (200, b"<html>", "does not answer", "network"),
        (200, [1], "one architecture", "Build it"),
    ],
)
def test_what_is_wrong_has_a_next_step(registry: Answers, status: int, body: Any, message: str, hint: str) -> None:
    registry.status, registry.body = status, body
    found = check(registry)
    assert found.result is Result.FAILED
    assert message in found.findings[0].message
    assert hint in found.findings[0].hint


def test_an_image_of_another_registry_is_not_looked_for_in_this_one(registry: Answers) -> None:
    assert check(registry, "registry.example.com/builder:1").result is Result.NOTICE
    assert registry.asked == ""


def test_without_a_login_the_right_is_named() -> None:
    deployed = Deployed(registry_host=HOST, builder_image=f"{HOST}/b:1", runners={}, node_groups={})
    found = check_builder_image(settings(), deployed, Refused(reason="AccessDenied"))
    assert "ecr:GetAuthorizationToken" in found.findings[0].hint


def test_a_registry_that_is_not_there_is_told_without_the_password() -> None:
    deployed = Deployed(registry_host=HOST, builder_image=f"{HOST}/b:1", runners={}, node_groups={})
    found = check_builder_image(settings(), deployed, Registry(url="http://127.0.0.1:1", user="AWS", password=PASSWORD))
    assert found.result is Result.FAILED
    assert PASSWORD not in str(found)
