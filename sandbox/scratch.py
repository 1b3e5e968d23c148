"""A copy of this project with a sandbox of its own, whose settings may be changed at will: for tests and benchmarks."""

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.endpoints import DIRECTORY_VARIABLE
from sandbox.toolchain import TOOLS

_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class ScratchProject:
    """`root` is the copy, `data` where its sandbox keeps everything."""

    root: Path
    data: Path

    @property
    def stack_file(self) -> Path:
        """The settings of the stack that `sandbox` deploys."""
        return self.root / "stacks" / "Pulumi.sandbox.yaml"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, DIRECTORY_VARIABLE: str(self.data)}

    def command(self, *arguments: str) -> list[str]:
        """`python -m sandbox ...`, to be run in `root` with `environment`."""
        python = self.root / ".venv" / "bin" / Path(sys.executable).name
        return [str(python), "-m", "sandbox", *arguments]

    def sandbox(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the sandbox to its end, whatever that is."""
        return subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )

    def read_config(self) -> dict[str, Any]:
        """The `config` that the stack's file holds."""
        config: dict[str, Any] = yaml.safe_load(self.stack_file.read_text())["config"]
        return config

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace all settings of the stack."""
        self.stack_file.write_text(yaml.safe_dump({"config": dict(config)}))

    @contextmanager
    def edited(self, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
        """The settings as `change` leaves them, until the block ends."""
        before = self.read_config()
        config = copy.deepcopy(before)
        change(config)
        self.write_config(config)
        try:
            yield
        finally:
            self.write_config(before)

    def endpoints(self) -> dict[str, Any]:
        """Where the running sandbox listens."""
        endpoints: dict[str, Any] = json.loads((self.data / "endpoints.json").read_text())
        return endpoints


@contextmanager
def scratch_project() -> Iterator[ScratchProject]:
    """A copy that goes, its sandbox stopped, when the caller is done."""
    with tempfile.TemporaryDirectory(prefix="buildyard-") as folder:
        project = ScratchProject(Path(folder, "project"), Path(folder, "sandbox"))
        shutil.copytree(_ROOT, project.root, ignore=_left_out)
        (project.root / ".venv").symlink_to(sys.prefix)
        TOOLS.mkdir(exist_ok=True)
        (project.root / TOOLS.name).symlink_to(TOOLS)  # what was installed once is there for every copy
        try:
            yield project
        finally:
            project.sandbox("stop")


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Files that a deployment does not need: caches, and at the top also tests, environments and Git."""
    if Path(folder) != _ROOT:
        return {"__pycache__"} & set(names)
    return {name for name in names if name.startswith(".") or name in ("benchmarks", "docs", "tests")}
