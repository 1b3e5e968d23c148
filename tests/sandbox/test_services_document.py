"""The services' state file changes atomically."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.services.document import Document

WRITE_FOREVER = """
import sys
from pathlib import Path
from sandbox.services.document import Document
document = Document(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    with document.change() as content:
        content["number"] = number
        content["padding"] = [number] * 50_000
"""


def test_a_change_that_fails_is_not_made(tmp_path: Path) -> None:
    document = Document(tmp_path / "state.json")
    with document.change() as content:
        content["kept"] = [1]

    def change_and_fail() -> None:
        with document.change() as content:
            content["kept"].append(2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    with document.read() as content:
        assert content == {"kept": [1]}
    with Document(tmp_path / "state.json").read() as content:
        assert content == {"kept": [1]}


@pytest.mark.parametrize("attempt", range(3))
def test_a_kill_while_writing_leaves_a_whole_document(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "state.json"
    writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, path], cwd=Path(__file__).parents[2])
    while not path.exists():
        time.sleep(0.01)
    time.sleep(0.05 + attempt * 0.013)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    with Document(path).read() as content:
        assert content["padding"] == [content["number"]] * 50_000


def test_a_full_disk_leaves_the_last_document_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = Document(tmp_path / "state.json")
    with document.change() as content:
        content["kept"] = 1

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def change() -> None:
        with document.change() as content:
            content["kept"] = 2

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            change()
    for each in (document, Document(tmp_path / "state.json")):
        with each.read() as content:
            assert content == {"kept": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    change()
    with Document(tmp_path / "state.json").read() as content:
        assert content == {"kept": 2}


def test_a_broken_document_says_which_file_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"state\.json is not valid JSON.*remove it to start empty"):
        Document(path)
