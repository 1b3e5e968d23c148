import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import gitlab
import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from sandbox.services.gitlab import access_token, create_app


@contextmanager
def serving(directory: Path, cluster: str = "") -> Iterator[str]:
    """GitLab with its data under `directory`, on a free port; gives its URL. `cluster` is the address of a cluster."""
    server = make_server("127.0.0.1", 0, Response(), threaded=True)
    url = f"http://127.0.0.1:{server.port}"
    server.app = create_app(directory, url, cluster)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data after a first start. Copying it is many times faster than running git's commands."""
    directory = tmp_path_factory.mktemp("first-start")
    create_app(directory, "http://127.0.0.1")
    return directory / "gitlab"


@pytest.fixture
def url(tmp_path: Path, first_start: Path) -> Iterator[str]:
    shutil.copytree(first_start, tmp_path / "gitlab")
    with serving(tmp_path) as url:
        yield url


@pytest.fixture
def client(url: str, tmp_path: Path) -> gitlab.Gitlab:
    return gitlab.Gitlab(url, private_token=access_token(tmp_path))
