"""Run a published job as GitLab Runner does, with stubs for the builder image's tools."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.builds.tools import busybox, machine

STUBS = Path(__file__).parent / "stubs"

_BUSYBOX = shutil.which("busybox") or busybox(machine())
SHELLS = [["sh"], *([[str(_BUSYBOX), "ash"]] if Path(_BUSYBOX).exists() else [])]
"""The shells of this machine, and the builder image's, BusyBox, which `python -m sandbox.builds.install` brings."""

_ERRORS = """
case "$(set -o)" in *pipefail*) set -o pipefail ;; esac
set -o errexit
"""
"""How the runner begins a script: `shells/bash.go` of https://gitlab.com/gitlab-org/gitlab-runner"""

GITLAB = {
    "CI_COMMIT_REF_NAME": "feature/one",
    "CI_COMMIT_BRANCH": "feature/one",
    "CI_COMMIT_SHA": "0123456789abcdef0123456789abcdef01234567",
    "CI_COMMIT_SHORT_SHA": "01234567",
    "CI_COMMIT_TIMESTAMP": "2026-01-02T11:04:05+08:00",
    "CI_PIPELINE_CREATED_AT": "2026-01-02T16:30:00Z",
    "CI_PIPELINE_IID": "41",
    "CI_PROJECT_ID": "7",
    "CI_PROJECT_PATH": "platform/images",
    "CI_PROJECT_URL": "https://gitlab.example.com/platform/images",
}
"""The variables that GitLab sets in a branch pipeline."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """The result of a job."""

    status: int
    output: str
    project: Path
    record: Path

    @property
    def buildctl(self) -> list[str]:
        """The arguments that BuildKit received."""
        return (self.record / "buildctl").read_bytes().decode().split("\0")[:-1]  # text mode would translate \r

    def options(self, name: str) -> list[str]:
        """The values of one of BuildKit's options."""
        return [value for option, value in zip(self.buildctl, self.buildctl[1:], strict=False) if option == name]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that BuildKit ran in."""
        lines = (self.record / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def dotenv(self) -> dict[str, str]:
        """The job's dotenv report."""
        return dict(line.split("=", 1) for line in (self.project / "build.env").read_text().splitlines())

    @property
    def waited(self) -> float:
        """The seconds that the job's Python scripts would have waited."""
        waits = self.record / "waits"
        return sum(map(float, waits.read_text().split())) if waits.exists() else 0

    @property
    def registry(self) -> dict[str, Any]:
        """The registry's content."""
        held: dict[str, Any] = json.loads((self.record / "registry.json").read_text())
        return held


def run(job: Mapping[str, Any], folder: Path, *, shell: list[str] | None = None, **variables: str) -> Done:
    """Run a job in `folder/project`. A variable with an empty value is not set."""
    project, record, temporary = folder / "project", folder / "record", folder / "temporary"
    for each in (project, record, temporary):
        each.mkdir(exist_ok=True)
    if variables.get("CI_COMMIT_BRANCH") and not (project / ".git").exists():
        git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", str(project))
        subprocess.run([*git, "init", "--quiet"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=x"], check=True)
    environment = {
        "PATH": os.pathsep.join([str(STUBS), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(STUBS / "no_waiting"),
        "STUB_RECORD": str(record),
        "TMPDIR": str(temporary),  # a pod's folders go with the pod
        "CI_PROJECT_DIR": str(project),
        **GITLAB,
        **job["variables"],
        "BUILDYARD_TIER": "protected",  # the project's variable, which GitLab prefers to the file's
        **variables,
    }
    script = "\n".join([_ERRORS, *job.get("before_script", []), *job["script"]])
    done = subprocess.run(
        [*(shell or ["sh"]), "-s"],
        input=script,
        cwd=project,
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
    )
    return Done(status=done.returncode, output=done.stdout + done.stderr, project=project, record=record)
