"""A real registry on loopback (CNCF Distribution), and the client that forwards requests to it."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
import yaml
from werkzeug.wrappers import Request, Response

from sandbox.builds import tools
from sandbox.builds.errors import BuildError
from sandbox.builds.worker import Worker

_START_SECONDS = 20
_CHUNK = 1 << 20
_MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"
_OF_ONE_CONNECTION = {"connection", "host", "transfer-encoding", "authorization", "accept-encoding", "expect"}


class Distribution:
    """A registry without authentication: only the emulated ECR and Docker Hub reach it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(maxsize=16)

    def pass_on(self, request: Request, path: str, body: bytes | None = None) -> Response:
        """The registry's answer to a request, for `path` (query included) instead of the request's own.

        `body` is the request's body if that was read already.
        """
        headers = {name: value for name, value in request.headers if name.lower() not in _OF_ONE_CONNECTION}
        try:
            answer = self._pool.request(
                request.method,
                f"{self.url}{path}",
                body=body or (request.stream if request.method in ("PATCH", "POST", "PUT") else None),
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return Response(f"The registry of the sandbox is down: {error}\n", 503)
        response = Response(
            answer.stream(_CHUNK, decode_content=False) if request.method != "HEAD" else (),
            answer.status,
            [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_ONE_CONNECTION],
        )
        response.call_on_close(answer.release_conn)
        return response

    @property
    def address(self) -> str:
        """The registry's host and port, as in image references."""
        return self.url.removeprefix("http://")

    def read(self, path: str) -> Any:
        """A manifest or a JSON blob, such as `REPOSITORY/manifests/TAG`. Raises LookupError if there is none."""
        found = self._pool.request("GET", f"{self.url}/v2/{path}", headers={"Accept": _MANIFESTS}, retries=False)
        if found.status != 200:
            raise LookupError(f"The registry of the sandbox has no {path}.")
        return json.loads(found.data)

    def has_tag(self, repository: str, tag: str) -> bool:
        """Whether the repository holds an image under this tag."""
        found = self._pool.request(
            "HEAD", f"{self.url}/v2/{repository}/manifests/{tag}", headers={"Accept": _MANIFESTS}, retries=False
        )
        return found.status == 200

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes] | None:
        """The media type and the content of a manifest, or None."""
        url = f"{self.url}/v2/{repository}/manifests/{reference}"
        found = self._pool.request("GET", url, headers={"Accept": _MANIFESTS}, retries=False)
        return (found.headers["Content-Type"], found.data) if found.status == 200 else None

    def mount(self, digest: str, *, source: str, target: str) -> None:
        """Copy a blob from one repository to another one."""
        url = f"{self.url}/v2/{target}/blobs/uploads/?mount={digest}&from={source}"
        done = self._pool.request("POST", url, retries=False)
        if done.status != 201:
            raise BuildError(f"The registry of the sandbox cannot copy {digest} from {source}: {done.status}")

    def put(self, repository: str, reference: str, media_type: str, content: bytes) -> None:
        """Store a manifest, whose blobs are there."""
        url = f"{self.url}/v2/{repository}/manifests/{reference}"
        done = self._pool.request("PUT", url, body=content, headers={"Content-Type": media_type}, retries=False)
        if done.status != 201:
            raise BuildError(f"The registry of the sandbox refuses {repository}:{reference}: {done.data.decode()}")


@contextmanager
def distribution(directory: Path, worker: Worker) -> Iterator[Distribution]:
    """Run the registry with its data in `directory` until the block ends.

    Raises BuildError with the registry's log if it does not start.
    """
    worker.own(directory)
    port = _free_port()
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        # The registry tells clients where to continue an upload. A relative URL keeps them on the emulated host.
        "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True},
    }
    config, log = directory / "config.yml", directory / "log"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with log.open("wb") as output:
        process = worker.start([tools.program("registry"), "serve", str(config)], stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield Distribution(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BuildError(f"The registry did not start: {log.read_text(errors='replace').strip() or 'it printed nothing'}")
