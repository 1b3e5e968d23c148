"""A project's pipeline is published when all that its jobs need is there, and not before."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud
from tests.deployment.kills import Gate, guarded

FILE = "/projects/platform%2Fimages/repository/files/.gitlab-ci.yml?ref=master"


class Refusal(Gate):
    """A service that refuses to create one resource."""

    def __init__(self, kind: str, key: str, value: str) -> None:
        super().__init__("create", [], after=False)
        self._kind = kind
        self._key = key
        self._value = value

    def guard(self, kind: Any) -> None:
        super().guard(kind)
        if kind.type == self._kind:
            kind.create = self._refusing(kind.create)

    def _refusing(self, create: Callable[..., Any]) -> Callable[..., Any]:
        def refusing(connection: Any, inputs: dict[str, Any]) -> Any:
            if inputs[self._key] == self._value:
                raise RuntimeError("the service is full")
            return create(connection, inputs)

        return refusing


def update(project: ScratchProject, refusal: Refusal) -> "subprocess.CompletedProcess[str]":
    with guarded(project, refusal):
        return project.sandbox("up", "--skip-preview", "--continue-on-error")


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("aws:ecr/repository:Repository", "name", "platform/images/web"),
        Refusal("aws:iam/policy:Policy", "name", "buildyard-sandbox-push-1"),
        Refusal("gitlab:index/userRunner:UserRunner", "description", "buildyard-sandbox-amd64"),
    ],
    ids=["repository", "rights", "runner"],
)
def test_the_first_deployment_publishes_nothing_while_something_is_missing(
    scratch: ScratchProject, refusal: Refusal
) -> None:
    done = update(scratch, refusal)
    assert done.returncode != 0
    assert "the service is full" in done.stdout + done.stderr
    assert Cloud(scratch).gitlab(FILE).status_code == 404, "jobs would start, and fail or wait for ever"
    again = scratch.sandbox("up", "--skip-preview")
    assert again.returncode == 0, again.stdout + again.stderr
    assert Cloud(scratch).gitlab(FILE).status_code == 200


def test_an_update_that_fails_leaves_the_pipeline_as_it_was(own_stack: ScratchProject) -> None:
    before = Cloud(own_stack).gitlab(FILE).json()["last_commit_id"]

    def add_image(config: dict[str, Any]) -> None:
        config["buildyard:projects"][0]["images"].append({"name": "docs", "context": "images/web"})

    with own_stack.edited(add_image):
        done = update(own_stack, Refusal("aws:ecr/repository:Repository", "name", "platform/images/docs"))
        assert done.returncode != 0
        assert Cloud(own_stack).gitlab(FILE).json()["last_commit_id"] == before, "its jobs could not push the new image"
        again = own_stack.sandbox("up", "--skip-preview")
    assert again.returncode == 0, again.stdout + again.stderr
    assert Cloud(own_stack).gitlab(FILE).json()["last_commit_id"] != before
