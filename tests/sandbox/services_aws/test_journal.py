"""The journal: its entries, and its handling of damage."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.services.aws.journal import Entry, Journal


def entry(number: int) -> Entry:
    return Entry("POST", "/?a=%2F", {"Host": "aws"}, f"Action=Create{number}", seed=number, moment=1.5)


def append(journal: Journal, new: Entry, *, keep: bool = True) -> None:
    with journal.appended(new) as written:
        written.kept = keep


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "aws" / "journal.jsonl"
    for number in range(3):
        append(Journal(path), entry(number))
    return path


def test_entries_come_back_in_order(path: Path) -> None:
    assert list(Journal(path).entries()) == [entry(0), entry(1), entry(2)]


def test_a_torn_last_line_is_cut_off_and_written_over(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"method": "PO')
    journal = Journal(path)
    assert len(list(journal.entries())) == 3
    append(journal, entry(3))
    assert list(Journal(path).entries())[-1] == entry(3), "the entry after a crash was lost with the torn one"


def test_damage_elsewhere_is_refused_with_its_line(path: Path) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "not JSON", lines[2], ""]))
    with pytest.raises(ValueError, match=r"journal\.jsonl, line 2, is damaged"):
        list(Journal(path).entries())


def test_nobody_else_can_read_it(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_a_refused_request_is_taken_back(path: Path) -> None:
    append(Journal(path), entry(3), keep=False)
    append(Journal(path), entry(4))
    assert list(Journal(path).entries()) == [entry(0), entry(1), entry(2), entry(4)]


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_an_entry_that_does_not_fit_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def half(descriptor: int, data: bytes, write: Callable[[int, bytes], int] = os.write) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: len(data) // 2])

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, fails, half if fails == "write" else fail)
        with pytest.raises(OSError, match="No space left"):
            append(Journal(path), entry(3))
    assert list(Journal(path).entries()) == [entry(0), entry(1), entry(2)]
    append(Journal(path), entry(4))
    assert list(Journal(path).entries())[3:] == [entry(4)], "half a line spoiled what was written after it"


def test_a_write_in_parts_is_a_whole_entry(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    append(Journal(path), entry(3))
    assert list(Journal(path).entries())[3:] == [entry(3)]
