"""Waiting for a runner's jobs: the requests to GitLab, the messages, and the timeout."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gitlab
import pulumi
import pytest

from components.draining import AFTER_JOB_SECONDS, Drain, DrainError
from tests.components.mocks import declare

DRAIN = Drain(url="https://gitlab.example.com/", token="glpat-secret", runner="17")
FIRST, SECOND = "https://gitlab.example.com/-/jobs/1", "https://gitlab.example.com/-/jobs/2"


class FakeGitLab:
    """A GitLab with one runner. Each request for its jobs gets the next answer, and the last answer repeats."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []
        self.failure: Exception | None = None
        self.runners = self

    def __call__(self, url: str, **options: Any) -> "FakeGitLab":
        self.asked.append((url, options["private_token"]))
        return self

    def __enter__(self) -> "FakeGitLab":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def get(self, runner: str, *, lazy: bool = False) -> Any:
        if self.failure:
            raise self.failure
        return SimpleNamespace(maximum_timeout=1200, jobs=self) if runner == "17" or lazy else None

    def update(self, runner: str, data: dict[str, Any]) -> None:
        self.asked.append((runner, data))

    def list(self, **filters: Any) -> Iterator[Any]:
        self.asked.append(filters)
        if filters["status"] != "running":
            return iter(())
        urls = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return iter([SimpleNamespace(web_url=url) for url in urls])


def complete(waiting: Any) -> None:
    """Run to the end. `asyncio.run` would remove the loop that Pulumi's tests share."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(waiting)
    finally:
        loop.close()


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeGitLab], list[str]]:
    """Drain the runner of a fake GitLab, with a clock that only advances while it waits."""
    clock = [0.0]

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    def drained(fake: FakeGitLab) -> list[str]:
        said: list[str] = []
        monkeypatch.setattr("components.draining.gitlab.Gitlab", fake)
        monkeypatch.setattr("components.draining.asyncio.sleep", sleep)
        monkeypatch.setattr("components.draining.time.monotonic", lambda: clock[0])
        complete(DRAIN.wait(said.append))
        return said

    return drained


def test_a_runner_is_paused_before_its_jobs_are_listed(wait: Callable[[FakeGitLab], list[str]]) -> None:
    fake = FakeGitLab([])
    assert wait(fake) == [], "there is nothing to wait for, and nothing to report"
    [pause, running, canceling] = [asked for asked in fake.asked if asked != (DRAIN.url, DRAIN.token)]
    assert pause == ("17", {"paused": True})
    assert running == {"status": "running", "get_all": True}, "jobs on the list's second page would be killed"
    assert canceling == {"status": "canceling", "get_all": True}, "a cancelled job's after_script would be killed"


def test_each_change_of_the_running_jobs_is_reported_once(wait: Callable[[FakeGitLab], list[str]]) -> None:
    said = wait(FakeGitLab([FIRST, SECOND], [FIRST, SECOND], [SECOND], []))
    assert said == [
        f"Runner 17 is paused; waiting for 2 jobs ({FIRST}, {SECOND}).",
        f"Runner 17 is paused; waiting for 1 job ({SECOND}).",
    ]


def test_a_job_that_outlasts_every_timeout_is_reported_with_what_to_do(wait: Callable[[FakeGitLab], list[str]]) -> None:
    with pytest.raises(DrainError, match=f"still runs 1 job .{FIRST}. 25 minutes later.*Cancel") as error:
        wait(FakeGitLab([FIRST]))
    assert 1200 + AFTER_JOB_SECONDS == 25 * 60, "not before the longest job must have ended"
    assert DRAIN.token not in str(error.value)


def test_a_deleted_runner_has_no_jobs(wait: Callable[[FakeGitLab], list[str]]) -> None:
    fake = FakeGitLab([FIRST])
    fake.failure = gitlab.GitlabGetError("404 Not found", response_code=404)
    assert wait(fake) == []


def test_nothing_is_deleted_if_gitlab_does_not_answer(wait: Callable[[FakeGitLab], list[str]]) -> None:
    fake = FakeGitLab([])
    fake.failure = gitlab.GitlabGetError(f"401 for {DRAIN.token}", response_code=401)
    with pytest.raises(DrainError, match="could not check whether runner 17 still has jobs: 401") as error:
        wait(fake)
    assert DRAIN.token not in str(error.value), "the log would show the token"


def hook() -> Callable[[pulumi.ResourceHookArgs], Any]:
    """The hook that the program registers."""
    [registered] = declare().hooks.values()
    return registered.callback


def deleted(kind: str, **inputs: Any) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs(urn="urn", id="17", name="name", type=kind, old_inputs=inputs)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[Drain]:
    """The drains that hooks have waited for, which end at once."""
    drains: list[Drain] = []

    async def wait(drain: Drain, say: object) -> None:
        drains.append(drain)

    monkeypatch.setattr(Drain, "wait", wait)
    return drains


RELEASE = {"values": {"podAnnotations": {"buildyard.dev/runner": "18"}}}


@pytest.mark.parametrize(
    ("resource", "runner"),
    [
        (deleted("gitlab:index/userRunner:UserRunner", tagLists=["arm64"]), "17"),
        (deleted("kubernetes:helm.sh/v3:Release", **RELEASE), "18"),
    ],
)
def test_a_hook_drains_the_runner_that_is_deleted_or_whose_manager_is(
    resource: pulumi.ResourceHookArgs, runner: str, waited: list[Drain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", "glpat-environment")
    monkeypatch.delenv("GITLAB_BASE_URL", raising=False)
    complete(hook()(resource))
    assert waited == [Drain(url="https://gitlab.com/", token="glpat-environment", runner=runner)]


def test_the_token_of_the_stack_comes_before_that_of_the_environment(
    waited: list[Drain], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def token() -> str:
        return "glpat-stack"

    def get_secret(config: pulumi.Config, key: str) -> Any:
        return SimpleNamespace(future=token) if (config.name, key) == ("gitlab", "token") else None

    monkeypatch.setenv("GITLAB_TOKEN", "glpat-environment")
    monkeypatch.setattr(pulumi.Config, "get_secret", get_secret)
    [registered] = declare(tags={"gitlab": "configured"}).hooks.values()
    complete(registered.callback(deleted("gitlab:index/userRunner:UserRunner")))
    assert [drain.token for drain in waited] == ["glpat-stack"], "the provider uses this one"


def test_without_a_token_nothing_is_deleted(waited: list[Drain], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITLAB_TOKEN", raising=False)
    with pytest.raises(DrainError, match="set gitlab:token or GITLAB_TOKEN"):
        complete(hook()(deleted("gitlab:index/userRunner:UserRunner")))
    assert waited == []
