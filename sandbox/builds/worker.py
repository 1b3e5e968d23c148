"""The user of builds, which is not root: rootless BuildKit run by root would prove nothing."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.builds import tools
from stacks.architecture import Architecture

USER = "buildyard"
"""The user of builds when root runs the sandbox."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The user of the registry and of all jobs."""

    name: str
    uid: int
    gid: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment of all its programs."""
        return {
            "PATH": tools.SEARCH_PATH,
            "USER": self.name,  # without it, BuildKit's daemon assumes that root runs it
            "LANG": "C.UTF-8",
            "EMULATED_PROCESSORS": " ".join(architecture.qemu for architecture in Architecture),
        }

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """A process of this user; `options` are those of `subprocess.Popen`."""
        return subprocess.Popen(command, **self._identity(), **options)

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as this user; `options` are those of `subprocess.run`."""
        return subprocess.run(command, text=True, check=False, **self._identity(), **options)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder of this user. Its path is short: the system limits the length of a socket's path."""
        folder = Path(tempfile.mkdtemp(prefix="buildyard-"))
        try:
            self.give(folder)
            yield folder
        finally:
            # Some files may belong to the user's sub-uids, when a build was interrupted.
            self.succeeds(["rootlesskit", "rm", "-rf", str(folder)])
            shutil.rmtree(folder, ignore_errors=True)

    def own(self, directory: Path) -> Path:
        """Make a directory that belongs to this user."""
        directory.mkdir(parents=True, exist_ok=True)
        self.give(directory)
        return directory

    def give(self, path: Path) -> None:
        """Make a file or directory belong to this user."""
        if os.geteuid() != self.uid:
            shutil.chown(path, self.uid, self.gid)

    def succeeds(self, command: Sequence[str]) -> bool:
        """Whether a command succeeds with the environment of jobs."""
        try:
            done = self.run(command, env=self.environment, capture_output=True, cwd="/", timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _identity(self) -> dict[str, Any]:
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def find_worker() -> Worker | None:
    """The user that runs the sandbox; if that is root, `USER`, if there is one."""
    try:
        entry = pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam(USER)
    except KeyError:
        return None
    return Worker(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
