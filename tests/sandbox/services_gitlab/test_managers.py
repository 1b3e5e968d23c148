"""The managers that a cluster has for the runners of GitLab."""

import base64
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import gitlab
import pytest
import requests
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from sandbox.providers.kubernetes.runner_manifests import manifests
from sandbox.services import kubernetes
from sandbox.services.gitlab import access_token
from tests.sandbox.services_gitlab.conftest import serving

NAMESPACE = "/api/v1/namespaces/default"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster without Deployments."""
    server = make_server("127.0.0.1", 0, Response(), threaded=True)
    url = f"http://127.0.0.1:{server.port}"
    server.app = kubernetes.create_app(tmp_path, url)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield url
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(tmp_path: Path, cluster: str) -> Iterator[gitlab.Gitlab]:
    with serving(tmp_path, cluster) as url:
        yield gitlab.Gitlab(url, private_token=access_token(tmp_path))


def make_runner(client: gitlab.Gitlab) -> tuple[int, str]:
    facts = {"runner_type": "group_type", "group_id": 1, "tag_list": ["arm64"]}
    made: Any = client.http_post("/user/runners", post_data=facts)
    return made["id"], made["token"]


def deploy(cluster: str, token: str, gitlab_url: str, **values: Any) -> None:
    """A manager, as the chart deploys it."""
    secret = {"metadata": {"name": "token"}, "data": {"runner-token": base64.b64encode(token.encode()).decode()}}
    requests.post(f"{cluster}{NAMESPACE}/secrets", json=secret, timeout=10).raise_for_status()
    chart = {"gitlabUrl": gitlab_url, "runners": {"secret": "token"}, "image": {"tag": "alpine-v19.2.3"}, **values}
    *_, deployment = manifests("builds", "default", "0.86.0", chart)
    requests.post(
        f"{cluster}/apis/apps/v1/namespaces/default/deployments", json=deployment, timeout=10
    ).raise_for_status()


def statuses(client: gitlab.Gitlab, runner: int) -> list[tuple[str, str]]:
    managers: Any = client.http_list(f"/runners/{runner}/managers", get_all=True)
    return [(each["status"], each["version"]) for each in managers]


def test_a_manager_with_the_runners_token_is_online_until_it_goes(client: gitlab.Gitlab, cluster: str) -> None:
    (runner, token), (other, _) = make_runner(client), make_runner(client)
    assert client.runners.get(runner).status == "never_contacted"
    deploy(cluster, token, f"{client.url}/")
    assert statuses(client, runner) == [("online", "19.2.3")]
    assert statuses(client, other) == [], "a token is one runner's"
    shown = client.runners.get(runner)
    assert (shown.status, shown.online) == ("online", True)
    requests.delete(f"{cluster}/apis/apps/v1/namespaces/default/deployments/builds-gitlab-runner", timeout=10)
    assert statuses(client, runner) == []


def test_a_manager_of_another_gitlab_or_without_pods_does_not_count(client: gitlab.Gitlab, cluster: str) -> None:
    runner, token = make_runner(client)
    deploy(cluster, token, "https://gitlab.example.com/")
    assert statuses(client, runner) == []
    requests.delete(f"{cluster}{NAMESPACE}/secrets/token", timeout=10)
    requests.delete(f"{cluster}/apis/apps/v1/namespaces/default/deployments/builds-gitlab-runner", timeout=10)
    deploy(cluster, token, client.url, replicas=0)
    assert statuses(client, runner) == []


def test_a_runner_that_does_not_exist_has_no_list(client: gitlab.Gitlab) -> None:
    with pytest.raises(gitlab.GitlabHttpError, match="404"):
        client.http_list("/runners/99/managers", get_all=True)
