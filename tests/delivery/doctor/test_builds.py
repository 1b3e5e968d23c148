"""Test builds through the sandbox's GitLab: what runs, what is told about it, and what is left of it."""

import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import gitlab
import pytest
import requests

from delivery.doctor import builds as module
from delivery.doctor.build_jobs import choose
from delivery.doctor.builds import Builds
from delivery.doctor.outputs import Deployed, Place
from delivery.doctor.report import Check, Result
from stacks.architecture import Architecture
from stacks.settings import Settings
from stacks.trust import Tier, Trust
from tests.sandbox.services_gitlab.conftest import client, first_start, url
from tests.sandbox.services_gitlab.test_pipelines import runner
from tests.stacks.stack_settings import project, settings

__all__ = ["client", "first_start", "url"]  # fixtures

PROTECTED, UNPROTECTED = Tier.PROTECTED, Tier.UNPROTECTED
ARM64, AMD64 = Architecture.ARM64, Architecture.AMD64
PLACES = [(tier, architecture) for tier in Tier for architecture in Architecture]

Jobs = Callable[[dict[str, Any]], tuple[str, str] | None]
"""The outcome of a waiting job: its status and its log, or None if nobody takes it."""


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.05)


@pytest.fixture
def deployed(client: gitlab.Gitlab) -> Deployed:
    """The runners of a stack, and the project's variable that leads protected jobs to theirs."""
    images = client.projects.get("platform/images")
    images.variables.create({"key": "BUILDYARD_TIER", "value": "protected", "protected": True})
    runners = {
        (tier, architecture): runner(
            client, *Trust.ISOLATED.runner_tags(tier, architecture), protected=tier is PROTECTED
        )
        for tier, architecture in PLACES
    }
    return Deployed(registry_host="registry.example.com", builder_image="", runners=runners, node_groups={})


@pytest.fixture
def play(client: gitlab.Gitlab, deployed: Deployed) -> Iterator[Callable[[Jobs], None]]:
    """Play the managers of all runners in the background."""
    end = Event()
    threads: list[Thread] = []

    def work(decide: Jobs) -> None:
        while not end.wait(0.02):
            for job in requests.get(f"{client.url}/-/sandbox/jobs", timeout=10).json():
                fate = decide(job)
                numbers = [each.id for each in client.runners.list(get_all=True)] if fate else []
                taken = any(
                    requests.post(f"{client.url}/-/sandbox/runners/{number}/jobs?job={job['id']}", timeout=10).ok
                    for number in numbers
                )
                if fate and taken and fate[0] != "running":
                    place = f"{client.url}/-/sandbox/jobs/{job['id']}?status={fate[0]}&duration=2"
                    requests.put(place, data=fate[1].encode(), timeout=10)

    def start(decide: Jobs) -> None:
        threads.append(Thread(target=work, args=(decide,), daemon=True))
        threads[-1].start()

    yield start
    end.set()
    for thread in threads:
        thread.join()


def stack(path: str) -> Settings:
    images = project({"name": "base", "context": "images/base"}, path=path, **{"default-branch": "master"})
    return settings(trust="isolated", projects=[images])


def check(
    client: gitlab.Gitlab,
    deployed: Deployed,
    *,
    unfit: tuple[Place, ...] = (),
    minutes: float = 1,
    said: list[str] | None = None,
    of: Settings | None = None,
) -> dict[Place, Check]:
    of = of or stack("platform/images")
    builds = Builds(
        stack="prod",
        settings=of,
        client=client,
        choices=choose(of, None, source="test"),
        timeout_minutes=minutes,
        say=([] if said is None else said).append,
    )
    return dict(zip(deployed.runners, builds.check(deployed, unfit), strict=True))


def assert_nothing_is_left(client: gitlab.Gitlab) -> None:
    images = client.projects.get("platform/images")
    assert [branch.name for branch in images.branches.list(get_all=True)] == ["master"]
    assert [branch.name for branch in images.protectedbranches.list(get_all=True)] == ["master"]
    assert requests.get(f"{client.url}/-/sandbox/jobs", timeout=10).json() == []


def succeed(job: dict[str, Any]) -> tuple[str, str]:
    return "success", "done"


def test_every_runner_builds_once(client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]) -> None:
    seen: list[dict[str, Any]] = []

    def look(job: dict[str, Any]) -> tuple[str, str]:
        seen.append(job)
        return "success", ""

    play(look)
    said: list[str] = []
    before = client.projects.get("platform/images").branches.get("master").commit["id"]
    found = check(client, deployed, said=said)
    assert {each.result for each in found.values()} == {Result.OK}
    assert found[PROTECTED, ARM64].found == "platform/images/base was built in 2 s"
    assert {(job["name"], job["protected"]) for job in seen} == {
        (f"build-base:{architecture}", protected) for architecture in ("arm64", "amd64") for protected in (True, False)
    }
    assert all(job["ref"].startswith("buildyard-doctor-") for job in seen)
    assert "unprotected build-base:arm64: success in 2 s" in said
    assert_nothing_is_left(client)
    assert client.projects.get("platform/images").branches.get("master").commit["id"] == before


def test_a_failed_build_ends_with_its_last_lines_and_its_address(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    def fail_arm64(job: dict[str, Any]) -> tuple[str, str]:
        return ("failed", "\x1b[31mno space left\x1b[0m\r\n") if "arm64" in job["name"] else succeed(job)

    play(fail_arm64)
    found = check(client, deployed)
    assert found[UNPROTECTED, AMD64].result is Result.OK
    [finding] = found[UNPROTECTED, ARM64].findings
    assert found[UNPROTECTED, ARM64].result is Result.FAILED
    assert finding.message.splitlines()[-1] == "| no space left"
    assert f"{client.url}/platform/images/-/jobs/" in finding.message
    assert "docs/operations.md" in finding.hint
    assert_nothing_is_left(client)


def test_a_job_that_nobody_takes_is_not_waited_for_longer_than_the_timeout(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    play(lambda job: succeed(job) if "amd64" in job["name"] else None)
    started = time.monotonic()
    found = check(client, deployed, minutes=0.05)
    assert time.monotonic() - started < 20
    [finding] = found[UNPROTECTED, ARM64].findings
    assert "no runner took the job within 0.05 minutes" in finding.message
    assert "kubectl -n buildyard-prod-unprotected get pods" in finding.hint
    assert found[PROTECTED, AMD64].result is Result.OK
    assert_nothing_is_left(client)


def test_a_build_that_does_not_end_is_cancelled(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    play(lambda job: ("running", ""))
    found = check(client, deployed, minutes=0.05)
    assert "did not end within" in found[PROTECTED, ARM64].findings[0].message
    assert_nothing_is_left(client)
    running = [
        job for number in deployed.runners.values() for job in client.runners.get(number).jobs.list(get_all=True)
    ]
    assert {job.status for job in running} == {"canceled"}


def test_a_runner_that_takes_no_jobs_gets_none(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    seen: list[str] = []

    def look(job: dict[str, Any]) -> tuple[str, str]:
        seen.append(f"{job['protected']} {job['name']}")
        return "success", ""

    play(look)
    found = check(client, deployed, unfit=((PROTECTED, ARM64), (UNPROTECTED, ARM64), (UNPROTECTED, AMD64)))
    assert set(seen) == {"True build-base:amd64"}, "a job would wait for a paused runner"
    assert [each.result for each in found.values()].count(Result.SKIPPED) == 3


def test_another_runner_with_the_same_tags_is_told(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    client.runners.delete(deployed.runners[UNPROTECTED, ARM64])
    other = runner(client, *Trust.ISOLATED.runner_tags(UNPROTECTED, ARM64))
    play(succeed)
    found = check(client, deployed)
    assert found[UNPROTECTED, ARM64].result is Result.NOTICE
    assert f"runner {other} took the job" in found[UNPROTECTED, ARM64].findings[0].message


def test_if_every_branch_is_protected_no_branch_tests_the_other_tier(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    images = client.projects.get("platform/images")
    images.protectedbranches.create({"name": "*"})
    play(succeed)
    found = check(client, deployed)
    assert found[PROTECTED, ARM64].result is Result.OK
    assert "protects every branch" in found[UNPROTECTED, ARM64].findings[0].message
    images.protectedbranches.delete("*")
    assert_nothing_is_left(client)


def test_a_project_that_takes_no_commit_is_named(client: gitlab.Gitlab, deployed: Deployed) -> None:
    found = check(client, deployed, of=stack("platform/gone"))
    assert {each.result for each in found.values()} == {Result.FAILED}
    assert "find the project in platform/gone: 404" in found[PROTECTED, ARM64].findings[0].message


def test_a_pipeline_of_another_project_is_not_replaced(client: gitlab.Gitlab, deployed: Deployed) -> None:
    images = client.projects.get("platform/images")
    images.ci_config_path = "ci.yml@platform/ci"
    images.save()
    found = check(client, deployed)
    assert "from ci.yml@platform/ci" in found[PROTECTED, ARM64].findings[0].message
    assert_nothing_is_left(client)


def test_a_pipeline_at_a_path_of_its_own_is_replaced_there(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None]
) -> None:
    images = client.projects.get("platform/images")
    images.ci_config_path = "ci/all.yml"
    images.save()
    own = {"file_path": "ci/all.yml", "branch": "master", "content": "a: {script: [deploy]}", "commit_message": "CI"}
    images.files.create(own)
    seen: list[str] = []

    def look(job: dict[str, Any]) -> tuple[str, str]:
        seen.append(job["name"])
        return "success", ""

    play(look)
    assert {each.result for each in check(client, deployed).values()} == {Result.OK}
    assert set(seen) == {"build-base:arm64", "build-base:amd64"}, "a job of the project's own would have run"


def test_what_cannot_be_removed_is_told(
    client: gitlab.Gitlab, deployed: Deployed, play: Callable[[Jobs], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise gitlab.GitlabDeleteError("403 Forbidden")

    monkeypatch.setattr(gitlab.v4.objects.ProjectBranchManager, "delete", refuse)
    play(succeed)
    said: list[str] = []
    found = check(client, deployed, said=said)
    assert {each.result for each in found.values()} == {Result.OK}
    assert [line for line in said if "Remove it by hand" in line and "buildyard-doctor-" in line]


def test_an_interruption_leaves_nothing(
    client: gitlab.Gitlab, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check(client, deployed)
    assert_nothing_is_left(client)
