import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from werkzeug.serving import make_server

from sandbox.providers.framework import serve
from sandbox.providers.kubernetes import provider
from sandbox.providers.kubernetes.cluster import Cluster
from sandbox.services.kubernetes import create_app
from tests.sandbox.provider_client import ProviderClient

EKS_ENDPOINT = "https://0123456789ABCDEF0123456789ABCDEF.gr7.ap-east-1.eks.amazonaws.com"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """The cluster, as kubectl would see it, with a namespace `builds`."""
    server = make_server("127.0.0.1", 0, create_app(tmp_path, "http://127.0.0.1"), threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    cluster = Cluster(f"http://127.0.0.1:{server.port}", "default")
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": "builds"}})
    yield cluster
    server.shutdown()
    thread.join()
    server.server_close()


def kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "clusters": [{"name": "ci", "cluster": {"server": server, "certificate-authority-data": "eA=="}}],
            "users": [{"name": "ci", "user": {"exec": {"command": "aws"}}}],
            "contexts": [{"name": "ci", "context": {"cluster": "ci", "user": "ci"}}],
            "current-context": "ci",
        }
    )


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[ProviderClient]:
    server, port = serve(provider(cluster.server))
    client = ProviderClient(port, {"kubeconfig": kubeconfig(EKS_ENDPOINT), "enableServerSideApply": "true"})
    yield client
    client.close()
    server.stop(None)
