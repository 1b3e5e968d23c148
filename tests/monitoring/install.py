"""Install Prometheus' promtool for the tests: `python -m tests.monitoring.install`.

It is in a package of Debian and Ubuntu. The package is only unpacked: installed, it would start a server.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.toolchain import TOOLS, replacing

COMMAND = ".venv/bin/python -m tests.monitoring.install"
PROMTOOL = TOOLS / "prometheus" / "promtool"
_PACKAGE = "prometheus"


def main() -> int:
    """The command line; returns its exit status."""
    if PROMTOOL.exists():
        print(f"promtool is installed in {PROMTOOL.parent}.")
        return 0
    if not shutil.which("apt-get"):
        print(f"promtool comes from Debian's package {_PACKAGE}, and this machine has no apt-get.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, replacing(PROMTOOL.parent) as incoming:
        try:
            subprocess.run(["apt-get", "download", "-qq", _PACKAGE], cwd=folder, check=True, stdin=subprocess.DEVNULL)
            [package] = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            print(f"Could not download Debian's package {_PACKAGE}: {error}. Try: apt-get update", file=sys.stderr)
            return 1
        shutil.move(Path(folder, "usr", "bin", "promtool"), incoming / PROMTOOL.name)
    print(f"promtool is installed in {PROMTOOL.parent}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
