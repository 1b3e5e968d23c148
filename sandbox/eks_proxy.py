"""The way to the address of an EKS cluster: an HTTPS proxy on loopback that answers in the place of its API server.

Clients find it by HTTPS_PROXY, as they find a company's. It has a certificate of the cluster's authority, and leads
nowhere else.
"""

import socket
import ssl
from collections.abc import Callable
from socketserver import StreamRequestHandler, ThreadingTCPServer
from tempfile import NamedTemporaryFile
from typing import cast

from werkzeug.serving import BaseWSGIServer

_SECONDS = 60


class EksProxy(ThreadingTCPServer):
    """A proxy on the socket `bound`.

    `certificate_of` makes the PEM of a cluster's certificate and key for its host, and None for any other host.
    `kubernetes` answers for every cluster.
    """

    daemon_threads = True

    def __init__(
        self, bound: socket.socket, *, certificate_of: Callable[[str], bytes | None], kubernetes: BaseWSGIServer
    ) -> None:
        super().__init__(bound.getsockname(), _Tunnel, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.certificate_of = certificate_of
        self.kubernetes = kubernetes


class _Tunnel(StreamRequestHandler):
    """One client: its request for a tunnel, and all that it asks in there."""

    timeout = _SECONDS

    def handle(self) -> None:
        server = cast("EksProxy", self.server)
        method, _, rest = self.rfile.readline(65536).decode("latin-1").partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        while self.rfile.readline(65536).strip():
            pass  # headers
        certificate = server.certificate_of(host) if method == "CONNECT" and port == "443" else None
        if certificate is None:
            self.wfile.write(b"HTTP/1.1 403 The sandbox leads to the APIs of its own clusters alone\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with NamedTemporaryFile(suffix=".pem") as file:
            file.write(certificate)
            file.flush()
            context.load_cert_chain(file.name)
        try:
            client = context.wrap_socket(self.connection, server_side=True)
        except OSError:  # it does not trust the certificate, or has gone
            return
        with client:
            server.kubernetes.RequestHandlerClass(client, self.client_address, server.kubernetes)
