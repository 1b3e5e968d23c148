import itertools
from collections.abc import Callable, Iterator

import pytest

from sandbox.endpoints import REGION, Endpoints
from tests.sandbox.provider_client import ProviderClient

Unique = Callable[[str], str]


@pytest.fixture
def client(endpoints: Endpoints) -> Iterator[ProviderClient]:
    client = ProviderClient(endpoints.providers["aws"], {"region": REGION})
    yield client
    client.close()


@pytest.fixture(scope="session")
def unique() -> Unique:
    """Names that no other test uses, since all share one AWS."""
    numbers = itertools.count()
    return lambda stem: f"{stem}-{next(numbers)}"
