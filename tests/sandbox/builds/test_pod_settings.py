"""The parts of build pods that come from a runner's `config.toml`."""

import os
from pathlib import Path

from sandbox.builds.pod_settings import PodSettings, read_pod_settings
from sandbox.builds.worker import Worker

CONFIG = """
[[runners]]
environment = ["HTTPS_PROXY=http://proxy:3128", "no_proxy=a=b", "CA=/etc/ca/ca.pem"]
[[runners.kubernetes.volumes.config_map]]
name = "ca-bundle"
mount_path = "/etc/ca"
"""
SELF = Worker(name="self", uid=os.geteuid(), gid=os.getegid())


def test_variables_and_files_come_from_the_runners_configuration(tmp_path: Path) -> None:
    pods = read_pod_settings(CONFIG, {"ca-bundle": {"ca.pem": "certificates"}}.__getitem__)
    assert pods.environment == {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "a=b", "CA": "/etc/ca/ca.pem"}
    assert pods.files == {"/etc/ca/ca.pem": "certificates"}
    placed = pods.place(tmp_path, SELF)
    assert Path(placed["CA"]).read_text() == "certificates"
    assert placed["HTTPS_PROXY"] == "http://proxy:3128"


def test_the_sandboxs_proxy_stands_for_the_companys() -> None:
    pods = read_pod_settings(CONFIG, {"ca-bundle": {}}.__getitem__)
    assert pods.without_proxies().environment == {"CA": "/etc/ca/ca.pem"}


def test_a_runner_without_such_keys_gives_nothing() -> None:
    assert (
        read_pod_settings("[[runners]]\n[runners.kubernetes]\n", dict[str, dict[str, str]]().__getitem__)
        == PodSettings()
    )
