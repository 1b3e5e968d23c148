"""The files of a checked-out repository, as data: nothing is executed, and no symbolic link is followed."""

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

MAX_ENTRIES = 300_000
"""Files and folders of a repository. The largest public monorepos have about as many."""
MAX_BYTES = 1024 * 1024
"""Bytes of a file that is read."""
MAX_SECONDS = 60.0
"""How long reading one repository may take."""

_URL = re.compile(r"^(?:(?:https?|ssh|git)://[^/]+/|[^/@:]+@[^/:]+:)(?P<path>[^?#]+?)(?:\.git)?/?$")


class CheckoutError(Exception):
    """A repository that cannot be read at all. The message is for whoever named it."""


@dataclass
class Checkout:
    """One repository. Only regular files that a walk from its root finds can be read.

    `notes` collects what was left out, with the reason.
    """

    root: Path
    notes: list[str] = field(default_factory=list)
    _end: float | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.resolve().name

    @cached_property
    def files(self) -> frozenset[str]:
        """The paths of all regular files from the root, without Git's own."""
        return frozenset(self._walk())

    @cached_property
    def folders(self) -> frozenset[str]:
        """The folders that have files, the root as `.`."""
        found = {"."}
        for path in self.files:
            while "/" in path:
                path = path.rpartition("/")[0]
                if path in found:
                    break
                found.add(path)
        return frozenset(found)

    def glob(self, pattern: str) -> list[str]:
        """The files and folders that match a shell's pattern, in its order."""
        self.check_time()
        depth = pattern.count("/")
        paths = (path for path in (*self.files, *self.folders) if path.count("/") == depth and not path.startswith("."))
        return sorted(path for path in paths if fnmatchcase(path, pattern))

    def read(self, path: str) -> bytes | None:
        """A file's content; None, with a note, if it is no file of the repository or cannot be read."""
        self.check_time()
        if path not in self.files:
            return None
        data = _read(self.root / path)
        if data is None or len(data) > MAX_BYTES:
            self.notes.append(f"{path} was not read: {'it cannot be opened' if data is None else 'it is over 1 MiB'}")
            return None
        return data

    def check_time(self) -> None:
        """Stop a repository whose content takes too long. Raises `CheckoutError`."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + MAX_SECONDS
        if now > self._end:
            raise CheckoutError(f"{self.root}: reading it took longer than {MAX_SECONDS:.0f} seconds")

    @cached_property
    def gitlab_path(self) -> str | None:
        """The project's path, from the address of Git's remote `origin`."""
        section = ""
        for line in self._git("config").splitlines():
            key, _, value = (part.strip() for part in line.partition("="))
            section = key if key.startswith("[") else section
            if section == '[remote "origin"]' and key == "url" and (address := _URL.match(value[:1000])):
                return address["path"].strip("/")
        return None

    @cached_property
    def default_branch(self) -> str | None:
        """The remote's default branch, if the clone recorded it."""
        found = re.fullmatch(r"ref: refs/remotes/origin/(\S+)\s*", self._git("refs/remotes/origin/HEAD"))
        return found[1] if found else None

    def _git(self, path: str) -> str:
        folder = self.root / ".git"
        if folder.is_symlink() or not folder.is_dir():
            return ""
        return (_read(folder / path) or b"")[:MAX_BYTES].decode("utf-8", "replace")

    def _walk(self) -> Iterator[str]:
        if not self.root.is_dir():
            raise CheckoutError(f"{self.root} is not a folder. Name the folder of a checked-out repository.")
        entries, pending = 0, [""]
        while pending:
            folder = pending.pop()
            try:
                found = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
            except OSError as error:
                self.notes.append(f"{folder or '.'} was not read: {error.strerror}")
                continue
            self.check_time()
            for entry in found:
                entries += 1
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entries > MAX_ENTRIES:
                    raise CheckoutError(f"{self.root} has more than {MAX_ENTRIES:,} files and folders")
                if entry.name == ".git" or not path.isprintable():  # a byte that is not UTF-8 is not printable either
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path


def _read(path: Path) -> bytes | None:
    """At most one byte more than `MAX_BYTES` of a regular file. None for anything else: links, pipes, devices."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
