"""Whole deployments: the unmodified program, the pulumi CLI, the providers and the emulated services."""

import base64
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from rich.console import Console

from sandbox.endpoints import read_endpoints
from sandbox.engine import install
from sandbox.engine.cli import PulumiCli, open_stack
from sandbox.scratch import ScratchProject, scratch_project
from tests.conftest import data_as_deployed


@dataclass(frozen=True)
class Cloud:
    """The emulated services, asked as a colleague would."""

    project: ScratchProject

    def aws(self, service: str, region: str = "ap-east-1") -> Any:
        """A client of an AWS service."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client: Callable[..., Any] = boto3.client  # a service whose name is a variable has no type of its own
        return client(service, endpoint_url=self.project.endpoints()["aws"], region_name=region, **keys)

    def kubernetes(self, path: str) -> list[dict[str, Any]]:
        """The objects under a path of the Kubernetes API."""
        answer = requests.get(self.project.endpoints()["kubernetes"] + path, timeout=10)
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def gitlab(self, path: str) -> requests.Response:
        """An answer of GitLab's API."""
        token = (self.project.data / "gitlab" / "token").read_text().strip()
        address = f"{self.project.endpoints()['gitlab']}/api/v4{path}"
        return requests.get(address, headers={"PRIVATE-TOKEN": token}, timeout=10)


def update(project: ScratchProject) -> str:
    """Deploy the settings, and check that a second update would do nothing. Returns the first one's output.

    One process runs the program for both, which is much faster than two commands of the sandbox.
    """
    with opened(project) as cli, cli.program():
        said = cli.ask("up", "--yes", "--skip-preview")
        cli.ask("preview", "--expect-no-changes")
    return said


@contextmanager
def opened(project: ScratchProject) -> Iterator[PulumiCli]:
    """The CLI on the stack of a project whose sandbox runs."""
    endpoints = read_endpoints(project.data)
    assert endpoints is not None
    with open_stack(install.pulumi(Console(stderr=True)), project.data, endpoints, project.root) as cli:
        yield cli


@pytest.fixture
def scratch() -> Iterator[ScratchProject]:
    """The project as it is shipped, nothing started, nothing deployed."""
    with scratch_project() as project:
        yield project


@pytest.fixture
def own_stack(deployed: ScratchProject) -> Iterator[ScratchProject]:
    """The shipped stack, deployed, for one test that changes it: a copy of `deployed` in a sandbox of its own.

    Its GitLab has another address: the managers are offline until the first update, which changes all four.
    """
    with scratch_project() as project:
        shutil.copytree(data_as_deployed(deployed), project.data)
        started = project.sandbox("start")
        assert started.returncode == 0, started.stderr
        yield project


def runner_tokens(project: ScratchProject) -> list[str]:
    """The tokens in the cluster's Secrets."""
    secrets = Cloud(project).kubernetes("/api/v1/secrets")
    encoded = [secret["data"]["runner-token"] for secret in secrets if "runner-token" in secret["data"]]
    tokens = [base64.b64decode(token).decode() for token in encoded]
    assert all(token.startswith("glrt-") for token in tokens)
    return tokens


def places_of(tokens: Sequence[str], project: ScratchProject, **said: str) -> list[str]:
    """Where one of these tokens stands in clear text: in the state, the logs, or what commands have said."""
    kept = [path for folder in ("pulumi", "log") for path in (project.data / folder).rglob("*") if path.is_file()]
    assert [path for path in kept if path.name == "sandbox.json"], "the state is not where it is looked for"
    texts = {**said, **{str(path): path.read_text(errors="replace") for path in kept}}
    wanted = [*tokens, *(base64.b64encode(token.encode()).decode() for token in tokens)]
    return [place for place, text in texts.items() if any(token in text for token in wanted)]
