"""Real disks for build state, with the file system that a node's boot script makes. Nothing of them outlives a test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.builds.install import COMMAND

_SIZE = 512 << 20
"""Bytes. XFS needs 300 MB, and takes 64 MB of them for its journal."""


def obstacle() -> str | None:
    """Why there can be no such disk here. In CI, a missing package fails the test."""
    if os.geteuid() or not shutil.which("losetup") or _run("losetup", "--find").returncode:
        return "needs root, and the kernel's loop devices"
    if not shutil.which("mkfs.xfs"):
        missing = f"needs xfsprogs: {COMMAND}"
        return pytest.fail(missing) if os.environ.get("CI") else missing
    return None


@contextmanager
def blank_disk(image: Path) -> Iterator[str]:
    """The device of a disk whose content is in a new file."""
    image.touch()
    os.truncate(image, _SIZE)
    attached = _run("losetup", "--find", "--show", str(image))
    assert attached.returncode == 0, attached.stderr
    device = attached.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
        image.unlink()


@contextmanager
def mounted_disk(image: Path, place: Path, *, uid: int, gid: int) -> Iterator[None]:
    """A disk as the boot script leaves it: formatted, mounted and given to this user. Its content is in a new file."""
    with blank_disk(image) as device:
        subprocess.run(["mkfs.xfs", "-q", "-K", device], check=True)
        subprocess.run(["mount", "-o", "noatime", device, str(place)], check=True)
        try:
            os.chown(place, uid, gid)
            place.chmod(0o700)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
