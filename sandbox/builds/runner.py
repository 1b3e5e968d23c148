"""The runner: `gitlab-ci-local` parses a checkout's pipeline, selects its jobs, and runs their scripts.

Its shell executor runs them on this machine. `PATH` leads to the programs of the builder image, and the environment
holds what a pod would get.
"""

import base64
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.builds import tools
from sandbox.builds.errors import BuildError
from sandbox.builds.gitlab_project import Checkout
from sandbox.builds.selection import choose, expanded
from sandbox.builds.worker import Worker

SHELL = {"SHLVL": "1"}
"""Variables that keep the Bash of a job from reading `~/.bashrc` and `/etc/bash.bashrc`, as on a runner.

`gitlab-ci-local` gives it a socket for its standard input. Bash takes that for a login by rsh or ssh, and reads the
files if no other shell started it.
Source: https://www.gnu.org/software/bash/manual/html_node/Bash-Startup-Files.html
"""

_STATE = ".gitlab-ci-local"
_VARIABLES = f"{_STATE}/variables.yml"
_FOLDERS = f"{_STATE}/jobs"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a pipeline. `status` is 0 if all jobs succeeded."""

    status: int
    stuck: Mapping[str, Sequence[str]]
    """The jobs that no runner takes, with their tags."""


@dataclass(frozen=True, kw_only=True)
class Runner:
    """`environment` holds the variables of every pod, and `identities` those of each of GitLab's runners' pods."""

    worker: Worker
    environment: Mapping[str, str]
    identities: Mapping[str, Mapping[str, str]]
    job_tokens: set[str] = field(default_factory=set)
    """The tokens of running jobs, which GitLab's registry accepts."""

    def run(
        self, checkout: Checkout, *, file: str, manual: Iterable[str] = (), report: Callable[[str], None] = print
    ) -> Outcome:
        """Run the pipeline in `file`, and start the manual jobs in `manual`.

        Each job gets the identity of the runner that GitLab gives it to. `report` gets each line of the runner's
        output. Raises BuildError with the runner's message if it cannot parse the pipeline.
        """
        self._write_variables(checkout)
        with self.worker.scratch() as home:
            command = self._command(checkout, file, home)
            listed = self._list(checkout, command, home)
            tags = self._tags(checkout, command, home)
            chosen = {
                job: choose(checkout.runners, tags[job], protected=checkout.protected) for job in due(listed, manual)
            }
            stuck = {job: tags[job] for job, runner in chosen.items() if runner is None}
            jobs = due(listed, manual, without=stuck)
            if not jobs:
                return Outcome(status=1 if stuck else 0, stuck=stuck)
            self._make_folders(checkout, jobs)
            identity = self._identity({runner.name for job in jobs if (runner := chosen[job])})
            # Each job is named: the runner refuses to run a whole pipeline in which jobs need a manual one.
            command += [*jobs, *(word for job in manual for word in ("--manual", job))]
            process = self.worker.start(
                command,
                cwd=checkout.directory,
                env=self._full_environment(home, identity),
                umask=0o022,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.job_tokens.add(checkout.variables["CI_JOB_TOKEN"])
            try:
                return Outcome(status=_follow(process, report) or bool(stuck), stuck=stuck)
            finally:
                self.job_tokens.discard(checkout.variables["CI_JOB_TOKEN"])
                if process.poll() is None:  # interrupted: end the jobs and their daemons
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait()

    def artifacts(self, checkout: Checkout) -> Path:
        """The folder of artifacts, which has one folder per job."""
        return checkout.directory / _STATE / "artifacts"

    def _command(self, checkout: Checkout, file: str, home: Path) -> list[str]:
        unset = [] if "CI_COMMIT_BRANCH" in checkout.variables else ["--unset-variable", "CI_COMMIT_BRANCH"]
        return [
            *(str(tools.NODE), str(tools.PIPELINE_RUNNER)),
            *("--file", file, "--state-dir", _STATE, "--variables-file", _VARIABLES, "--home", str(home)),
            *("--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source"),
            *("--ignore-predefined-vars", ",".join((*checkout.variables, "CI_PROJECT_DIR"))),
            *unset,
        ]

    def _list(self, checkout: Checkout, command: Sequence[str], home: Path) -> Any:
        """All jobs of the pipeline, as the runner parses them."""
        return json.loads(self._print(checkout, [*command, "--list-json"], home))

    def _tags(self, checkout: Checkout, command: Sequence[str], home: Path) -> Mapping[str, Sequence[str]]:
        """The tags of all jobs. A project's variables override those of the file."""
        file = yaml.safe_load(self._print(checkout, [*command, "--preview"], home))
        jobs = {name: job for name, job in file.items() if isinstance(job, dict) and "script" in job}
        common = _texts(file.get("variables"))
        return {
            name: expanded(job.get("tags") or (), {**common, **_texts(job.get("variables")), **checkout.variables})
            for name, job in jobs.items()
        }

    def _print(self, checkout: Checkout, command: Sequence[str], home: Path) -> str:
        # In a file: the runner ends before it has written more than a pipe holds.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            done = self.worker.run(
                command,
                cwd=checkout.directory,
                env=self._full_environment(home, {}),
                stdout=output,
                stderr=subprocess.PIPE,
            )
            output.seek(0)
            printed = output.read()
        if done.returncode:
            raise BuildError(f"The runner cannot read the pipeline: {done.stderr.strip() or printed.strip()}")
        return printed

    def _identity(self, runners: set[str]) -> Mapping[str, str]:
        """The variables of the pods of these runners. All jobs run in one process, so their identity must be one."""
        if unknown := runners - self.identities.keys():
            raise BuildError(f"GitLab gives jobs to {', '.join(sorted(unknown))}, which is no runner of the stack.")
        identities = [self.identities[runner] for runner in sorted(runners)]
        if any(each != identities[0] for each in identities):
            raise BuildError(f"The jobs have several identities, those of the runners {', '.join(sorted(runners))}.")
        return identities[0]

    def _write_variables(self, checkout: Checkout) -> None:
        """Write the variables to a file: every user can read the arguments of a process."""
        files = {key: f"$CI_PROJECT_DIR.tmp/{key}" for key in checkout.files}
        # By itself, the runner names a folder in a container for jobs with an image.
        folder = f"{checkout.directory}/{_FOLDERS}/$CI_JOB_NAME"
        values = {**checkout.variables, **files, "CI_PROJECT_DIR": folder}
        content = {key: {"type": "variable", "values": {"*": value}} for key, value in values.items()}
        file = self.worker.own(checkout.directory / _STATE) / Path(_VARIABLES).name
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        self.worker.give(file)

    def _make_folders(self, checkout: Checkout, jobs: Iterable[str]) -> None:
        """Make each job's `CI_PROJECT_DIR`, and beside it the variables of the type File, as GitLab Runner does.

        Source: https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/common/build.go (`TmpProjectDir`)
        """
        folders = self.worker.own(checkout.directory / _FOLDERS)
        for job in jobs:
            link = folders / job
            if not link.is_symlink():
                link.symlink_to(Path("..", "builds", _folder(job)))
            files = self.worker.own(folders / f"{job}.tmp")
            for key, content in checkout.files.items():
                (files / key).write_text(content, encoding="utf-8")
                self.worker.give(files / key)

    def _full_environment(self, home: Path, identity: Mapping[str, str]) -> dict[str, str]:
        temporary = self.worker.own(home / "tmp")
        return {
            **self.worker.environment,
            **SHELL,
            **self.environment,
            **identity,
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "NO_COLOR": "1",
        }


def _folder(job: str) -> str:
    """The name of a job's folder, in which `gitlab-ci-local` encodes what is no letter, digit, `_` or `-`."""
    return re.sub(
        r"[^\w-]+", lambda found: base64.urlsafe_b64encode(found[0].encode()).decode().rstrip("="), job, flags=re.ASCII
    )


def _texts(variables: Any) -> dict[str, str]:
    """Variables of the file, each of them a value or a mapping with a value."""
    return {name: str(each["value"] if isinstance(each, dict) else each) for name, each in (variables or {}).items()}


def due(jobs: Iterable[Mapping[str, Any]], manual: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """The jobs that run: automatic ones and those in `manual`, without those that need an unstarted one.

    The jobs in `without` do not start.
    """
    started = set(manual)
    running = {job["name"]: job for job in jobs if job["when"] != "manual" or job["name"] in started}
    waiting = ({job["name"] for job in jobs if job["when"] == "manual"} - started) | set(without)
    absent = {job["name"] for job in jobs if job["when"] == "never"}
    while True:
        stuck = {
            name
            for name, job in running.items()
            if name not in waiting | absent and any(need["job"] in waiting for need in job.get("needs") or [])
        }
        if not stuck:
            return [name for name in running if name not in waiting | absent]
        waiting |= stuck


def _follow(process: subprocess.Popen[bytes], report: Callable[[str], None]) -> int:
    assert process.stdout  # noqa: S101 - a pipe was asked for
    for line in process.stdout:
        report(line.decode(errors="replace").rstrip("\n"))
    return process.wait()
