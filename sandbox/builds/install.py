"""Bring everything that real builds need: `python -m sandbox.builds.install`, as root for the parts of the system.

Versions and checksums stand in `tools/`. Everybody else gets told what root has to do, and gets the rest.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.builds import tools
from sandbox.builds.worker import USER, find_worker
from stacks.architecture import Architecture

COMMAND = ".venv/bin/python -m sandbox.builds.install"
PACKAGES = ("git", "python3", "qemu-user-static", "rootlesskit", "rsync", "runc", "tzdata", "uidmap")
"""Debian's and Ubuntu's."""

_STAMP = tools.DIRECTORY / "installed"
_SOURCES = ("go.mod", "go.sum", "gitlab-ci-local/package-lock.json")


class InstallError(Exception):
    """A step failed; the message says which, and with what words."""


def main() -> int:
    """The command line; returns its exit status."""
    try:
        _install_system()
        if not up_to_date():
            _install_tools()
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Everything is there, in {tools.DIRECTORY} and the system's own places.")
    return 0


def up_to_date() -> bool:
    """Whether the tools are installed in the versions that the sources name."""
    return _STAMP.exists() and _STAMP.read_text() == _version()


def _version() -> str:
    content = b"".join((tools.SOURCES / name).read_bytes() for name in _SOURCES)
    return hashlib.sha256(content).hexdigest()


def _install_system() -> None:
    commands = [["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]]
    if find_worker() is None:
        commands.append(["useradd", "--create-home", USER])
    if os.geteuid():
        print("Root has to run, unless it has:", *(f"  {' '.join(command)}" for command in commands), sep="\n")
        return
    for command in commands:
        _run("Installing the system's packages" if command[0] == "apt-get" else f"Adding {USER}", command)


def _install_tools() -> None:
    for folder in (tools.DIRECTORY, tools.DIRECTORY / "bin"):
        folder.mkdir(parents=True, exist_ok=True)
    _STAMP.unlink(missing_ok=True)
    _install_go_programs()
    _install_pipeline_runner()
    for architecture in Architecture:
        _fetch_busybox(architecture)
    _STAMP.write_text(_version())


def _install_go_programs() -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise InstallError(
            "Go builds BuildKit and others, and is missing. Install it as https://go.dev/doc/install says."
        )
    command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", f"{tools.DIRECTORY / 'bin'}/", "tool"]
    _run(f"Building {', '.join(tools.GO_PROGRAMS)} (minutes)", command, tools.SOURCES, {"CGO_ENABLED": "0"})


def _install_pipeline_runner() -> None:
    for file in (tools.SOURCES / "gitlab-ci-local").iterdir():
        shutil.copy(file, tools.DIRECTORY)
    options = ("--ignore-scripts", "--no-audit", "--no-fund")
    _run("Installing gitlab-ci-local", [str(tools.NODE), str(tools.NPM), "ci", *options], tools.DIRECTORY)


def _fetch_busybox(architecture: Architecture) -> None:
    """Fetch a package for a processor that this machine may not have, without telling its own package manager."""
    with tempfile.TemporaryDirectory(prefix="buildyard-apt-") as scratch:
        state = Path(scratch)
        for folder in ("lists/partial", "cache/archives/partial"):
            (state / folder).mkdir(parents=True)
        settings = {
            "APT::Architecture": str(architecture),
            "APT::Architectures::": str(architecture),
            "APT::Sandbox::User": "",  # apt's own user may not enter a folder of root's
            "Dir::State::Lists": str(state / "lists"),
            "Dir::State::status": os.devnull,
            "Dir::Cache": str(state / "cache"),
            "APT::Update::Post-Invoke": "",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        _run(f"Fetching BusyBox for {architecture}", ["apt-get", *options, "-qq", "update"], state)
        _run("", ["apt-get", *options, "-qq", "download", "busybox-static"], state)
        [package] = state.glob("busybox-static_*.deb")
        _run("", ["dpkg-deb", "--extract", str(package), "content"], state)
        target = tools.busybox(architecture)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(state / "content" / "bin" / "busybox", target)


def _run(
    what: str, command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    if what:
        print(f"{what} ...", flush=True)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **(environment or {})},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise InstallError(f"{command[0]} is missing: this installs on Debian and Ubuntu only.") from None
    if done.returncode:
        raise InstallError(f"{' '.join(command)} failed, for the reason above.")


if __name__ == "__main__":
    sys.exit(main())
