"""The proxy that leads to the sandbox's cluster at its address of EKS."""

from pathlib import Path

import pytest
import requests

from sandbox.services.aws.eks.certificate import Authority
from sandbox.services.kubernetes import create_app
from tests.sandbox.eks_address import behind_proxy


def test_it_leads_nowhere_else(tmp_path: Path) -> None:
    with behind_proxy(create_app(tmp_path, "http://127.0.0.1"), Authority.make()) as url:
        with pytest.raises(requests.exceptions.ProxyError, match="403"):
            requests.get("https://example.com", proxies={"https": url}, timeout=10)
        assert requests.get(f"{url}/version", timeout=10).status_code == 403, (
            "it would be an open way past EKS's address"
        )
