"""A project made from this repository by `pulumi new`, and the version of the CLI that a project asks for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.endpoints import DIRECTORY_VARIABLE
from sandbox.engine.install import VERSION
from sandbox.toolchain import TOOLS
from tests.plugin.test_plugin import ROOT, Cli, cli

_NOT_OF_A_CLONE = shutil.ignore_patterns(
    ".git", ".venv", ".tools", ".sandbox", ".*_cache", ".hypothesis", "__pycache__"
)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Path]:
    """A new project of another name, with a stack of its own, where the template's questions had short answers."""
    template, folder = tmp_path / "template", tmp_path / "images"
    shutil.copytree(ROOT, template, ignore=_NOT_OF_A_CLONE)
    folder.mkdir()
    run = cli(folder, tmp_path / "home", {})
    answers = ("--name", "images", "--stack", "team", "--config", "aws:region=ap-east-1", "--yes", "--offline")
    run("new", str(template), *answers)
    yield folder
    sandbox(folder, "stop")


def sandbox(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project's sandbox."""
    environment = {**os.environ, DIRECTORY_VARIABLE: str(folder.parent / "sandbox")}
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_new_project_has_its_own_stack_and_works(made: Path) -> None:
    stack = yaml.safe_load((made / "stacks" / "Pulumi.team.yaml").read_text())["config"]
    assert stack["aws:region"] == "ap-east-1"
    assert yaml.safe_load((made / "Pulumi.yaml").read_text())["name"] == "images"

    command = [sys.executable, "-m", "pipeline", "--stack", "team"]
    printed = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert "build-web:arm64" in printed.stdout, printed.stderr

    (made / TOOLS.name).symlink_to(TOOLS)
    preview = sandbox(made, "preview")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "to create" in preview.stdout


def test_the_project_asks_for_the_version_of_its_sdk() -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["requiredPulumiVersion"] == f">={VERSION}"


def test_the_cli_refuses_a_project_that_asks_for_a_newer_one(tmp_path: Path) -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text()) | {"requiredPulumiVersion": ">=99.0.0"}
    del project["stackConfigDir"]
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    run: Cli = cli(tmp_path, tmp_path / "home", {})
    run("stack", "init", "team")
    refused = run("preview", "--stack", "team", fails=True)
    assert f"Pulumi CLI version {VERSION} does not satisfy the version range" in refused
