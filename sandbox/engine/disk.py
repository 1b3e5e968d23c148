"""Space that is kept for the end of an update: a disk that fills up in the middle must not cost the state.

The CLI writes its state after every step, and leaves half a file when there is no space for it, but tries again for 30
seconds. In that time the reserve is given up, and the update can be stopped in good order.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.engine.errors import EngineError

_RESERVED = 32 * 1024 * 1024  # bytes; the state of a thousand images is some 10 MB, and has a backup
_LEFT = 1024 * 1024
_POLL_SECONDS = 0.2


class Reserve:
    """A file that holds the space."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def wait_for(self, process: "subprocess.Popen[bytes]") -> bool:
        """Wait until a process ends, and return False; or until it needs the space: give it up and return True."""
        while True:
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if self._path.exists() and self._is_needed():
                    self._path.unlink()
                    return True
            else:
                return False

    def _is_needed(self) -> bool:
        disk = os.statvfs(self._path)
        return disk.f_bavail * disk.f_frsize < _LEFT


@contextmanager
def reserve(folder: Path) -> Iterator[Reserve]:
    """Space on a folder's disk. Raises EngineError if there is none to begin with."""
    path = folder / "reserve"
    try:
        with path.open("wb") as file:
            file.write(bytes(_RESERVED))
    except OSError as error:
        path.unlink(missing_ok=True)
        needed = _RESERVED // 1024 // 1024
        raise EngineError(f"{folder} needs {needed} MB of free space: {error.strerror}.") from error
    try:
        yield Reserve(path)
    finally:
        path.unlink(missing_ok=True)
