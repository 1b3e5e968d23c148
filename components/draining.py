"""Nothing is deleted while jobs run on it: a hook pauses the runner, and waits until its jobs have ended.

A runner belongs to one node group and one manager, and is replaced together with either of them. So its jobs show
whether these are in use. Nothing else would wait for the jobs: EKS terminates the nodes of a deleted group after five
minutes, whatever their disruption budgets say, and Helm deletes a manager's permissions together with its Deployment.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html,
https://docs.gitlab.com/api/runners/, https://www.pulumi.com/docs/iac/concepts/options/hooks/
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import gitlab
import pulumi
import requests

from components.runner_chart import RUNNER_ANNOTATION

AFTER_JOB_SECONDS = 300
"""How much longer than its timeout a job may run: `after_script` has five minutes of its own."""

_Answer = TypeVar("_Answer")
_PROJECT_TIMEOUT_SECONDS = 3600  # GitLab's default, if somebody removed the runner's own timeout
_POLL_SECONDS = 10
_REQUEST_SECONDS = 30


class DrainError(Exception):
    """Something cannot be deleted, since jobs run on it or may run. The message says which jobs, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Drain:
    """The draining of one runner. `url` is GitLab's address without `/api/v4`."""

    url: str
    token: str
    runner: str

    async def wait(self, say: Callable[[str], None]) -> None:
        """Pause the runner, and return when no job runs on it. `say` gets a message about the running jobs.

        Raises `DrainError` if a job runs longer than every timeout, or if GitLab does not answer.
        """
        longest = await asyncio.to_thread(self._ask, self._pause)
        deadline = time.monotonic() + longest
        said: list[str] = []
        while longest and (jobs := await asyncio.to_thread(self._ask, self._running_jobs)):
            if time.monotonic() > deadline:
                raise DrainError(
                    f"runner {self.runner} is paused, but still runs {_listed(jobs)} {longest / 60:.0f} minutes later. "
                    "Cancel them or wait for them, then run this again."
                )
            if jobs != said:
                say(f"Runner {self.runner} is paused; waiting for {_listed(jobs)}.")
                said = jobs
            await asyncio.sleep(_POLL_SECONDS)

    def _pause(self, client: gitlab.Gitlab) -> float:
        """Pause it, and return how many seconds its jobs may last, or 0 if the runner does not exist any more."""
        try:
            runner = client.runners.get(self.runner)
        except gitlab.GitlabGetError as error:
            if error.response_code == requests.codes.not_found:
                return 0
            raise
        client.runners.update(self.runner, {"paused": True})
        return float(runner.maximum_timeout or _PROJECT_TIMEOUT_SECONDS) + AFTER_JOB_SECONDS

    def _running_jobs(self, client: gitlab.Gitlab) -> list[str]:
        listed = client.runners.get(self.runner, lazy=True).jobs
        # A job that somebody cancelled still runs its after_script.
        found = [job for status in ("running", "canceling") for job in listed.list(status=status, get_all=True)]
        return sorted({job.web_url for job in found})

    def _ask(self, question: Callable[[gitlab.Gitlab], _Answer]) -> _Answer:
        try:
            with gitlab.Gitlab(
                self.url,
                private_token=self.token,
                timeout=_REQUEST_SECONDS,
                retry_transient_errors=True,
                user_agent="buildyard",
            ) as client:
                return question(client)
        except (gitlab.GitlabError, requests.RequestException) as error:
            reason = (str(error) or type(error).__name__).replace(self.token, "[secret]")
            raise DrainError(f"could not check whether runner {self.runner} still has jobs: {reason}") from error


def drain_before_delete(name: str, *, gitlab_url: str) -> pulumi.ResourceHookBinding:
    """Delete a runner or its manager only when the runner has no more jobs.

    The stack's state contains the hook's `name`. The program must register the hook as long as the state refers to it.
    """
    token = pulumi.Config("gitlab").get_secret("token")

    async def drain(args: pulumi.ResourceHookArgs) -> None:
        secret = await token.future() if token else os.environ.get("GITLAB_TOKEN")
        if not secret:
            raise DrainError("there is no token for GitLab: set gitlab:token or GITLAB_TOKEN")
        await Drain(url=gitlab_url, token=secret, runner=_runner_of(args)).wait(pulumi.info)

    return pulumi.ResourceHookBinding(before_delete=[pulumi.ResourceHook(name, drain)])


def _runner_of(args: pulumi.ResourceHookArgs) -> str:
    """The id of the runner that is deleted, or whose manager is deleted."""
    if args.type == "kubernetes:helm.sh/v3:Release":
        return str((args.old_inputs or {})["values"]["podAnnotations"][RUNNER_ANNOTATION])
    return args.id


def _listed(jobs: list[str]) -> str:
    return f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} ({', '.join(jobs)})"
