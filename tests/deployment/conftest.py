"""Whole deployments: the unmodified program, the pulumi CLI, the providers and the emulated services."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests

from sandbox.scratch import ScratchProject, scratch_project


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


@pytest.fixture
def scratch() -> Iterator[ScratchProject]:
    """The project as it is shipped, nothing started, nothing deployed."""
    with scratch_project() as project:
        yield project
