"""The disk of a build node that keeps BuildKit's state from job to job, as the node, jobs and pods know it.

The disk lives as long as its node. It is not the root volume: the kubelet does not count it as ephemeral storage.
"""

from importlib.resources import files
from typing import Any

from stacks.names import STATE_VARIABLE

DEVICE = "/dev/xvdb"
"""The volume's name in the launch template. Where the node has an instance store, that is used, and this is not."""

HOST_FOLDER = "/mnt/buildyard"
"""The folder on the node."""

JOB_FOLDER = "/buildkit"
"""The same folder in the containers of a job."""

VOLUME = "buildkit-cache"
"""The volume's name in a job's pod."""

VARIABLES = {STATE_VARIABLE: JOB_FOLDER}
"""The variables of every container of a job."""

_LABEL = "buildyard"
"""The file system's label, by which a node that starts again knows its disk."""


def boot_script(*, owner: int) -> str:
    """A script that mounts the disk at each boot, for the user and group of build pods alone."""
    head = f"FOLDER={HOST_FOLDER} DEVICE={DEVICE} LABEL={_LABEL} OWNER={owner}:{owner}"
    return f"#!/bin/bash\n{head}\n{files(__package__).joinpath('node_cache.sh').read_text()}"


def host_path() -> dict[str, Any]:
    """The volume in `config.toml`."""
    return {"name": VOLUME, "mount_path": JOB_FOLDER, "host_path": HOST_FOLDER}
