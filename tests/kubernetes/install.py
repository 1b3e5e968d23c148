"""Install a Kubernetes API server for the tests: `python -m tests.kubernetes.install`.

`tools/go.mod` has the version; the modules that `k8s.io/kubernetes` replaces by folders of its own have one line each.
etcd is a package of Debian and Ubuntu, which only root can install.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from sandbox.toolchain import TOOLS, ToolchainError, build, replacing

COMMAND = ".venv/bin/python -m tests.kubernetes.install"
SOURCES = Path(__file__).parent / "tools"
DIRECTORY = TOOLS / "kubernetes"

_APT = ("apt-get", "install", "--yes", "--no-install-recommends", "etcd-server")
_STAMP = "installed"


def main() -> int:
    """The command line; returns its exit status."""
    try:
        _install_etcd()
        if not _up_to_date():
            with replacing(DIRECTORY) as incoming:
                print("Building the Kubernetes API server and scheduler: some minutes ...", flush=True)
                build(Console(soft_wrap=True), SOURCES, incoming, flags=["-ldflags=-s -w"])
                (incoming / _STAMP).write_text(version())
    except (OSError, ToolchainError) as error:
        print(error, file=sys.stderr)
        return 1
    absent = missing()
    print(
        absent or f"The Kubernetes API server is installed in {DIRECTORY}.", file=sys.stderr if absent else sys.stdout
    )
    return 1 if absent else 0


def missing() -> str | None:
    """The reason why no API server can start, with the command that changes it. None if one can."""
    if not _up_to_date():
        return f"The Kubernetes API server is not installed, or not in this version. Run: {COMMAND}"
    if etcd() is None:
        return f"etcd is not installed. Run as root: {' '.join(_APT)}"
    return None


def program(name: str) -> Path:
    """The path of a program that is built from `go.mod`."""
    return DIRECTORY / name


def etcd() -> str | None:
    """The path of etcd, if it is installed."""
    return shutil.which("etcd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/bin", "/usr/local/bin")))


def _install_etcd() -> None:
    if etcd() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(_APT, env=environment, stdin=subprocess.DEVNULL, check=False)  # `missing` reports a failure


def _up_to_date() -> bool:
    stamp = DIRECTORY / _STAMP
    return stamp.exists() and stamp.read_text() == version()


def version() -> str:
    """The text of an installation's stamp: a hash of the modules' versions."""
    return hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum"))).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
