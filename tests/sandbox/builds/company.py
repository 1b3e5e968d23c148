"""A company's network on this machine: a registry whose certificate is its own authority's, and the proxy to it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from sandbox.builds.certificates import certify
from sandbox.builds.distribution import Distribution
from sandbox.builds.docker_hub import docker_hub
from sandbox.builds.proxy import QuietHandler, serving

REGISTRY = "registry.corp.example"
"""A host that no name server knows. It has the images of the sandbox's Docker Hub."""

FILES = "files.corp.example"
"""A host with one file over plain HTTP, which says how the request came."""

Address = tuple[str, int]


@dataclass(kw_only=True)
class Company:
    """The running parts. `asked` are the hosts that each proxy was asked for."""

    authority: str
    proxies: tuple[str, str]
    """Two proxies that do the same."""
    asked: list[str] = field(default_factory=list)


@contextmanager
def company(images: Distribution, directory: Path, sandbox_proxy: str) -> Iterator[Company]:
    """Run the company's registry and proxies. They pass other hosts on to the sandbox's proxy."""
    certificates = certify([REGISTRY], directory)
    answer = docker_hub(images)

    @Request.application
    def registry(request: Request) -> Response:
        return answer(request)

    @Request.application
    def files(request: Request) -> Response:
        return Response("through the proxy\n")

    with ExitStack() as stack:
        servers = {
            REGISTRY: make_server(
                "127.0.0.1", 0, registry, True, request_handler=QuietHandler, ssl_context=certificates.server
            ),
            FILES: make_server("127.0.0.1", 0, files, True, request_handler=QuietHandler),
        }
        for server in servers.values():
            stack.enter_context(serving(server))
        known = {host: ("127.0.0.1", server.port) for host, server in servers.items()}
        asked: list[str] = []
        upstream = urlsplit(sandbox_proxy)
        proxies = [
            stack.enter_context(_forwarding(known, (str(upstream.hostname), int(upstream.port or 0)), asked))
            for _ in range(2)
        ]
        yield Company(authority=certificates.authority.read_text(), proxies=(proxies[0], proxies[1]), asked=asked)


@contextmanager
def _forwarding(known: Mapping[str, Address], upstream: Address, asked: list[str]) -> Iterator[str]:
    """A proxy that connects to `known` hosts itself, and asks `upstream` for the others."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
                head += line
            method, _, rest = head.decode("latin-1").partition(" ")
            target = rest.split(" ")[0]
            host = target.rpartition(":")[0] if method == "CONNECT" else urlsplit(target).hostname or ""
            asked.append(host)
            with suppress(OSError), socket.create_connection(known.get(host, upstream), timeout=60) as other:
                if method == "CONNECT" and host in known:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    other.sendall(head)
                back = Thread(target=_copy, args=(other, self.connection), daemon=True)
                back.start()
                _copy(self.connection, other)
                back.join()

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
