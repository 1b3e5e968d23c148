"""GitLab's answers about runners and their managers, as checks."""

from datetime import datetime, timezone
from typing import Any

import gitlab
import pytest

from delivery.doctor.outputs import Deployed
from delivery.doctor.report import Check, Result
from delivery.doctor.runners import Runners
from stacks.architecture import Architecture
from stacks.trust import Tier
from stacks.versions import RUNNER_VERSION
from tests.sandbox.services_gitlab.conftest import client, first_start, url
from tests.sandbox.services_gitlab.test_pipelines import runner
from tests.stacks.stack_settings import settings

__all__ = ["client", "first_start", "url"]  # fixtures

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
ONLINE = {"status": "online", "version": RUNNER_VERSION, "contacted_at": "2026-03-01T11:58:00.000Z"}
PLACE = (Tier.UNPROTECTED, Architecture.ARM64)


def deployed(number: int) -> Deployed:
    return Deployed(registry_host="", builder_image="", runners={PLACE: number}, node_groups={})


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The managers that GitLab lists for every runner."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(gitlab.Gitlab, "http_list", lambda *_, **__: found)
    return found


def check(client: gitlab.Gitlab, number: int) -> Check:
    runners = Runners(stack="prod", settings=settings(trust="isolated"), client=client, now=lambda: NOW)
    [(place, found)] = runners.check(deployed(number))
    assert place == PLACE
    assert found.title == "Runner unprotected arm64"
    return found


def advice(found: Check) -> str:
    return " ".join(each.hint for each in found.findings)


def test_a_runner_with_a_manager_that_is_online(client: gitlab.Gitlab, managers: list[Any]) -> None:
    managers += [{"status": "offline", "version": "18.0.0", "contacted_at": "2026-02-01T00:00:00Z"}, ONLINE]
    found = check(client, runner(client, "arm64"))
    assert found.result is Result.OK
    assert found.found == f"runner 1 is online, version {RUNNER_VERSION}, last contact 2 minutes ago"


def test_a_paused_runner_is_resumed_by_an_update(client: gitlab.Gitlab, managers: list[Any]) -> None:
    managers.append(ONLINE)
    number = runner(client, "arm64")
    client.runners.update(str(number), {"paused": True})
    found = check(client, number)
    assert found.result is Result.FAILED
    assert "runner 1 is paused" in found.findings[0].message
    assert "pulumi up -s prod" in advice(found)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ([], "has contacted GitLab so far"),
        ([{"status": "never_contacted", "contacted_at": None}], "has contacted GitLab so far"),
        ([{"status": "offline", "contacted_at": "2026-03-01T06:00:00Z"}], "the last contact was 6 hours ago"),
        (
            [
                {"status": "stale", "contacted_at": "2026-02-01T00:00:00Z"},
                {"status": "offline", "contacted_at": "2026-02-27T12:00:00Z"},
            ],
            "the last contact was 2 days ago",
        ),
        ([{"status": "offline", "contacted_at": "\x1b[31mnever"}], "the last contact was \x1b[31mnever"),
    ],
)
def test_without_a_manager_somebody_looks_at_its_pod(
    client: gitlab.Gitlab, managers: list[Any], known: list[Any], words: str
) -> None:
    managers += known
    found = check(client, runner(client, "arm64"))
    assert found.result is Result.FAILED
    assert words in found.findings[0].message
    assert "kubectl -n buildyard-prod-unprotected get pods" in advice(found)


def test_a_manager_of_another_version_is_worth_a_notice(client: gitlab.Gitlab, managers: list[Any]) -> None:
    managers += [ONLINE, {**ONLINE, "version": "18.11.0"}]
    found = check(client, runner(client, "arm64"))
    assert found.result is Result.NOTICE
    assert "18.11.0" in found.found


def test_a_runner_that_somebody_deleted_is_made_again(client: gitlab.Gitlab) -> None:
    found = check(client, 99)
    assert found.result is Result.FAILED
    assert "GitLab has no runner 99" in found.findings[0].message
    assert "pulumi up -s prod" in advice(found)


def test_a_token_that_is_refused_is_no_problem_of_one_runner(client: gitlab.Gitlab) -> None:
    stranger = gitlab.Gitlab(client.url, private_token="glpat-of-somebody-else")
    with pytest.raises(gitlab.GitlabAuthenticationError):
        check(stranger, 1)


def test_a_token_that_may_not_read_the_runner(client: gitlab.Gitlab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise gitlab.GitlabGetError("403 Forbidden", response_code=403)

    monkeypatch.setattr(client.runners, "get", refuse)
    assert "Owner of the runners' group" in advice(check(client, 1))
