"""The sandbox's command line, where it needs no running sandbox."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _sandbox(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "BUILDYARD_SANDBOX_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["up", "preview", "destroy", "down"])
def test_a_real_stack_is_refused_before_anything_starts(tmp_path: Path, command: str) -> None:
    done = _sandbox(tmp_path, command, "--stack", "prod")
    assert done.returncode == 1
    verb = "destroy" if command == "down" else command
    assert f"pulumi {verb} --stack prod" in done.stderr, "the message says what to use instead"
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_status_tells_that_nothing_runs_and_how_to_start(tmp_path: Path) -> None:
    done = _sandbox(tmp_path, "status")
    assert done.returncode == 1
    assert "`make up`" in done.stdout, "a command that works outside the environment, too"


def test_a_directory_of_somebody_elses_is_neither_used_nor_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.tex"
    precious.write_text("\\documentclass{article}")
    for command in ("start", "reset"):
        done = _sandbox(tmp_path, command)
        assert done.returncode == 1
        assert "holds files that are not the sandbox's" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [precious.name]


def test_arguments_that_a_command_does_not_take_are_refused(tmp_path: Path) -> None:
    done = _sandbox(tmp_path, "status", "--verbose")
    assert done.returncode == 2
    assert "--verbose" in done.stderr


def test_without_a_command_the_usage_names_them_all(tmp_path: Path) -> None:
    done = _sandbox(tmp_path)
    assert done.returncode == 2
    usage = _sandbox(tmp_path, "--help").stdout
    for command in ("start", "status", "stop", "reset", "up", "preview", "destroy", "down", "build", "pulumi"):
        assert f"\n    {command} " in usage
