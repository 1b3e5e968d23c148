"""Install a browser for the tests, and what draws diagrams in it: `python -m tests.browser.install`.

Chromium and its fonts are packages of Debian, which only root can install. Mermaid's version is in `tools/`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.builds.tools import NODE, NPM
from sandbox.toolchain import TOOLS, replacing

COMMAND = ".venv/bin/python -m tests.browser.install"
SOURCES = Path(__file__).parent / "tools"
DIRECTORY = TOOLS / "browser"
MERMAID = DIRECTORY / "mermaid.min.js"

_APT = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core", "fonts-liberation")
_STAMP = "installed"


def main() -> int:
    """The command line; returns its exit status."""
    if chromium() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(_APT, env=environment, stdin=subprocess.DEVNULL, check=False)  # `missing` reports a failure
    if not _up_to_date():
        try:
            _install_mermaid()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"Mermaid could not be installed: {error}", file=sys.stderr)
            return 1
    absent = missing()
    print(absent or f"The browser is installed, and Mermaid in {DIRECTORY}.", file=sys.stderr if absent else sys.stdout)
    return 1 if absent else 0


def missing() -> str | None:
    """The reason why no page can be drawn, with the command that changes it. None if one can."""
    if not _up_to_date():
        return f"Mermaid is not installed, or not in this version. Run: {COMMAND}"
    if chromium() is None:
        return f"Chromium is not installed. Run as root: {' '.join(_APT)}"
    return None


def chromium() -> str | None:
    """The path of Chromium, if it is installed."""
    return shutil.which("chromium")


def _install_mermaid() -> None:
    """Keep the one file that has everything; the packages that it is made of are large."""
    with replacing(DIRECTORY) as incoming, tempfile.TemporaryDirectory(prefix="buildyard-npm-") as scratch:
        shutil.copytree(SOURCES, scratch, dirs_exist_ok=True)
        options = ("--ignore-scripts", "--no-audit", "--no-fund")
        subprocess.run([str(NODE), str(NPM), "ci", *options], cwd=scratch, stdin=subprocess.DEVNULL, check=True)
        shutil.copy(Path(scratch, "node_modules", "mermaid", "dist", MERMAID.name), incoming)
        (incoming / _STAMP).write_text(version())


def _up_to_date() -> bool:
    stamp = DIRECTORY / _STAMP
    return stamp.exists() and stamp.read_text() == version()


def version() -> str:
    """The text of an installation's stamp: a hash of the packages' versions."""
    return hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
