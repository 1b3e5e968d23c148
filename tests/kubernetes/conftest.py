"""The API server that all tests of the session share: each makes objects under names of its own."""

import os
from collections.abc import Iterator

import pytest

from tests.kubernetes.api_server import ApiServer, api_server
from tests.kubernetes.deployed import Deployed, deploy
from tests.kubernetes.install import missing


@pytest.fixture(name="api_server", scope="session")
def running_api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One API server for all tests of the session. In CI, a missing program is a failure."""
    reason = missing()
    if reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with api_server(tmp_path_factory.mktemp("kubernetes")) as running:
        yield running


@pytest.fixture(scope="session")
def stack(api_server: ApiServer) -> Deployed:
    """The smallest stack. Its tests only ask what would be admitted."""
    return deploy(api_server)
