"""Base images for Dockerfiles, made on this machine from Debian's static BusyBox: nothing is pulled."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sandbox.builds import docker_hub, tools
from sandbox.builds.distribution import Distribution
from sandbox.builds.errors import BuildError
from stacks.architecture import Architecture

IMAGES = {"library/busybox": "1.37"}
"""The images of the sandbox's Docker Hub, with their tags."""

_FOLDERS = ("bin", "etc", "root", "tmp")
_FILES = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}


def stock(images: Distribution) -> None:
    """Put the base images that are missing into the sandbox's Docker Hub."""
    for name, tag in IMAGES.items():
        repository = f"{docker_hub.PREFIX}/{name}"
        if not images.has_tag(repository, tag):
            _push(f"{images.address}/{repository}", tag)


def _push(repository: str, tag: str) -> None:
    with tempfile.TemporaryDirectory(prefix="buildyard-base-") as scratch:
        sources = []
        for architecture in Architecture:
            layer = Path(scratch) / f"{architecture}.tar"
            layer.write_bytes(_layer(tools.busybox(architecture).read_bytes(), _applets()))
            target = f"{repository}:{tag}-{architecture}"
            _crane("append", "--oci-empty-base", "--new_layer", str(layer), "--new_tag", target)
            _crane("mutate", target, "--set-platform", architecture.platform, "--cmd", "sh", "--tag", target)
            sources.append(f"--manifest={target}")
        _crane("index", "append", "--tag", f"{repository}:{tag}", *sources)


def _layer(busybox: bytes, applets: list[str]) -> bytes:
    """A root file system as a tar archive, reproducible byte for byte."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        files: Mapping[str, bytes] = {"bin/busybox": busybox, **{path: text.encode() for path, text in _FILES.items()}}
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(data))
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return content.getvalue()


def _applets() -> list[str]:
    """The commands in BusyBox, as this machine's lists them; the other architectures' have the same version."""
    listed = subprocess.run([tools.busybox(tools.machine()), "--list"], capture_output=True, text=True, check=True)
    return [applet for applet in listed.stdout.split() if applet != "busybox"]


def _crane(*arguments: str) -> None:
    done = subprocess.run([tools.program("crane"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"crane {arguments[0]} failed: {done.stderr.strip()}")
