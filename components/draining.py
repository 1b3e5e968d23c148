"""Nothing goes while a job runs on it: a runner is paused, and its jobs come to their end, before anything is deleted.

A runner belongs to one node group and one manager, and is replaced with either of them, so that its jobs tell whether
these are in use. Nobody else would wait for them: EKS ends the nodes of a group that is deleted after five minutes,
whatever their disruption budgets say, and Helm takes a manager's rights away together with its Deployment.

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
"""How much longer than its timeout a job may be: `after_script` has five minutes of its own."""

_Answer = TypeVar("_Answer")
_PROJECT_TIMEOUT_SECONDS = 3600  # GitLab's default, where somebody took the runner's own away
_POLL_SECONDS = 10
_REQUEST_SECONDS = 30


class DrainError(Exception):
    """Something must stay, since jobs run on it or may. The message says which, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Drain:
    """What is asked of one runner; `url` is GitLab's, without `/api/v4`."""

    url: str
    token: str
    runner: str

    async def wait(self, say: Callable[[str], None]) -> None:
        """Pause the runner, and return when no job runs on it; `say` hears of the jobs that are waited for.

        Raises `DrainError` when a job runs for longer than any may, or when GitLab does not tell.
        """
        longest = await asyncio.to_thread(self._ask, self._pause)
        deadline = time.monotonic() + longest
        said: list[str] = []
        while longest and (jobs := await asyncio.to_thread(self._ask, self._running_jobs)):
            if time.monotonic() > deadline:
                raise DrainError(
                    f"runner {self.runner} is paused, but still runs {_listed(jobs)} {longest / 60:.0f} minutes later. "
                    "Cancel them or let them end, then run this again."
                )
            if jobs != said:
                say(f"Runner {self.runner} is paused; waiting for {_listed(jobs)}.")
                said = jobs
            await asyncio.sleep(_POLL_SECONDS)

    def _pause(self, client: gitlab.Gitlab) -> float:
        """Returns how many seconds its jobs may last; none if there is no such runner any more."""
        try:
            runner = client.runners.get(self.runner)
        except gitlab.GitlabGetError as error:
            if error.response_code == requests.codes.not_found:
                return 0
            raise
        client.runners.update(self.runner, {"paused": True})
        return float(runner.maximum_timeout or _PROJECT_TIMEOUT_SECONDS) + AFTER_JOB_SECONDS

    def _running_jobs(self, client: gitlab.Gitlab) -> list[str]:
        jobs = client.runners.get(self.runner, lazy=True).jobs.list(status="running", get_all=True)
        return sorted(job.web_url for job in jobs)

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
            raise DrainError(f"GitLab does not say whether runner {self.runner} still has jobs: {reason}") from error


def drain_before_delete(name: str, *, gitlab_url: str) -> pulumi.ResourceHookBinding:
    """For a runner or its manager: delete it when the runner has no job left, and not before.

    The hook's `name` stands in the stack's state; the program must register it for as long as something there has it.
    """
    token = pulumi.Config("gitlab").get_secret("token")

    async def drain(args: pulumi.ResourceHookArgs) -> None:
        secret = await token.future() if token else os.environ.get("GITLAB_TOKEN")
        if not secret:
            raise DrainError("there is no token to ask GitLab with: set gitlab:token or GITLAB_TOKEN")
        await Drain(url=gitlab_url, token=secret, runner=_runner_of(args)).wait(pulumi.info)

    return pulumi.ResourceHookBinding(before_delete=[pulumi.ResourceHook(name, drain)])


def _runner_of(args: pulumi.ResourceHookArgs) -> str:
    """The runner that is deleted, or whose manager is."""
    if args.type == "kubernetes:helm.sh/v3:Release":
        return str((args.old_inputs or {})["values"]["podAnnotations"][RUNNER_ANNOTATION])
    return args.id


def _listed(jobs: list[str]) -> str:
    return f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} ({', '.join(jobs)})"
