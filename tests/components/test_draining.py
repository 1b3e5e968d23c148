"""Waiting for a runner's jobs: the requests to GitLab, the messages, and the timeout."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gitlab
import pytest

from components.draining import AFTER_JOB_SECONDS, Drain, DrainError

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
        urls = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return iter([SimpleNamespace(web_url=url) for url in urls])


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
        loop = asyncio.new_event_loop()  # `asyncio.run` would remove the loop that Pulumi's tests share
        try:
            loop.run_until_complete(DRAIN.wait(said.append))
        finally:
            loop.close()
        return said

    return drained


def test_a_runner_is_paused_before_its_jobs_are_listed(wait: Callable[[FakeGitLab], list[str]]) -> None:
    fake = FakeGitLab([])
    assert wait(fake) == [], "there is nothing to wait for, and nothing to report"
    [pause, jobs] = [asked for asked in fake.asked if asked != (DRAIN.url, DRAIN.token)]
    assert pause == ("17", {"paused": True})
    assert jobs == {"status": "running", "get_all": True}, "jobs on the list's second page would be killed"


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
