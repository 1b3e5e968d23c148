"""Time and memory of previews as a stack grows: the unmodified program on a sandbox of its own."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stack import stack_config
from sandbox.scratch import ScratchProject, scratch_project

SIZES = (3, 50, 200)
_MIB = 1024


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One preview of a stack that is not deployed yet: its resources, its seconds, and the peaks of memory in MiB.

    `process_mib` is that of the larger one of the CLI's and the program's process, `server_mib` that of the process
    that emulates AWS, GitLab and Kubernetes.
    """

    images: int
    resources: int
    seconds: float
    process_mib: int
    server_mib: int


def measure() -> Iterator[Preview]:
    """Measure every size, smallest first, each in a new process."""
    with scratch_project() as project:
        project.sandbox("start")
        for images in SIZES:
            yield _measure(project, images)


def _measure(project: ScratchProject, images: int) -> Preview:
    project.write_config(stack_config(images))
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        command = project.command("preview", "--json")
        process = subprocess.Popen(command, cwd=project.root, env=project.environment, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        digest = json.loads(output.read()) if status == 0 else None
    if digest is None:
        raise RuntimeError(f"the preview of {images} images failed; the reason is above")
    return Preview(
        images=images,
        resources=len(digest["steps"]),
        seconds=seconds,
        process_mib=usage.ru_maxrss // _MIB,
        server_mib=_server_peak(project) // _MIB,
    )


def _server_peak(project: ScratchProject) -> int:
    """The peak of the server's memory in KiB, as Linux counts it; 0 on other systems."""
    status = Path("/proc", str(project.endpoints()["pid"]), "status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
