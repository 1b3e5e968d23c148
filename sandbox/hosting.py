"""The sandbox's process: the emulated services over HTTP and the providers over gRPC, all on loopback."""

import json
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from socketserver import BaseServer
from threading import Thread
from typing import Any

import grpc
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.eks_proxy import EksProxy
from sandbox.endpoints import Endpoints
from sandbox.providers import providers
from sandbox.providers.framework import Intents, Provider, serve
from sandbox.services import gitlab, kubernetes
from sandbox.services.aws import eks
from sandbox.services.aws.app import create_app as create_aws
from sandbox.services.aws.seed import seed
from sandbox.services.document import write_private
from sandbox.services.request_log import RequestLog

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_PORTS = "ports.json"
_AWS_IS_SEEDED = "aws/seeded"


class Hosting:
    """The services and providers of one data directory, from construction until `close`."""

    def __init__(self, directory: Path, code: str) -> None:
        """Start everything. Raises what a service raises that cannot read its data."""
        self._directory = directory
        self._code = code
        self._last_ports = _read_ports(directory)
        self._servers: list[BaseServer] = []
        self._grpc: list[grpc.Server] = []
        self._intents = Intents(directory)
        self._intents.forget_drafts()
        self.endpoints = self._start()

    def close(self) -> None:
        """Stop listening; requests that are being answered are finished first."""
        for server in self._grpc:
            server.stop(grace=5).wait()
        for listening in self._servers:
            listening.shutdown()

    def _start(self) -> Endpoints:
        if not (self._directory / _AWS_IS_SEEDED).exists():
            # Never made, or not to the end: half a seed is of no use.
            (self._directory / "aws" / "journal.jsonl").unlink(missing_ok=True)
        sockets = {name: _listening(self._last_ports.get(name, 0)) for name in ("aws", "gitlab", "kubernetes", "proxy")}
        urls = {name: f"http://{_HOST}:{bound.getsockname()[1]}" for name, bound in sockets.items()}
        cluster = self._serve_http(
            "kubernetes",
            sockets["kubernetes"],
            kubernetes.create_app(self._directory, urls["kubernetes"], eks.autoscaling_groups),
        )
        self._run(EksProxy(sockets["proxy"], certificate_of=eks.certificate_of, kubernetes=cluster))
        self._serve_http(
            "gitlab", sockets["gitlab"], gitlab.create_app(self._directory, urls["gitlab"], urls["kubernetes"])
        )
        self._serve_http("aws", sockets["aws"], create_aws(self._directory), MotoRequestHandler)
        if not (self._directory / _AWS_IS_SEEDED).exists():
            seed(urls["aws"])
            (self._directory / _AWS_IS_SEEDED).touch()

        token = gitlab.access_token(self._directory)
        # Providers that have no configuration of their own find GitLab where GitLab's clients look.
        os.environ.update(GITLAB_BASE_URL=f"{urls['gitlab']}/api/v4/", GITLAB_TOKEN=token)
        served = providers(aws_url=urls["aws"], kubernetes_url=urls["kubernetes"])
        ports = {provider.name: self._serve_provider(provider) for provider in served}
        endpoints = Endpoints(
            pid=os.getpid(),
            aws=urls["aws"],
            gitlab=urls["gitlab"],
            kubernetes=urls["kubernetes"],
            proxy=urls["proxy"],
            providers=ports,
            gitlab_token=token,
            code=self._code,
        )
        self._remember_ports(sockets, ports)
        return endpoints

    def _serve_http(
        self,
        name: str,
        bound: socket.socket,
        app: Callable[..., Any],
        handler: type[WSGIRequestHandler] = WSGIRequestHandler,
    ) -> BaseWSGIServer:
        app = RequestLog(app, service=name, path=self._directory / "log" / "requests.log")
        server = make_server(
            _HOST, bound.getsockname()[1], app, threaded=True, fd=bound.fileno(), request_handler=handler
        )
        self._run(server)
        return server

    def _run(self, server: BaseServer) -> None:
        Thread(target=server.serve_forever, daemon=True).start()
        self._servers.append(server)

    def _serve_provider(self, provider: Provider[Any]) -> int:
        last = self._last_ports.get(f"{provider.name} provider", 0)
        try:
            server, port = serve(provider, last, self._intents)
        except RuntimeError:  # gRPC's word for a port that somebody else has taken meanwhile
            server, port = serve(provider, intents=self._intents)
        self._grpc.append(server)
        return port

    def _remember_ports(self, sockets: dict[str, socket.socket], providers: dict[str, int]) -> None:
        """Keep the ports for the next start, so that addresses which people noted stay."""
        ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}
        ports |= {f"{name} provider": port for name, port in providers.items()}
        write_private(self._directory / _PORTS, json.dumps(ports, indent=2) + "\n")


def _listening(last_port: int) -> socket.socket:
    """A socket on the port of the last start, or on a free one if there was none or somebody else has taken it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((_HOST, last_port))
    except OSError:
        bound.bind((_HOST, 0))
    bound.listen(128)
    return bound


def _read_ports(directory: Path) -> dict[str, int]:
    """The ports of the last start; none where the file is damaged, since any free ones will do."""
    try:
        ports = json.loads((directory / _PORTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(ports, dict):
        return {}
    return {name: port for name, port in ports.items() if type(port) is int and 0 < port < 65536}
