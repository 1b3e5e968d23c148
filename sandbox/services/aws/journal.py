"""The journal that makes moto's memory last: every request that changes something, in order, as lines of JSON.

A request is written once it has succeeded and before its answer is sent. So a killed process has either told nobody
about a change or has it in the journal; half a line at the end is a change that nobody was told of.
"""

import json
import os
from collections.abc import Iterator
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

    def append(self, entry: Entry) -> None:
        """Write an entry; it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _cut_torn_line(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._path, whole)
