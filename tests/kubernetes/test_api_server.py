"""The API server of the tests: real enough to be believed."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubernetes.api_server import ApiServer, RefusalError, wait_for

pytestmark = pytest.mark.kubernetes


def test_unknown_fields_are_refused(api_server: ApiServer) -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "typo"}, "sepc": {}}
    with pytest.raises(RefusalError, match='unknown field "sepc"'):
        api_server.create(manifest, dry_run=True)


def test_a_dry_run_creates_nothing(api_server: ApiServer) -> None:
    api_server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dry"}}, dry_run=True)
    with pytest.raises(RefusalError, match='"dry" not found'):
        api_server.request("GET", "/api/v1/namespaces/dry")


def test_other_users_have_no_rights_of_their_own(api_server: ApiServer) -> None:
    with pytest.raises(RefusalError, match='User "somebody" cannot list resource "pods"'):
        api_server.request("GET", "/api/v1/namespaces/default/pods", user="somebody")


PROGRAM = """
import sys, time
from pathlib import Path
from tests.kubernetes.api_server import api_server
with api_server(Path(sys.argv[1])) as running:
    print(running.url, flush=True)
    time.sleep(60)
"""


def test_an_api_server_ends_with_the_tests_even_if_they_are_killed(api_server: ApiServer, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        port = int(killed.stdout.readline().rpartition(":")[2])
        assert _listens(port)
        killed.send_signal(signal.SIGKILL)
    wait_for(lambda: not _listens(port), seconds=10, failing="an API server of killed tests still runs")


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
