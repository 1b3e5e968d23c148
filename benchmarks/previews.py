"""How long a preview takes, and how much memory, as a stack grows: the unmodified program on a sandbox of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.stack import stack_config

SIZES = (3, 50, 200)
_ROOT = Path(__file__).parent.parent
_MIB = 1024


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One preview of a stack that is not deployed yet: resources in it, seconds, and the peaks of memory in MiB.

    `process_mib` is that of the larger of the engine's and the program's process, `server_mib` that of the process that
    emulates AWS, GitLab and Kubernetes.
    """

    images: int
    resources: int
    seconds: float
    process_mib: int
    server_mib: int


def measure() -> Iterator[Preview]:
    """Every size, smallest first, each in a fresh process."""
    with _project() as project:
        for images in SIZES:
            yield _measure(project, images)


@contextmanager
def _project() -> Iterator[Path]:
    """A copy of this project whose stack may be changed, and a sandbox for it."""
    with tempfile.TemporaryDirectory(prefix="buildyard-benchmark-") as folder:
        project = Path(folder, "project")
        ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
        shutil.copytree(_ROOT, project, ignore=ignored)
        _sandbox(project, "start")
        try:
            yield project
        finally:
            _sandbox(project, "stop")


def _measure(project: Path, images: int) -> Preview:
    (project / "stacks" / "Pulumi.sandbox.yaml").write_text(yaml.safe_dump({"config": stack_config(images)}))
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "preview", "--json"],
            cwd=project,
            env=_environment(project),
            stdout=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        digest = yaml.safe_load(output.read()) if status == 0 else None
    if digest is None:
        raise RuntimeError(f"the preview of {images} images failed; the reason is above")
    return Preview(
        images=images,
        resources=len(digest["steps"]),
        seconds=seconds,
        process_mib=usage.ru_maxrss // _MIB,
        server_mib=_server_peak(project) // _MIB,
    )


def _server_peak(project: Path) -> int:
    """The peak of the server's memory in KiB, as Linux counts it; 0 where there is no such count."""
    world = yaml.safe_load((_data(project) / "world.json").read_text())
    status = Path("/proc", str(world["pid"]), "status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def _sandbox(project: Path, command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "sandbox", command],
        cwd=project,
        env=_environment(project),
        check=True,
        capture_output=True,
    )


def _environment(project: Path) -> dict[str, str]:
    return {**os.environ, "BUILDYARD_SANDBOX_DIR": str(_data(project))}


def _data(project: Path) -> Path:
    return project.parent / "sandbox"
