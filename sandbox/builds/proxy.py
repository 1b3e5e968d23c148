"""The proxy of builds, on loopback: it leads to the emulated hosts, and to no other.

Builds find it by `HTTPS_PROXY` and `SSL_CERT_FILE`, as behind a corporate proxy that inspects TLS. So the pipeline uses
the real hosts' names, without any change to DNS or a port below 1024, and a request to any other host is refused with
that host's name.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from sandbox.builds.certificates import Certificates, certify

Host = Callable[[Request], Response]
"""The request handler of a host. It may run in several threads at once, and does not close the response."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A running proxy."""

    url: str
    authority: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a build's programs use the proxy. Go programs never use a proxy for loopback."""
        return {"HTTPS_PROXY": self.url, "NO_PROXY": "127.0.0.1,localhost", "SSL_CERT_FILE": str(self.authority)}


@contextmanager
def proxy(hosts: Mapping[str, Host], directory: Path) -> Iterator[Proxy]:
    """Run the proxy in front of `hosts`, by name, with its certificates in `directory`."""
    certificates = certify(list(hosts), directory)

    class Handler(_Handler):
        known = hosts
        tls = certificates

    with serving(make_server("127.0.0.1", 0, _nothing, threaded=True, request_handler=Handler)) as url:
        yield Proxy(url=url, authority=certificates.authority)


@contextmanager
def serving(server: BaseWSGIServer) -> Iterator[str]:
    """Run a server in a thread until the block ends; the value is its URL."""
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()


def _nothing(environ: Any, start_response: Any) -> Any:
    return Response("This proxy takes CONNECT only.\n", HTTPStatus.METHOD_NOT_ALLOWED)(environ, start_response)


class QuietHandler(WSGIRequestHandler):
    """A handler that logs nothing: builds log their own requests."""

    # Headers and body are two writes. With Nagle's algorithm the second would wait some 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        # A stopped build closes its connections at any point.
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - named by werkzeug
        """Say nothing."""


class _Handler(QuietHandler):
    """One connection: CONNECT, then TLS with the host that was asked for, then any number of requests to it."""

    known: Mapping[str, Host]
    tls: Certificates
    _host: Host | None = None

    def do_CONNECT(self) -> None:  # noqa: N802 - named by the method
        name, _, port = self.path.rpartition(":")
        host = self.known.get(name)
        if self._host or host is None or port != "443":
            # Clients show the status line only.
            self.send_error(
                HTTPStatus.FORBIDDEN, f"{self.path} is not part of the sandbox, and builds reach no other host"
            )
            return
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.request = self.tls.server.wrap_socket(self.request, server_side=True)
        self.setup()
        self._host = host
        self.close_connection = False  # also for a client that asked with HTTP/1.0, as Python's does

    def run_wsgi(self) -> None:
        if self._host is None:
            super().run_wsgi()
            return
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        environ = self.make_environ()
        response = self._host(Request(environ))
        try:
            self._send(response, environ)
        finally:
            response.close()

    def _send(self, response: Response, environ: dict[str, Any]) -> None:
        body, status, answered = response.get_wsgi_response(environ)
        headers = dict(answered)
        # The rest of an unread body would be parsed as the next request.
        unread = self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0"
        if unread or "Content-Length" not in headers:
            headers["Connection"] = "close"
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for part in body:
            self.wfile.write(part)
        self.wfile.flush()

    def finish(self) -> None:
        super().finish()
        if self._host:
            self.request.close()
