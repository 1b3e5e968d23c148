"""A pipeline on a temporary branch of a GitLab project, followed until its jobs have ended.

The branch has one commit, which replaces the project's pipeline, so no other job of the project runs. For protected
runners, GitLab protects the branch until it is deleted. Nobody but Maintainers may push there meanwhile.

Sources: https://docs.gitlab.com/api/commits/, https://docs.gitlab.com/api/protected_branches/,
https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/jobs/
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gitlab
import requests

BRANCH_PREFIX = "buildyard-doctor-"
DEFAULT_PATH = ".gitlab-ci.yml"

_ENDED = ("success", "failed", "canceled", "skipped", "manual")
_MAINTAINERS = 40
# The commit itself starts no pipeline; one that is created by the API ignores the words.
# https://docs.gitlab.com/ci/pipelines/#skip-a-pipeline
_MESSAGE = "Test the runners\n\nA temporary branch of `python -m delivery doctor`. [skip ci]"


class RefusalError(Exception):
    """GitLab refused a step of a test build. The message says which, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of the test's pipeline, as GitLab reported it last."""

    name: str
    status: str
    url: str
    failure: str
    """GitLab's reason of a failure, such as `runner_system_failure`."""
    runner: int | None
    seconds: float | None
    log: str = ""
    """The log of a job that failed."""

    @property
    def has_ended(self) -> bool:
        return self.status in _ENDED


@dataclass(frozen=True, kw_only=True)
class TestProject:
    """The project in which test builds run. `path` is its path in GitLab, `branch` the branch to build from."""

    __test__ = False  # pytest's word for a class that is no test

    client: gitlab.Gitlab
    path: str
    branch: str
    warn: Callable[[str], None]
    """Gets a message if something temporary could not be removed."""

    @contextmanager
    def pipeline(self, text: Callable[[str], str], *, protected: bool, unprotected: bool) -> Iterator["TestPipeline"]:
        """Start a pipeline on a branch of its own. Afterwards it is cancelled if it still runs, and the branch deleted.

        The runners take jobs only of a `protected` or an `unprotected` branch, or of both. `text` gives the pipeline's
        text for the path of its file. Raises `RefusalError`.
        """
        with self._explained("find the project"):
            project = self.client.projects.get(self.path)
        name = f"{BRANCH_PREFIX}{secrets.token_hex(4)}"
        removals: list[tuple[str, Callable[[], object]]] = []
        try:
            self._commit(project, name, text)
            removals.append(("delete the branch", lambda: project.branches.delete(name)))
            if protected:
                with self._explained("protect a temporary branch"):
                    project.protectedbranches.create(
                        {"name": name, "push_access_level": _MAINTAINERS, "merge_access_level": _MAINTAINERS}
                    )
                removals.append(("unprotect the branch", lambda: project.protectedbranches.delete(name)))
            elif unprotected and project.branches.get(name).protected:
                raise RefusalError(
                    f"{self.path} protects every branch, so no branch is of the unprotected tier. Protect only what "
                    "releases, in GitLab's settings of the project, under Repository."
                )
            with self._explained("start a pipeline"):
                started = project.pipelines.create({"ref": name})
            removals.append(("cancel the pipeline", lambda: self._cancel(project, started.id)))
            yield TestPipeline(project=project, id=started.id)
        finally:
            for what, remove in reversed(removals):
                try:
                    remove()
                except (gitlab.GitlabError, requests.RequestException) as error:
                    self.warn(f"Could not {what} {name} of {self.path}: {error}. Remove it by hand.")

    def _commit(self, project: Any, name: str, text: Callable[[str], str]) -> None:
        path = project.attributes.get("ci_config_path") or DEFAULT_PATH
        if "@" in path or "://" in path:
            raise RefusalError(
                f"{self.path} takes its pipeline from {path}, which a branch cannot replace. Name an image of another "
                "project: --build PROJECT/IMAGE."
            )
        with self._explained("create a temporary branch"):
            try:
                project.files.head(path, ref=self.branch)
                action = "update"
            except gitlab.GitlabHeadError:
                action = "create"
            project.commits.create(
                {
                    "branch": name,
                    "start_branch": self.branch,
                    "commit_message": _MESSAGE,
                    "actions": [{"action": action, "file_path": path, "content": text(path)}],
                }
            )

    def _cancel(self, project: Any, pipeline: int) -> None:
        if project.pipelines.get(pipeline).status not in _ENDED:
            project.pipelines.get(pipeline).cancel()

    @contextmanager
    def _explained(self, step: str) -> Iterator[None]:
        try:
            yield
        except gitlab.GitlabError as error:
            advice = (
                " The token needs the scope api, and the role Maintainer in the project."
                if error.response_code in (requests.codes.unauthorized, requests.codes.forbidden)
                else ""
            )
            raise RefusalError(f"GitLab refuses to {step} in {self.path}: {error}.{advice}") from None
        except requests.RequestException as error:
            raise RefusalError(f"GitLab did not answer to the request to {step} in {self.path}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class TestPipeline:
    """A pipeline that was started."""

    __test__ = False

    project: Any
    id: int

    def jobs(self) -> Mapping[str, Job]:
        """The jobs by name. Raises `RefusalError`."""
        try:
            return {job.name: job for job in self._read()}
        except (gitlab.GitlabError, requests.RequestException) as error:
            raise RefusalError(f"GitLab does not tell the state of the test's pipeline: {error}") from None

    def _read(self) -> Iterator[Job]:
        for each in self.project.pipelines.get(self.id, lazy=True).jobs.list(get_all=True):
            facts = each.attributes
            yield Job(
                name=facts["name"],
                status=facts["status"],
                url=str(facts.get("web_url") or ""),
                failure=str(facts.get("failure_reason") or ""),
                runner=(facts.get("runner") or {}).get("id"),
                seconds=facts.get("duration"),
                log=self._log(each.id) if facts["status"] == "failed" else "",
            )

    def _log(self, job: int) -> str:
        log = self.project.jobs.get(job, lazy=True).trace()
        return log.decode(errors="replace") if isinstance(log, bytes) else str(log or "")
