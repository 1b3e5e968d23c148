"""The settings of a company's network."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from stacks import certificates, network
from tests.stacks.authorities import PRIVATE_KEY, authority
from tests.stacks.stack_settings import problems, settings

BUNDLE = "buildyard:network.ca-bundle"
PROXY = "buildyard:network.proxy"


def bundle(value: str) -> str | None:
    return settings(network={"ca-bundle": value}).network.ca_bundle


def test_a_bundle_is_text_without_its_comments() -> None:
    first, second = authority("One"), authority("Zwei")
    assert bundle(f"# Ünser Netz\n{first}\nsubject=Zwei\n{second}") == first + second


def test_a_bundle_is_a_file_beside_the_stacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(network, "_FOLDER", tmp_path)
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "company.pem").write_text(f"# Ünser Netz\n{authority()}")
    assert str(bundle("ca/company.pem")).startswith("-----BEGIN CERTIFICATE-----")
    (tmp_path / "outside.pem").symlink_to("/etc/hostname")
    for name in ("../company.pem", "/etc/ssl/cert.pem", "outside.pem", ".hidden.pem"):
        [problem] = problems(network={"ca-bundle": name}).values()
        assert "is neither PEM nor a file in stacks/" in problem.message
    [problem] = problems(network={"ca-bundle": "missing.pem"}).values()
    assert (problem.path, problem.message) == (BUNDLE, "stacks/missing.pem cannot be read: No such file or directory")
    (tmp_path / "large.pem").write_text("x" * (certificates.MAX_CHARACTERS + 1))
    [problem] = problems(network={"ca-bundle": "large.pem"}).values()
    assert "has more than 262,144 characters" in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRIVATE_KEY, "contains a private key"),
        (authority() + PRIVATE_KEY, "contains a private key"),
        (authority() + PRIVATE_KEY.partition("-----END")[0], "contains a private key"),
        (authority().replace("-----END", "----- END"), "has a certificate without its end"),
        (authority() + authority().replace("MII", "XXX", 1), "block 2 of 2 is not a certificate"),
        (authority().replace("BEGIN CERT", "BEGIN X509 CERT").replace("END CERT", "END X509 CERT"), "block 1 of 1"),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "block 1 of 1 is not a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "block 1 of 1 is not a certificate"),
    ],
)
def test_only_certificates_are_a_bundle(text: str, message: str) -> None:
    [problem] = problems(network={"ca-bundle": text}).values()
    assert problem.path == BUNDLE
    assert message in problem.message
    body = text.splitlines()[1]
    assert body not in str(problem), "a key would be in the log of the preview"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("line", ["-----BEGIN CERTIFICATE-----\n", "-----BEGIN A-----\n-----END B-----\n"])
def test_a_bundle_without_ends_is_refused_in_no_time(line: str) -> None:
    [problem] = problems(network={"ca-bundle": line * (certificates.MAX_CHARACTERS // len(line))}).values()
    assert problem.message == "has a certificate without its end"
    assert len(str(problem)) < 400


def test_authorities_that_expire_are_named() -> None:
    pem = authority("Old", days=-3) + authority("Soon", days=7) + authority("Young")
    found = dict(certificates.expiring(pem, datetime.now(timezone.utc)))
    assert list(found) == ["Old", "Soon"]
    assert found["Old"] < datetime.now(timezone.utc) < found["Soon"]


@pytest.mark.parametrize("url", ["http://proxy.example.com:3128", "https://10.0.1.2", "http://[fd00::1]:8080/"])
def test_proxies(url: str) -> None:
    proxy = settings(network={"proxy": {"https": url}}).network.proxy
    assert proxy
    assert proxy.urls == (url.rstrip("/"),)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:secret@proxy.example.com", "has a user or a password, which every build could read"),
        ("http://user@proxy.example.com", "has a user or a password"),
        ("proxy.example.com:3128", "is not the URL of a proxy"),
        ("socks5://proxy.example.com", "is not the URL of a proxy"),
        ("http://", "is not the URL of a proxy"),
        ("http://proxy.example.com:0", "is not the URL of a proxy"),
        ("http://proxy.example.com:99999", "is not the URL of a proxy"),
        ("http://proxy.example.com/path", "is not the URL of a proxy"),
        ("http://proxy.example.com?x", "is not the URL of a proxy"),
        ("http://a b", "is not the URL of a proxy"),
        ('http://a"b', "is not the URL of a proxy"),
        ("http://[fd00::", "is not the URL of a proxy"),
        ("http://proxy\n.example.com", "is not the URL of a proxy"),
    ],
)
def test_what_is_no_proxy(url: str, message: str) -> None:
    [problem] = problems(network={"proxy": {"http": url}}).values()
    assert problem.path == f"{PROXY}.http"
    assert message in problem.message
    assert "secret" not in str(problem)


@pytest.mark.parametrize("proxy", [{}, {"no-proxy": ["example.com"]}])
def test_a_proxy_needs_an_address(proxy: dict[str, Any]) -> None:
    [problem] = problems(network={"proxy": proxy}).values()
    assert (problem.path, problem.message) == (PROXY, "names no proxy")


def test_direct_destinations() -> None:
    direct = ["gitlab.example.com", ".example.com", "10.0.0.0/8", "10.1.2.3", "fd00::/8", "registry:5000"]
    read = settings(network={"proxy": {"http": "http://proxy:3128", "no-proxy": direct}}).network.proxy
    assert read
    assert list(read.no_proxy) == direct


@pytest.mark.parametrize("text", ["*.example.com", "a,b", "a b", "*", "http://a", "10.0.0.1/8", "1.2.3", "a\n"])
def test_what_is_no_direct_destination(text: str) -> None:
    [problem] = problems(network={"proxy": {"http": "http://proxy", "no-proxy": [text]}}).values()
    assert problem.path == f"{PROXY}.no-proxy[0]"
    if text.startswith("*."):
        assert problem.hint == "Write .example.com."


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("chart", "http://charts.example.com", "has the wrong format"),
        ("chart", "charts.example.com", "has the wrong format"),
        ("chart", "https://u:secret@charts.example.com", "has a user or a password"),
        ("chart", "oci://{{ .Values }}", "has the wrong format"),
        ("runner-image", "gitlab/gitlab-runner", "has the wrong format"),
        ("runner-image", "registry.example.com/runner:v1", "has a tag or a digest"),
        ("helper-image", "registry.example.com:5000/helper@sha256:abc", "has a tag or a digest"),
        ("helper-image", "https://registry.example.com/helper", "has the wrong format"),
        ("runner-image", 'registry.example.com/a"b', "has the wrong format"),
    ],
)
def test_what_is_no_mirror(key: str, value: str, message: str) -> None:
    [problem] = problems(network={"mirrors": {key: value}}).values()
    assert problem.path == f"buildyard:network.mirrors.{key}"
    assert message in problem.message


def test_mirrors() -> None:
    mirrors = settings(
        network={
            "mirrors": {
                "chart": "oci://registry.example.com:5000/charts/gitlab-runner",
                "runner-image": "registry.example.com:5000/gitlab-org/gitlab-runner",
                "helper-image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/gitlab/gitlab-runner-helper",
            }
        }
    ).network.mirrors
    assert mirrors.chart == "oci://registry.example.com:5000/charts/gitlab-runner"
    assert mirrors.runner_image == "registry.example.com:5000/gitlab-org/gitlab-runner"
