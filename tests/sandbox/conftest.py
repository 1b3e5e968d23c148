"""A sandbox of the tests' own, for those that need the running process."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from sandbox import server
from sandbox.world import REGION, World

AwsClient = Callable[[str], Any]  # a boto3 client by service name


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running sandbox, shared by all tests of the session: each makes things under names of its own."""
    directory = tmp_path_factory.mktemp("sandbox")
    yield server.start(directory)
    server.stop(directory)


@pytest.fixture(scope="session")
def aws(world: World) -> AwsClient:
    return aws_clients(world)


def aws_clients(world: World) -> AwsClient:
    session = boto3.Session("test", "test", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=world.aws)  # type: ignore[call-overload]
