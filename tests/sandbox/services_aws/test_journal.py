"""The journal alone: what it keeps, and what it makes of damage."""

from pathlib import Path

import pytest

from sandbox.services.aws.journal import Entry, Journal


def entry(number: int) -> Entry:
    return Entry("POST", "/?a=%2F", {"Host": "aws"}, f"Action=Create{number}", seed=number, moment=1.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "aws" / "journal.jsonl"
    for number in range(3):
        Journal(path).append(entry(number))
    return path


def test_entries_come_back_in_order(path: Path) -> None:
    assert list(Journal(path).entries()) == [entry(0), entry(1), entry(2)]


def test_a_torn_last_line_is_cut_off_and_written_over(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"method": "PO')
    journal = Journal(path)
    assert len(list(journal.entries())) == 3
    journal.append(entry(3))
    assert list(Journal(path).entries())[-1] == entry(3), "the entry after a crash was lost with the torn one"


def test_damage_elsewhere_is_refused_with_its_line(path: Path) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "not JSON", lines[2], ""]))
    with pytest.raises(ValueError, match=r"journal\.jsonl, line 2, is damaged"):
        list(Journal(path).entries())


def test_nobody_else_can_read_it(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
