"""Who runs the builds: an ordinary user. Root drops to one, since a rootless build run by root would prove nothing."""

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
"""Whom root drops to."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The user of the registry and of all jobs."""

    name: str
    uid: int
    gid: int

    @property
    def environment(self) -> dict[str, str]:
        """What any of its programs has in its environment."""
        return {
            "PATH": tools.SEARCH_PATH,
            "USER": self.name,  # without it, BuildKit's daemon takes itself for root's
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
        """A folder for what this user leaves. Its path is short, since sockets go into it: the system limits theirs."""
        folder = Path(tempfile.mkdtemp(prefix="buildyard-"))
        try:
            self.give(folder)
            yield folder
        finally:
            # Some of it may belong to the user's sub-uids, when a build was interrupted.
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
        """Whether a command, found as jobs find theirs, runs without an error."""
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
