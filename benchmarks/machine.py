"""The machine and tools that the figures were measured with."""

import os
import platform
import subprocess
from pathlib import Path

from stacks.versions import BUILDKIT_VERSION


def describe() -> str:
    """The processor, cores, kernel and Python, on one line."""
    return f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def describe_builds() -> str:
    """The versions of the tools that builds use, on one line."""
    return f"BuildKit {BUILDKIT_VERSION}, {_first_line('runc', '--version')}, {_first_line('rootlesskit', '--version')}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return f"{value.strip()} ({platform.machine()})"
    return platform.machine()


def _first_line(*command: str) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return f"no {command[0]}"
    return said[0].replace(" version ", " ")
