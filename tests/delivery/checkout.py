"""A Git repository in which gitlab-ci-local runs a pipeline's jobs, with tools that a test provides."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pipeline.conftest import GitLabCiLocal


class Checkout:
    """A repository with one `.gitlab-ci.yml`; `tools` maps the names of programs to their shell scripts.

    Each tool may append to the file `$CALLS`.
    """

    def __init__(
        self,
        folder: Path,
        run: GitLabCiLocal,
        monkeypatch: pytest.MonkeyPatch,
        *,
        pipeline: str,
        tools: Mapping[str, str],
    ) -> None:
        self.folder, self._run, self._monkeypatch = folder / "checkout", run, monkeypatch
        self._calls = folder / "calls"
        self.folder.mkdir()
        (folder / "tools").mkdir()
        for name, script in tools.items():
            tool = folder / "tools" / name
            tool.write_text(script)
            tool.chmod(0o755)
        self.set(PATH=f"{folder / 'tools'}{os.pathsep}{os.environ['PATH']}", CALLS=str(self._calls))
        (self.folder / ".gitlab-ci.yml").write_text(pipeline)
        for command in (
            ["init", "--quiet", "--initial-branch=main"],
            ["add", "--all"],
            ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=All"],
            ["remote", "add", "origin", "https://gitlab.example.com/platform/buildyard.git"],
            ["update-ref", "refs/remotes/origin/main", "HEAD"],
            ["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"],
        ):
            subprocess.run(["git", *command], cwd=self.folder, check=True, capture_output=True)

    def job(self, name: str, **variables: str) -> str:
        """Run one job with these CI/CD variables, and return its log. Fails if the job fails."""
        given = {"CI_PROJECT_DIR": str(self.folder), "AWS_ID_TOKEN": "a-token", **variables}
        arguments = [word for key, value in given.items() for word in ("--variable", f"{key}={value}")]
        return self._run(self.folder, name, "--force-shell-executor", *arguments)

    def set(self, **environment: str) -> None:
        """Set variables in the environment of the tools."""
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)

    def text(self, name: str) -> str:
        """The content of a file that a job left."""
        return (self.folder / name).read_text()

    @property
    def calls(self) -> list[str]:
        """The lines that the tools wrote, in order."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []
