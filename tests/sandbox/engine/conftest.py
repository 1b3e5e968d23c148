from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.engine.bench import Bench
from tests.sandbox.engine.fake_provider import FakeProvider


@pytest.fixture
def provider() -> Iterator[tuple[FakeProvider, int]]:
    fake = FakeProvider()
    server, port = fake.serve()
    yield fake, port
    server.stop(grace=None)


@pytest.fixture
def bench(tmp_path: Path, provider: tuple[FakeProvider, int]) -> Bench:
    fake, port = provider
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    bench = Bench(tmp_path, fake, port)
    bench.configure("config: {}")
    return bench
