"""A Kubernetes API server of the tests' own: etcd and kube-apiserver on loopback, with data that is thrown away.

No controllers run, so a test writes what they would: a quota's status, for example.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stacks.names import preview_group
from tests.components.mocks import STACK
from tests.kubernetes import install

T = TypeVar("T")
Object = dict[str, Any]

_TOKEN = "a-token-of-this-test-run"
PREVIEWS_SESSION = "arn:aws:sts::123456789012:assumed-role/preview-buildyard-dev/job"
"""The user as which EKS knows a role's session."""
PREVIEWS_TOKEN = "a-token-of-a-preview"
_APPLY = "application/apply-patch+yaml"
_STARTUP_SECONDS = 60
_REQUEST_SECONDS = 30
_PR_SET_PDEATHSIG = 1


class RefusalError(Exception):
    """The API server refused a request; the message is its own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """A client with all rights, which can act as any user."""

    url: str
    certificate: Path
    token: str = _TOKEN

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str | None = None,
        group: str = "system:authenticated",
        dry_run: bool = False,
        media_type: str = "application/json",
        **parameters: str,
    ) -> Object:
        """Send a request, as `user` of a group if that is given. Fields that Kubernetes does not know are refused.

        Raises RefusalError.
        """
        response = requests.request(
            method,
            self.url + path,
            params={"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {}), **parameters},
            json=body,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": media_type,
                **({"Impersonate-User": user, "Impersonate-Group": group} if user else {}),
            },
            verify=str(self.certificate),
            timeout=_REQUEST_SECONDS,
        )
        answer: Object = response.json()
        if not response.ok:
            raise RefusalError(response.status_code, str(answer.get("message", response.text)))
        return answer

    def create(self, manifest: Mapping[str, Any], *, user: str | None = None, dry_run: bool = False) -> Object:
        """Create an object, where its manifest says. Raises RefusalError."""
        return self.request("POST", self.collection(manifest), manifest, user=user, dry_run=dry_run)

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create or change an object on the server's side, as Pulumi's provider does. Raises RefusalError."""
        path = f"{self.collection(manifest)}/{manifest['metadata']['name']}"
        options = {"fieldManager": "tests", "force": "true"}
        return self.request("PATCH", path, manifest, dry_run=dry_run, media_type=_APPLY, **options)

    def collection(self, manifest: Mapping[str, Any]) -> str:
        """The path of all objects of a manifest's kind, in its namespace. Raises LookupError for an unknown kind."""
        api_version = manifest["apiVersion"]
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        kinds = {each["kind"]: each for each in self.request("GET", root)["resources"] if "/" not in each["name"]}
        if manifest["kind"] not in kinds:
            raise LookupError(f"{api_version} has no {manifest['kind']}")
        kind = kinds[manifest["kind"]]
        folder = f"/namespaces/{manifest['metadata']['namespace']}" if kind["namespaced"] else ""
        return f"{root}{folder}/{kind['name']}"


@contextmanager
def api_server(directory: Path) -> Iterator[ApiServer]:
    """Run an API server that keeps everything in a directory."""
    etcd = install.etcd()
    assert etcd, "install.missing() says what is missing"
    etcd_port, peer_port, port = _free_ports(3)
    clients, peers = (f"http://127.0.0.1:{each}" for each in (etcd_port, peer_port))
    key = directory / "service-accounts.pem"
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tokens = directory / "tokens.csv"
    tokens.write_text(
        f"{_TOKEN},admin,admin,system:masters\n{PREVIEWS_TOKEN},{PREVIEWS_SESSION},preview,{preview_group(STACK)}\n"
    )
    certificates = directory / "certificates"
    store = [
        etcd,
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    ]
    server = [
        str(install.program("kube-apiserver")),
        f"--etcd-servers={clients}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={certificates}",  # it makes a certificate for 127.0.0.1
        f"--token-auth-file={tokens}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",  # as in EKS
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        "--service-cluster-ip-range=10.100.0.0/16",
        "--endpoint-reconciler-type=none",
    ]
    with running(store, directory / "etcd.log"), running(server, directory / "kube-apiserver.log") as process:
        client = ApiServer(url=f"https://127.0.0.1:{port}", certificate=certificates / "apiserver.crt")

        def is_ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"kube-apiserver ended:\n{_end_of(directory / 'kube-apiserver.log')}")
            # The namespace is made last, by the server itself.
            ready = ("/readyz?verbose", "/api/v1/namespaces/default")
            headers = {"Authorization": f"Bearer {_TOKEN}"}
            try:
                return all(
                    requests.get(client.url + path, headers=headers, verify=str(client.certificate), timeout=5).ok
                    for path in ready
                )
            except (requests.ConnectionError, OSError):
                return False

        wait_for(is_ready, seconds=_STARTUP_SECONDS, failing=f"kube-apiserver is not ready; see {directory}")
        yield client


def wait_for(found: Callable[[], T], *, seconds: float, failing: str) -> T:
    """The first result that is true. Raises TimeoutError with the message `failing`."""
    end = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > end:
            raise TimeoutError(failing)
        time.sleep(0.05)
    return result


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, which also ends when this process is killed."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent, preexec_fn=_end_with_parent
        )
        try:
            yield process
        finally:
            process.kill()  # nothing that it writes is needed any more
            process.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:  # the parent ended before the call
        os.kill(os.getpid(), signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
