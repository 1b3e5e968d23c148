"""The jobs of a runner, through the API."""

import gitlab
import pytest
import requests


@pytest.fixture
def runner(client: gitlab.Gitlab) -> int:
    group = client.groups.get("platform")
    made = client.http_post(
        "/user/runners", post_data={"runner_type": "group_type", "group_id": group.id, "tag_list": ["arm64"]}
    )
    assert isinstance(made, dict)
    return int(made["id"])


def running(client: gitlab.Gitlab, runner: int) -> list[int]:
    return [job.id for job in client.runners.get(runner).jobs.list(status="running", get_all=True)]


def test_a_runner_has_the_jobs_that_it_took_until_they_end(client: gitlab.Gitlab, url: str, runner: int) -> None:
    jobs = [requests.post(f"{url}/-/sandbox/runners/{runner}/jobs", timeout=10).json()["id"] for _ in range(25)]
    assert sorted(running(client, runner)) == jobs, "on all pages of the list"
    requests.put(f"{url}/-/sandbox/jobs/{jobs[0]}?status=failed", timeout=10).raise_for_status()
    assert sorted(running(client, runner)) == jobs[1:]
    assert [job.id for job in client.runners.get(runner).jobs.list(status="failed", get_all=True)] == jobs[:1]


def test_a_paused_runner_takes_none(client: gitlab.Gitlab, url: str, runner: int) -> None:
    client.runners.update(str(runner), {"paused": True})
    assert requests.post(f"{url}/-/sandbox/runners/{runner}/jobs", timeout=10).status_code == 409
    assert running(client, runner) == []


def test_an_unknown_status_is_refused(client: gitlab.Gitlab, runner: int) -> None:
    with pytest.raises(gitlab.GitlabListError, match="status does not have a valid value"):
        client.runners.get(runner).jobs.list(status="busy", get_all=True)
