"""The platform as a component in a project of another language, and a project made from this repository's template.

The CLI, the language plugin for YAML and the component's host are Pulumi's own; the one for Python is a stand-in.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from sandbox import server
from sandbox.endpoints import Endpoints
from sandbox.engine.install import pulumi
from tests.plugin.install import DIRECTORY, missing

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {
    "cluster": {"name": "ci"},
    "nodes": {"arm64": {"instance-types": ["m7g.4xlarge"], "max-size": 4}},
    "registry": {"delete-images": ["buildyard/builder", "platform/images/base"]},
    "projects": [
        {
            "path": "platform/images",
            "default-branch": "master",
            "images": [{"name": "base", "context": "images/base"}],
        }
    ],
}


@dataclass(frozen=True)
class Cli:
    """The CLI in a project, on a backend of its own."""

    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Run a command, which must succeed or fail; return what it prints."""
        command = [str(pulumi(Console(stderr=True))), *arguments, "--non-interactive"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout if not fails else done.stdout + done.stderr


def cli(folder: Path, home: Path, variables: Mapping[str, str]) -> Cli:
    """The CLI, with a stand-in of the language plugin for Python on its PATH."""
    programs = home / "bin"
    programs.mkdir(parents=True)
    (home / "state").mkdir()
    plugin = programs / "pulumi-language-python"
    plugin.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.plugin.language_plugin "$@"\n')
    plugin.chmod(0o755)
    own = {
        "PATH": os.pathsep.join([str(programs), str(DIRECTORY), os.environ["PATH"]]),
        "PULUMI_HOME": str(home / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{home}/state",
        "PULUMI_CONFIG_PASSPHRASE": "only for tests",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    return Cli(folder, {**os.environ, **variables, **own})


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A sandbox for the second project."""
    folder = tmp_path_factory.mktemp("sandbox")
    yield server.start(folder)
    server.stop(folder)


def write_project(folder: Path, settings: Mapping[str, Any]) -> None:
    """A project in YAML that has the platform as a component."""
    project = {
        "name": "second",
        "runtime": "yaml",
        "packages": {"buildyard": str(ROOT / "plugin")},
        "resources": {"images": {"type": "buildyard:index:Platform", "properties": {"settings": settings}}},
        "outputs": {"urls": "${images.repositoryUrls}"},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))


@pytest.mark.timeout(600)
def test_a_project_in_another_language_deploys_the_platform(tmp_path: Path, services: Endpoints) -> None:
    if reason := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    folder = tmp_path / "second"
    folder.mkdir()
    write_project(folder, SETTINGS)
    run = cli(folder, tmp_path / "home", services.environment())
    run("stack", "init", "team")
    run("config", "set", "aws:region", "ap-east-1")
    run("up", "--yes", "--skip-preview")
    urls = json.loads(run("stack", "output", "--json"))["urls"]
    assert urls["platform/images/base"] == "123456789012.dkr.ecr.ap-east-1.amazonaws.com/platform/images/base"
    run("preview", "--expect-no-changes")

    write_project(folder, {**SETTINGS, "nodes": {"arm64": {**SETTINGS["nodes"]["arm64"], "max-sise": 4}}})
    refused = run("preview", fails=True)
    assert "buildyard:nodes.arm64.max-sise: there is no such key" in refused
    assert "Did you mean max-size?" in refused
    write_project(folder, SETTINGS)
    run("destroy", "--yes", "--skip-preview", "--run-program")
    left = json.loads(run("stack", "export"))["deployment"].get("resources", [])
    assert [each["type"] for each in left] == [], "the program's hooks were not there to delete runners"


def test_the_packages_schema_has_the_settings_and_the_outputs(tmp_path: Path) -> None:
    text = cli(tmp_path, tmp_path / "home", {})("package", "get-schema", str(ROOT / "plugin"))
    [platform] = json.loads(text)["resources"].values()
    assert platform["isComponent"]
    assert platform["requiredInputs"] == ["settings"]
    assert set(platform["properties"]) == {"registryHost", "repositoryUrls", "pushRoleArns"}
