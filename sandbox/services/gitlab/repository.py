"""A project's bare Git repository on disk, handled by git's own commands.

Commits are made without a work tree. A branch moves only if nobody else has moved it meanwhile.
"""

import errno
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# One record per commit; control characters separate fields and records, since no field contains them.
_COMMIT_FORMAT = "%x1e%H%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B"


class GitError(Exception):
    """Git refused a command; the text is git's message."""


class RefMovedError(Exception):
    """Another commit reached the branch first."""


@dataclass(frozen=True, kw_only=True)
class Person:
    name: str
    email: str


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file in a commit."""

    id: str
    path: str
    content: bytes
    executable: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or folder in a folder of a commit. `kind` is Git's word: `blob` or `tree`."""

    id: str
    kind: str
    mode: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Commit:
    id: str
    parents: tuple[str, ...]
    author: Person
    authored_at: str
    committer: Person
    committed_at: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """A commit's change of one path: new content and mode, or removal if the content is `None`."""

    content: bytes | None
    executable: bool = False


_NO_SPACE = os.strerror(errno.ENOSPC)


class Repository:
    def __init__(self, directory: Path) -> None:
        """The repository in `directory`, a path that ends in `.git`."""
        self.directory = directory

    @classmethod
    def create(cls, directory: Path, default_branch: str) -> "Repository":
        """Make an empty repository whose clones check out `default_branch`."""
        directory.parent.mkdir(parents=True, exist_ok=True)
        repository = cls(directory)
        repository._git("init", "--quiet", "--bare", f"--initial-branch={default_branch}", str(directory))
        return repository

    def branches(self) -> dict[str, str]:
        """The branches' names with the ids of their newest commits."""
        listing = self._git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/").decode()
        return dict(line.rsplit(" ", 1) for line in listing.splitlines())

    def commit_id(self, ref: str) -> str | None:
        """The id of the commit that a branch, a tag or a commit id names, if there is one."""
        for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
            found = self._try("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
            if found:
                return found.decode().strip()
        return None

    def blob(self, commit: str, path: str) -> Blob | None:
        entry = self._git("ls-tree", "-z", commit, "--", path)
        for line in entry.split(b"\0"):
            details, _, name = line.partition(b"\t")
            if name == path.encode() and b" blob " in details:
                mode, _, blob_id = details.decode().split()
                content = self._git("cat-file", "blob", blob_id)
                return Blob(id=blob_id, path=path, content=content, executable=mode == "100755")
        return None

    def kind(self, commit: str, path: str) -> str | None:
        """The type of the object at a path: `blob` for a file, `tree` for a directory."""
        found = self._try("cat-file", "-t", f"{commit}:{path}")
        return found.decode().strip() if found else None

    def tree(self, commit: str, path: str, *, recursive: bool) -> list[Entry]:
        """The files and folders in a folder, in Git's order; of all levels, if `recursive`."""
        options = ["-r", "-t"] if recursive else []
        listing = self._git("ls-tree", "-z", *options, f"{commit}:{path}").decode(errors="replace")
        return [_parse_entry(line, path) for line in listing.split("\0") if line]

    def commits(self, ref: str, *, path: str | None = None, skip: int = 0, limit: int = 1) -> list[Commit]:
        """Commits that lead to `ref`, the newest first; with a path, only those that changed it."""
        options = ["log", f"--format={_COMMIT_FORMAT}", f"--skip={skip}", f"--max-count={limit}", ref, "--"]
        log = self._git(*options, *([path] if path else [])).decode(errors="replace")
        return [_parse_commit(record) for record in log.split("\x1e")[1:]]

    def commit(
        self,
        branch: str,
        changes: Mapping[str, Change],
        *,
        parent: str | None,
        expected: str | None,
        message: str,
        author: Person,
        committer: Person,
        date: datetime | None = None,
    ) -> str:
        """Commit `changes` on top of `parent` and move `branch` there from `expected` (`None`: it must not exist).

        Raises `RefMovedError` when the branch is no longer at `expected`, and `GitError` for a path that git refuses.
        """
        tree = self._write_tree(parent, changes)
        identity = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_COMMITTER_NAME": committer.name,
            "GIT_COMMITTER_EMAIL": committer.email,
        }
        if date:
            identity |= {"GIT_AUTHOR_DATE": date.isoformat(), "GIT_COMMITTER_DATE": date.isoformat()}
        parents = ["-p", parent] if parent else []
        commit = self._git("commit-tree", tree, *parents, "-F", "-", stdin=message.encode(), env=identity)
        commit_id = commit.decode().strip()
        try:
            self._git("update-ref", f"refs/heads/{branch}", commit_id, expected or "0" * len(commit_id))
        except GitError as error:
            raise RefMovedError(branch) from error
        return commit_id

    def delete_branch(self, name: str) -> None:
        """Delete a branch. Raises `GitError` if there is none."""
        self._git("update-ref", "-d", f"refs/heads/{name}", self.branches().get(name, "-"))

    def is_branch_name(self, name: str) -> bool:
        return self._try("check-ref-format", "--branch", name) is not None

    def _write_tree(self, parent: str | None, changes: Mapping[str, Change]) -> str:
        with tempfile.TemporaryDirectory(prefix="buildyard-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            self._git("read-tree", parent or "--empty", env=index)
            # Additions are arguments: on standard input, git skips a path that it refuses.
            removals = b"".join(_removals(changes))
            self._git("update-index", "--add", *self._entries(changes), "-z", "--index-info", stdin=removals, env=index)
            return self._git("write-tree", env=index).decode().strip()

    def _entries(self, changes: Mapping[str, Change]) -> Iterator[str]:
        """The arguments that put the changed files into an index."""
        for path, change in changes.items():
            if change.content is not None:
                blob = self._git("hash-object", "-w", "--stdin", stdin=change.content).decode().strip()
                yield from ("--cacheinfo", f"{'100755' if change.executable else '100644'},{blob},{path}")

    def _try(self, *arguments: str) -> bytes | None:
        try:
            return self._git(*arguments)
        except GitError:
            return None

    def _git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        finished = subprocess.run(
            ["git", f"--git-dir={self.directory}", *arguments],
            input=stdin,
            capture_output=True,
            env={**git_environment(), **(env or {})},
            check=False,
        )
        if finished.returncode:
            said = finished.stderr.decode(errors="replace").strip()
            if _NO_SPACE in said or finished.returncode == -signal.SIGXFSZ:
                raise OSError(errno.ENOSPC, _NO_SPACE, str(self.directory))
            raise GitError(said)
        return finished.stdout


def git_environment() -> dict[str, str]:
    """An environment in which git behaves the same for every user: without users' settings and hooks' variables."""
    settings = {
        # Serve repositories of other users, too, such as on a volume of a container.
        "safe.directory": "*",
        # On a case-insensitive file system, a path such as `.GIT/config` would be in git's own directory.
        "core.protectHFS": "true",
        "core.protectNTFS": "true",
    }
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _removals(changes: Mapping[str, Change]) -> Iterator[bytes]:
    """The lines of an index that make git drop the removed files from it."""
    for path, change in changes.items():
        if change.content is None:
            yield b"0 %040d\t%s\0" % (0, path.encode())


def _parse_entry(line: str, folder: str) -> Entry:
    details, _, name = line.partition("\t")
    mode, kind, entry_id = details.split()
    return Entry(id=entry_id, kind=kind, mode=mode, path=f"{folder}/{name}" if folder else name)


def _parse_commit(record: str) -> Commit:
    commit_id, parents, *fields, message = record.split("\x1f", 8)
    author_name, author_email, authored_at, committer_name, committer_email, committed_at = fields
    return Commit(
        id=commit_id,
        parents=tuple(parents.split()),
        author=Person(name=author_name, email=author_email),
        authored_at=authored_at,
        committer=Person(name=committer_name, email=committer_email),
        committed_at=committed_at,
        message=message.rstrip("\n") + "\n",
    )
