"""The journal of moto's state: every request that changes something, in order, as lines of JSON.

A request is written before it is executed, and removed if it is refused. So a request that cannot be written changes
nothing, and no client got an answer for a change that is not in the journal, even if the process is killed. A torn line
at the end is a request without an answer.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A request, with the seed of its random numbers and its time (seconds since 1970), to repeat it."""

    method: str
    path: str  # with the query
    headers: dict[str, str]
    body: str
    seed: int
    moment: float


@dataclass
class Appended:
    """An entry that was just written."""

    kept: bool = True


class Journal:
    """An append-only file. One process owns it; the caller must not append from two threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> Iterator[Entry]:
        """All entries in order; a torn last line is cut off first.

        Raises ValueError for a damaged line elsewhere: what follows it cannot be repeated faithfully.
        """
        if not self._path.exists():
            return
        self._cut_torn_line()
        with self._path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield Entry(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise ValueError(
                        f"{self._path}, line {number}, is damaged ({error}); remove it to start with a new account."
                    ) from error

    @contextmanager
    def appended(self, entry: Entry) -> Iterator["Appended"]:
        """Write an entry to the disk before the block begins. The block may set `kept` to False to remove it again.

        Raises OSError, and leaves the journal as it was, if the entry cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            length = os.fstat(descriptor).st_size
            try:
                _write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
            except OSError:
                os.ftruncate(descriptor, length)  # a torn line in the middle would damage the journal
                raise
            written = Appended()
            yield written
            if not written.kept:
                os.ftruncate(descriptor, length)
        finally:
            os.close(descriptor)

    def _cut_torn_line(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._path, whole)


def _write(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]  # on a full disk, a call may write a part of the data
    os.fsync(descriptor)
