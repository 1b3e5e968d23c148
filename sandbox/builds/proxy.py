"""The internet as a build sees it: a proxy on loopback, behind which there are the hosts that the sandbox plays.

Builds reach it by `HTTPS_PROXY` and `SSL_CERT_FILE`, as in a company whose network inspects TLS. So the pipeline keeps
the real hosts' names, no DNS and no port below 1024 is touched, and what would leave the machine is refused by name.
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
"""What answers the requests to a host. It closes nothing, and may answer several requests at once."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A running proxy."""

    url: str
    authority: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes the programs of a build use it; programs written in Go reach loopback itself without it."""
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
    """Run a server in a thread. The value is its URL."""
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()


def _nothing(environ: Any, start_response: Any) -> Any:
    return Response("This proxy takes CONNECT only.\n", HTTPStatus.METHOD_NOT_ALLOWED)(environ, start_response)


class QuietHandler(WSGIRequestHandler):
    """Requests of a build, which says itself what it asked for and what it got."""

    # Headers and body are two writes: the second would wait some 40 ms for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        # A build that is stopped hangs up wherever it is.
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
            # Clients show the status line alone, so that has to say it.
            self.send_error(HTTPStatus.FORBIDDEN, f"{self.path} is not part of the sandbox and a build reaches no more")
            return
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.request = self.tls.server.wrap_socket(self.request, server_side=True)
        self.setup()
        self._host = host

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
        # A body that the host did not read to its end would be taken for the next request.
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
