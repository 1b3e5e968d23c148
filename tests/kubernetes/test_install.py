"""The installation of the API server."""

import re
from pathlib import Path

import pytest

from sandbox.services.aws.seed import KUBERNETES_VERSION
from tests.kubernetes import install

GO_MOD = (install.SOURCES / "go.mod").read_text()


def test_all_modules_of_kubernetes_have_one_version() -> None:
    [minor, patch] = re.findall(r"k8s\.io/kubernetes v1\.(\d+)\.(\d+)", GO_MOD)[0]
    staged = re.findall(r"(\S+) => (\S+) v0\.(\d+)\.(\d+)$", GO_MOD, re.MULTILINE)
    assert len(staged) > 20
    assert [each for each in staged if each != (each[0], each[0], minor, patch)] == []


def test_the_api_server_has_the_version_of_the_sandboxs_cluster() -> None:
    assert f"k8s.io/kubernetes v{KUBERNETES_VERSION}." in GO_MOD, "the sandbox would deploy what this server refuses"


def test_what_is_missing_comes_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "DIRECTORY", tmp_path)
    assert str(install.missing()).endswith("Run: .venv/bin/python -m tests.kubernetes.install")
    (tmp_path / "installed").write_text(install.version())
    monkeypatch.setattr(install, "etcd", lambda: None)
    assert str(install.missing()).endswith("Run as root: apt-get install --yes --no-install-recommends etcd-server")
    monkeypatch.setattr(install, "etcd", lambda: "/usr/bin/etcd")
    assert install.missing() is None


def test_an_older_version_counts_as_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "DIRECTORY", tmp_path)
    (tmp_path / "installed").write_text("of another go.mod")
    assert "not in this version" in str(install.missing())
