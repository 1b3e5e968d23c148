"""One operation at a time on a stack: a lock that names its holder.

The kernel's file lock decides, so that a holder that was killed never blocks anyone; the text only says who it is.
"""

import fcntl
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from sandbox.engine.errors import EngineError


@contextmanager
def stack_lock(path: Path, *, notice: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock at `path`.

    `notice` is told when the last holder died without releasing it. Raises EngineError naming the holder if it lives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError(
                f"The stack is in use: {_describe(path)}. Wait until it is done, or stop that process and try again."
            ) from error
        if path.stat().st_size:
            notice(f"Breaking a stale lock: {_describe(path)} ended without releasing it.")
        _write(file.fileno(), _holder())
        try:
            yield
        finally:
            _write(file.fileno(), "")


def _holder() -> str:
    holder = {
        "user": getpass.getuser(),
        "pid": os.getpid(),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
    }
    return json.dumps(holder)


def _describe(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return "{user}'s `{command}` (process {pid}, since {since})".format(**holder)
    except (ValueError, KeyError):  # the holder is just writing its name
        return "another process"


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
