"""A project of the sandbox's GitLab for a runner: a clone, and the variables of its jobs."""

import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests

from sandbox.builds.errors import BuildError
from sandbox.builds.events import Event, Trigger
from sandbox.builds.other_registries import GITLAB_REGISTRY
from sandbox.builds.selection import GitLabRunner
from sandbox.builds.worker import Worker
from stacks.protection import protects


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A clone with the pipeline's commit checked out, its jobs' variables, and the runners that the project may use."""

    directory: Path
    variables: dict[str, str]
    files: Mapping[str, str]
    """The contents of the variables of the type File, by name."""
    protected: bool
    """Whether the pipeline's ref is protected."""
    runners: Sequence[GitLabRunner]


@dataclass(frozen=True, kw_only=True)
class GitLabProject:
    """`url` is GitLab's, `path` the project's in it, such as `platform/images`."""

    url: str
    path: str
    token: str

    def check_out(self, event: Event, directory: Path, worker: Worker) -> Checkout:
        """Clone the project for the jobs of one pipeline. Raises BuildError with git's message."""
        project = self._get("")
        branch = project["default_branch"]
        git = _Git(worker, directory)
        git.clone(f"{self.url}/{self.path}.git")
        kind, ref = ("tag", f"tags/{event.ref}") if event.trigger is Trigger.TAG else ("branch", event.ref)
        if not git.succeeds("rev-parse", "--verify", ref if kind == "tag" else f"origin/{ref}"):
            raise BuildError(f"{self.path} has no {kind} {event.ref}.")
        git("checkout", "--quiet", ref)
        git("config", "user.name", "Sandbox")
        git("config", "user.email", "sandbox@example.com")
        git("update-ref", f"refs/remotes/origin/{branch}", _base(git, event, branch))
        sha, written, title = git("show", "--no-patch", "--format=%H%n%cI%n%s").split("\n")
        protected = self._protects(event, project)
        known = [each for each in self._get("/variables?per_page=100") if protected or not each["protected"]]
        files = {each["key"]: each["value"] for each in known if each["variable_type"] == "file"}
        variables = {
            **{each["key"]: each["value"] for each in known if each["key"] not in files},
            **event.variables(branch, project["id"]),
            "CI_COMMIT_REF_SLUG": re.sub(r"[^a-z0-9]", "-", event.ref.lower())[:63].strip("-"),
            "CI_COMMIT_REF_PROTECTED": str(protected).lower(),
            "CI_COMMIT_SHA": sha,
            "CI_COMMIT_SHORT_SHA": sha[:8],
            "CI_COMMIT_TIMESTAMP": written,
            "CI_COMMIT_TITLE": title,
            "CI_DEFAULT_BRANCH": branch,
            "CI_JOB_TOKEN": f"glcbt-{secrets.token_hex(16)}",
            "CI_PIPELINE_CREATED_AT": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            "CI_PIPELINE_IID": str(time.time_ns() // 1_000_000),  # it grows, as GitLab's does, but is no count
            "CI_PROJECT_ID": str(project["id"]),
            "CI_PROJECT_PATH": self.path,
            "CI_PROJECT_URL": f"{self.url}/{self.path}",
            "CI_REGISTRY": GITLAB_REGISTRY,
            "CI_REPOSITORY_URL": f"{self.url}/{self.path}.git",
            "CI_SERVER_URL": self.url,
        }
        return Checkout(
            directory=directory, variables=variables, files=files, protected=protected, runners=self._runners()
        )

    def _protects(self, event: Event, project: Any) -> bool:
        """Whether the event's pipeline may use protected variables and runners.

        A merge request's pipeline may if the project allows it and both branches are protected.
        Source: https://docs.gitlab.com/ci/pipelines/merge_request_pipelines/#control-access-to-protected-variables-and-runners
        """
        kind = "tags" if event.trigger is Trigger.TAG else "branches"
        names = [each["name"] for each in self._get(f"/protected_{kind}?per_page=100")]
        if event.trigger is not Trigger.MERGE_REQUEST:
            return protects(names, event.ref)
        branches = (event.ref, project["default_branch"])
        return project["protect_merge_request_pipelines"] and all(protects(names, each) for each in branches)

    def _runners(self) -> Sequence[GitLabRunner]:
        return [
            GitLabRunner(
                name=runner["description"],
                tags=frozenset(runner["tag_list"]),
                only_protected=runner["access_level"] == "ref_protected",
                untagged=runner["run_untagged"],
                paused=runner["paused"],
            )
            for listed in self._get("/runners?per_page=100")
            for runner in [self._ask(f"/runners/{listed['id']}")]
        ]

    def _get(self, path: str) -> Any:
        return self._ask(f"/projects/{self.path.replace('/', '%2F')}{path}")

    def _ask(self, path: str) -> Any:
        answer = requests.get(f"{self.url}/api/v4{path}", headers={"PRIVATE-TOKEN": self.token}, timeout=60)
        if answer.status_code == requests.codes.not_found:
            raise BuildError(f"The sandbox's GitLab has no project {self.path}.")
        answer.raise_for_status()
        return answer.json()


def _base(git: "_Git", event: Event, default_branch: str) -> str:
    """The commit that GitLab compares with to see which files changed.

    For a merge request, the merge base with the default branch; otherwise the parent commit, in place of the last push.
    """
    if event.trigger is Trigger.MERGE_REQUEST:
        return git("merge-base", f"origin/{default_branch}", "HEAD")
    return git("rev-list", "--max-count=2", "HEAD").split()[-1]


@dataclass(frozen=True)
class _Git:
    worker: Worker
    directory: Path

    def __call__(self, *arguments: str) -> str:
        return self._run("-C", str(self.directory), *arguments)

    def succeeds(self, *arguments: str) -> bool:
        try:
            self(*arguments)
        except BuildError:
            return False
        return True

    def clone(self, url: str) -> None:
        # File modes are part of BuildKit's cache keys: a clone must be the same for every user.
        self._run("clone", "--quiet", url, str(self.directory))

    def _run(self, *arguments: str) -> str:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}
        done = self.worker.run(["git", *arguments], env=environment, umask=0o022, capture_output=True)
        if done.returncode:
            raise BuildError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout.strip()
