"""The journal that makes moto's memory last: every request that changes something, in order, as lines of JSON.

A request is written before it is carried out, and taken back if it is refused. So a request that cannot be written
changes nothing, and a killed process has told nobody about a change that is not in the journal. Half a line at the end
is a change that nobody was told of.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A request, with the seed of its random numbers and its moment (seconds since 1970) so that it can be repeated."""

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
    """An append-only file. One process owns it; the caller keeps its threads apart."""

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
                        f"{self._path}, line {number}, is damaged ({error}); remove the file to start anew."
                    ) from error

    @contextmanager
    def appended(self, entry: Entry) -> Iterator["Appended"]:
        """Write an entry, which is on disk when the block begins; it stays unless the block says otherwise.

        Raises OSError, and leaves the journal as it was, if the entry cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            length = os.fstat(descriptor).st_size
            try:
                _write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
            except OSError:
                os.ftruncate(descriptor, length)  # half a line in the middle would spoil all that follows
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
        rest = rest[os.write(descriptor, rest) :]  # on a full disk, the first call may write a part
    os.fsync(descriptor)
