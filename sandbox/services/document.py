"""JSON documents on disk with atomic changes, for the state of the emulated services."""

import copy
import errno
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Document:
    """A JSON object in one file, readable by its owner alone since services keep secrets in it.

    A change is made on a copy, which replaces the file by a rename once it is on disk. If the process is killed or the
    disk is full, the file holds the old or the new document, never a part of one. One process owns a document; its
    threads take turns.
    """

    def __init__(self, path: Path) -> None:
        """Open the document at `path`, empty when there is no such file.

        Raises `ValueError` when the file does not hold a JSON object.
        """
        self._path = path
        self._lock = threading.RLock()
        self._content: dict[str, Any] = {}
        if path.exists():
            self._content = _read(path)

    @contextmanager
    def read(self) -> Iterator[dict[str, Any]]:
        """The document, to read only. Nobody changes it until the block ends."""
        with self._lock:
            yield self._content

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """A copy of the document to change: stored when the block ends, discarded if the block raises.

        Raises OSError if it cannot be stored; the document then stays as it was.
        """
        with self._lock:
            draft = copy.deepcopy(self._content)
            yield draft
            write_private(self._path, json.dumps(draft, indent=1))
            self._content = draft


def write_private(path: Path, text: str) -> None:
    """Replace the file at `path` in one step by one that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # a draft of a killed process would keep its mode
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()  # free the space
        raise


def storage_refusal(error: OSError) -> tuple[int, str]:
    """The HTTP status and the message with which a service refuses a change that it cannot store."""
    status = HTTPStatus.INSUFFICIENT_STORAGE if error.errno in _NO_SPACE else HTTPStatus.INTERNAL_SERVER_ERROR
    return status, f"The sandbox cannot store the change: {error}. Nothing was changed; free some space and try again."


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); restore it, or remove it to start empty.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a JSON {type(content).__name__}, not an object; remove it to start empty.")
    return content
