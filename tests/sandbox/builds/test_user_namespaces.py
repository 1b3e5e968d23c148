"""Rootless BuildKit in a pod with a user namespace of its own (`runners.user-namespaces`)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.build_nodes import IDS_PER_POD
from sandbox.builds import tools
from sandbox.builds.worker import Worker
from tests.sandbox.builds import pod

pytestmark = [
    pytest.mark.builds,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a user namespace with many users"),
]

DOCKERFILE = """\
FROM scratch
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "b=/bin/busybox; $b touch /f && $b chown 65534:65535 /f && $b ls -ln /f"]
"""


def build(users: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """A build in a pod with this number of users."""
    context, home, programs = folder / "context", folder / "home", folder / "bin"
    for each in (context, home, programs):
        each.mkdir()
    folder.chmod(0o755)
    os.chown(home, pod.FIRST + pod.USER, pod.FIRST + pod.USER)
    (context / "Dockerfile").write_text(DOCKERFILE)
    shutil.copy(tools.busybox(tools.machine()), context / "busybox")
    (folder / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\nuser:x:{pod.USER}:{pod.USER}::{home}:/bin/sh\n")
    for name in ("subuid", "subgid"):
        (folder / name).write_text("user:100000:65536\n")  # as in `moby/buildkit:rootless`
    for name in ("newuidmap", "newgidmap"):
        program = Path(shutil.copy(tools.find(name) or name, programs))
        os.chown(program, pod.FIRST, pod.FIRST)  # the pod's root, as in an image
        program.chmod(0o4755)
    arguments = ["--progress=plain", "--frontend=dockerfile.v0", "--local", f"context={context}"]
    command = ["buildctl-daemonless.sh", "build", *arguments, "--local", f"dockerfile={context}"]
    return subprocess.run(
        [sys.executable, pod.__file__, str(users), str(folder), *command],
        env={
            "PATH": f"{programs}:{tools.SEARCH_PATH}",
            "HOME": str(home),
            "TMPDIR": str(home),
            "USER": "user",
            "EMULATED_PROCESSORS": "",
            "BUILDKITD_FLAGS": "--oci-worker-no-process-sandbox",  # as in the published pipeline
        },
        cwd=context,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_build_runs_as_every_user_that_an_image_may_have(worker: Worker) -> None:
    with worker.scratch() as folder:
        done = build(IDS_PER_POD, folder)
    assert done.returncode == 0, done.stdout
    assert "65534    65535" in done.stdout


def test_the_kubelets_own_number_of_users_is_too_small(worker: Worker) -> None:
    with worker.scratch() as folder:
        done = build(65536, folder)
    assert done.returncode != 0, "nodes need no kubelet configuration of their own any more"
    assert "newuidmap" in done.stdout
