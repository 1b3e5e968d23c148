"""Install Pulumi's language plugin for YAML, a second language: `python -m tests.plugin.install`."""

import hashlib
import sys
from pathlib import Path

from rich.console import Console

from sandbox.toolchain import TOOLS, ToolchainError, build, replacing

COMMAND = ".venv/bin/python -m tests.plugin.install"
SOURCES = Path(__file__).parent / "tools"
DIRECTORY = TOOLS / "pulumi-yaml"

_STAMP = "installed"


def main() -> int:
    """The command line; returns its exit status."""
    if missing():
        try:
            with replacing(DIRECTORY) as incoming:
                print("Building Pulumi's language plugin for YAML: some minutes ...", flush=True)
                build(Console(soft_wrap=True), SOURCES, incoming, flags=["-ldflags=-s -w"])
                (incoming / _STAMP).write_text(version())
        except (OSError, ToolchainError) as error:
            print(error, file=sys.stderr)
            return 1
    print(f"Pulumi's language plugin for YAML is installed in {DIRECTORY}.")
    return 0


def missing() -> str | None:
    """The reason why no program in YAML can run, with the command that changes it. None if one can."""
    stamp = DIRECTORY / _STAMP
    if stamp.exists() and stamp.read_text() == version():
        return None
    return f"Pulumi's language plugin for YAML is not installed, or not in this version. Run: {COMMAND}"


def version() -> str:
    """The text of an installation's stamp: a hash of the modules' versions."""
    return hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum"))).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
