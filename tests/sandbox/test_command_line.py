"""The sandbox's command line, where it needs no running sandbox."""

import json
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


@pytest.mark.parametrize("command", ["up", "preview", "outputs", "destroy", "down"])
def test_a_real_stack_is_refused_before_anything_starts(tmp_path: Path, command: str) -> None:
    done = _sandbox(tmp_path, command, "--stack", "prod")
    assert done.returncode == 1
    assert "pulumi up --stack prod" in done.stderr, "the message says what to use instead"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "endpoints.json").exists()


@pytest.mark.parametrize(
    ("engine", "message"), [("pulumi", "not on PATH; `--engine embedded`"), ("terraform", "pulumi and embedded")]
)
def test_an_engine_that_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, engine: str, message: str
) -> None:
    done = _sandbox(tmp_path, "up", "--engine", engine)
    assert done.returncode == 1
    assert message in done.stderr, "people must learn which engine they can take"
    assert not (tmp_path / "endpoints.json").exists()


def test_the_clis_own_commands_need_the_cli(tmp_path: Path) -> None:
    done = _sandbox(tmp_path, "pulumi", "stack", "export", "--file", "state.json")
    assert done.returncode == 1
    assert "`pulumi` and `pulumi-language-python` are not on PATH" in done.stderr
    assert not (tmp_path / "endpoints.json").exists()


def test_outputs_of_a_stack_never_deployed_are_none(tmp_path: Path) -> None:
    done = _sandbox(tmp_path, "outputs", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {}


def test_status_tells_that_nothing_runs_and_how_to_start(tmp_path: Path) -> None:
    done = _sandbox(tmp_path, "status")
    assert done.returncode == 1
    assert "python -m sandbox start" in done.stdout


def test_without_a_command_the_usage_names_them_all(tmp_path: Path) -> None:
    done = _sandbox(tmp_path)
    assert done.returncode == 2
    for command in ("start", "status", "stop", "up", "preview", "outputs", "destroy", "down"):
        assert command in _sandbox(tmp_path, "--help").stdout
