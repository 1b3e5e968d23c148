"""Tests of `python -m delivery`, called as jobs call it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.__main__ import main
from tests.delivery.previews import DATA, SECRET


def report(tmp_path: Path, name: str, *more: str) -> int:
    arguments = ["--stack", "dev", "--preview", str(DATA / f"{name}.json"), "--note", str(tmp_path / "note.md")]
    return main(["preview-report", *arguments, "--widget", str(tmp_path / "counts.json"), *more], {})


def test_note_and_counts_are_written(tmp_path: Path) -> None:
    assert report(tmp_path, "changed") == 0
    assert json.loads((tmp_path / "counts.json").read_text()) == {"create": 5, "update": 11, "delete": 4}
    assert "## Preview of `dev`" in (tmp_path / "note.md").read_text()


@pytest.mark.parametrize("name", ["failed-program", "failed-provider"])
def test_a_failed_preview_fails_the_job_after_its_note(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "counts.json").write_text("an earlier run's")
    assert report(tmp_path, name) == 1
    assert "**failed**" in (tmp_path / "note.md").read_text()
    assert not (tmp_path / "counts.json").exists(), "the widget would show the counts of an incomplete preview"
    assert "The preview of dev failed: " in capsys.readouterr().err


def test_what_cannot_be_done_is_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(tmp_path, "changed", "--post") == 2
    assert report(tmp_path, "no-such-file") == 2
    (tmp_path / "outputs.json").write_text("[]")
    assert main(["outputs", "--stack", "dev", "--outputs", str(tmp_path / "outputs.json"), "--format", "json"], {}) == 2
    said = capsys.readouterr().err
    assert "no merge request to post to" in said
    assert "no-such-file.json" in said
    assert "is not what `pulumi stack output --json` prints" in said
    assert "Traceback" not in said


def test_secrets_go_only_into_a_file_of_their_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blinded, revealed, file = (tmp_path / name for name in ("blinded.json", "revealed.json", "variables.json"))
    blinded.write_text(json.dumps({"scan-token": SECRET}))
    revealed.write_text(json.dumps({"scan-token": "s3cret-value"}))
    arguments = ["outputs", "--stack", "dev", "--outputs", str(blinded), "--revealed", str(revealed)]
    arguments += ["--format", "gitlab-variables"]
    assert main(arguments, {}) == 2
    file.write_text("")
    file.chmod(0o644)
    assert main([*arguments, "--file", str(file)], {}) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())[0]["masked"] is True
    said = capsys.readouterr()
    assert "s3cret-value" not in said.out + said.err


def test_it_runs_without_pulumi_and_without_the_sandbox() -> None:
    """The job `up` needs neither Pulumi's SDKs for this nor the sandbox."""
    program = (
        "import sys, delivery.__main__; print([m for m in sys.modules if m.split('.')[0] in ('pulumi', 'sandbox')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout == "[]\n"
