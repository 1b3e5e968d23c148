"""A server at the address of an EKS cluster, behind the sandbox's proxy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket
from threading import Thread
from typing import Any

from werkzeug.serving import make_server

from sandbox.eks_proxy import EksProxy
from sandbox.services.aws.eks.certificate import Authority

HOST = "0123456789abcdef0123456789abcdef.gr7.ap-east-1.eks.amazonaws.com"


@contextmanager
def behind_proxy(app: Callable[..., Any], authority: Authority, host: str = HOST) -> Iterator[str]:
    """Serve an application at the address of a cluster; the URL of the proxy that leads there."""
    kubernetes = make_server("127.0.0.1", 0, app, threaded=True)
    bound = socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    proxy = EksProxy(
        bound, certificate_of=lambda asked: authority.issue(host) if asked == HOST else None, kubernetes=kubernetes
    )
    thread = Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        kubernetes.server_close()
