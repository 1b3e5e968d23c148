"""A running sandbox for tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox import server
from sandbox.endpoints import REGION, Endpoints

AwsClient = Callable[[str], Any]  # a boto3 client by service name


@pytest.fixture(scope="session")
def sandbox_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def endpoints(sandbox_directory: Path) -> Iterator[Endpoints]:
    """A running sandbox, shared by all tests of the session: each test uses names of its own."""
    yield server.start(sandbox_directory)
    server.stop(sandbox_directory)


@pytest.fixture(scope="session")
def aws(endpoints: Endpoints) -> AwsClient:
    return aws_clients(endpoints)


def aws_clients(endpoints: Endpoints, config: Config | None = None) -> AwsClient:
    session = boto3.Session("test", "test", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=endpoints.aws, config=config)  # type: ignore[call-overload]
