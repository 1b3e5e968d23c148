"""The pulumi CLI: found on PATH, or installed once, in the version of the Python SDK that the program uses.

Run as `python -m sandbox.engine.install`, it installs the CLI and prints its path.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from sandbox.engine.errors import EngineError
from sandbox.toolchain import TOOLS, ToolchainError, build, replacing

VERSION = version("pulumi")
"""The version of the CLI: the SDK's own. `go.mod` beside this file and the image in `.gitlab-ci.yml` have it too."""

_MODULE = Path(__file__).parent
_FOLDER = TOOLS / f"pulumi-{VERSION}"
_COMMAND = _FOLDER / "bin" / "pulumi"
_INSTALLER = f"""
import socket, semver
from pulumi.automation import PulumiCommand
socket.setdefaulttimeout(10)
PulumiCommand.install(root={{root!r}}, version=semver.VersionInfo.parse({VERSION!r}))
"""
_INSTALLER_SECONDS = 600


def pulumi(console: Console) -> Path:
    """The CLI, as new as the SDK or newer: from PATH, from an earlier installation, or installed now.

    `console` is told what is installed and how far that is. Raises EngineError, naming every way that was tried, if
    there is none.
    """
    found = shutil.which("pulumi")
    rejected = _unfit(Path(found)) if found else "it is not there"
    if found and not rejected:
        return Path(found)
    if not _unfit(_COMMAND):
        return _COMMAND
    with _alone(console):
        if _unfit(_COMMAND):
            _install(console, f"PATH: {rejected}")
    return _COMMAND


def _install(console: Console, *failures: str) -> None:
    console.print(f"Installing the pulumi CLI {VERSION} into {_FOLDER}, once ...", highlight=False, soft_wrap=True)
    ways: tuple[tuple[str, Callable[[Console, Path], None]], ...] = (
        ("Pulumi's installer", _by_installer),
        ("Go's modules", _by_go),
    )
    for name, install in ways:
        try:
            with replacing(_FOLDER) as incoming:
                install(console, incoming)
                if unfit := _unfit(incoming / "bin" / "pulumi"):
                    raise EngineError(unfit)
        except (EngineError, ToolchainError) as error:
            console.print(f"{name}: {error}", highlight=False, markup=False, soft_wrap=True)
            failures = (*failures, f"{name}: {error}")
        else:
            return
    raise EngineError(
        "\n".join(
            [
                f"There is no pulumi CLI {VERSION} or newer, and none of the ways to one works:",
                *(f"  {failure}" for failure in failures),
                "Install it as https://www.pulumi.com/docs/iac/download-install/ says, so that it is on PATH.",
            ]
        )
    )


def _by_installer(console: Console, root: Path) -> None:
    """Pulumi's own script, by the SDK; it downloads some 150 MB and says nothing meanwhile."""
    command = [sys.executable, "-c", _INSTALLER.format(root=str(root))]
    with console.status("Pulumi's installer ..."):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALLER_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise EngineError(f"not done after {_INSTALLER_SECONDS} seconds") from None
    if done.returncode:
        raise EngineError(next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}"))


def _by_go(console: Console, root: Path) -> None:
    (root / "bin").mkdir()
    flags = ["-ldflags", f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"]
    build(console, _MODULE, root / "bin", flags=flags)


def _unfit(command: Path) -> str | None:
    """Why a CLI will not do; None if it will."""
    # A home of its own: even `version` writes into the user's.
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": str(TOOLS / "pulumi-home")}
    try:
        done = subprocess.run([command, "version"], env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command} does not run: {error.strerror}"
    found, needed = _numbers(done.stdout), _numbers(VERSION)
    if done.returncode or not found:
        return f"{command} does not tell its version"
    if found[0] != needed[0] or found < needed:
        return f"{command} is version {done.stdout.strip()}; the program's SDK needs {VERSION} or newer"
    return None


def _numbers(text: str) -> tuple[int, ...]:
    core = text.strip().removeprefix("v").split("-")[0]
    return tuple(map(int, core.split("."))) if core.replace(".", "").isdigit() else ()


@contextmanager
def _alone(console: Console) -> Iterator[None]:
    """Let one process install at a time; others wait, and then find it done."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "pulumi.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Waiting for another process that is installing the pulumi CLI ...", highlight=False)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(pulumi(Console(stderr=True)))
    except EngineError as failed:
        sys.exit(str(failed))
    except KeyboardInterrupt:
        sys.exit(130)  # as shells have it
