"""The client of the cluster's API, over TLS and a proxy: the sandbox's, in front of servers that a test chooses."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from urllib3.util import ssl_
from werkzeug import Response

from components.preflight import kubernetes_api
from components.preflight.kubernetes_api import KubernetesApi, KubernetesRefusalError, UnreachableError
from sandbox.services.aws.eks.certificate import Authority
from sandbox.services.kubernetes import create_app
from tests.sandbox.eks_address import HOST, behind_proxy

REPORT = "cluster-autoscaler-status"


@pytest.fixture
def authority() -> Authority:
    return Authority.make()


@pytest.fixture
def ask(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Ask an application for the autoscaler's report."""

    def list_reports(app: Callable[..., Any], host: str = HOST, endpoint: str = f"https://{HOST}") -> Any:
        api = KubernetesApi(endpoint=endpoint, certificate_authority=authority.data, token="a-token")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with behind_proxy(app, authority, host) as url:
            for name in ("HTTPS_PROXY", "https_proxy"):
                monkeypatch.setenv(name, url)
            return api.list("/api/v1/configmaps", name=REPORT)

    return list_reports


def test_it_asks_a_cluster_behind_a_proxy_with_its_token(ask: Callable[..., Any], tmp_path: Path) -> None:
    kubernetes, tokens = create_app(tmp_path, "http://127.0.0.1", lambda: ["eks-a-1"]), []

    def app(environ: dict[str, Any], start: Any) -> Any:
        tokens.append(environ["HTTP_AUTHORIZATION"])
        return kubernetes(environ, start)

    [report] = ask(app)
    assert report["metadata"]["name"] == REPORT
    assert "eks-a-1" in report["data"]["status"]
    assert tokens == ["Bearer a-token"]


def test_an_authority_without_key_identifiers_is_one(ask: Callable[..., Any], tmp_path: Path) -> None:
    """As with Python 3.13, whose usual context refuses it."""
    usual = ssl_.create_urllib3_context

    def strict(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        context = usual(*args, **kwargs)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    with (
        patch("urllib3.util.ssl_.create_urllib3_context", strict),
        patch("urllib3.connection.create_urllib3_context", strict),
    ):
        assert ask(create_app(tmp_path, "http://127.0.0.1"))


def test_a_certificate_for_another_host_is_refused(ask: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="its certificate is not from the cluster's own authority"):
        ask(create_app(tmp_path, "http://127.0.0.1"), host="another.example.com")


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>Please log in to our network</html>", 200, content_type="text/html"),
        Response("", 204),
        Response("[]", 200, content_type="application/json"),
        Response("", 302, headers={"Location": "https://elsewhere.example.com"}),
    ],
)
def test_what_is_not_kubernetes_is_not_taken_for_it(ask: Callable[..., Any], answer: Response) -> None:
    with pytest.raises(UnreachableError, match="what answers is not Kubernetes"):
        ask(answer)


def test_a_refusal_has_the_servers_words(ask: Callable[..., Any]) -> None:
    said = '{"kind": "Status", "message": "configmaps is forbidden: User cannot list"}'
    with pytest.raises(KubernetesRefusalError, match="configmaps is forbidden: User cannot list") as refusal:
        ask(Response(said, 403, content_type="application/json"))
    assert refusal.value.code == 403


@pytest.mark.parametrize("status", [429, 500])
def test_an_overload_that_is_told_in_plain_text_is_a_refusal(ask: Callable[..., Any], status: int) -> None:
    with pytest.raises(KubernetesRefusalError) as refusal:
        ask(Response("Too many requests, please try again later.", status, content_type="text/plain"))
    assert refusal.value.code == status


def test_a_server_that_says_nothing_is_no_server(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_api, "_SECONDS", 0.2)
    with pytest.raises(UnreachableError, match=r"no answer within 0\.2 seconds"):
        ask(lambda environ, start: time.sleep(2))


def test_a_proxy_that_leads_elsewhere_is_named(ask: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="the proxy that HTTPS_PROXY names does not lead there"):
        ask(create_app(tmp_path, "http://127.0.0.1"), endpoint="https://another.example.com")


def test_a_netrc_file_does_not_take_the_tokens_place(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []

    def app(environ: dict[str, Any], start: Any) -> Any:
        seen.append(environ["HTTP_AUTHORIZATION"])
        return Response('{"items": []}', content_type="application/json")(environ, start)

    assert ask(app) == []
    assert seen == ["Bearer a-token"]


def test_the_token_is_not_shown() -> None:
    assert "a-token" not in repr(KubernetesApi(endpoint="", certificate_authority="", token="a-token"))
