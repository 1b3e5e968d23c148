"""Every object that a stack deploys, as the API server sees it."""

from typing import Any

import pytest

from stacks.config import read_file
from stacks.settings import Settings
from tests.components.mocks import declare
from tests.kubernetes.api_server import RefusalError
from tests.kubernetes.deployed import Deployed, manifests_of
from tests.stacks.authorities import authority
from tests.stacks.stack_settings import settings

pytestmark = pytest.mark.kubernetes

EVERYTHING: dict[str, Any] = {
    "identity": "irsa",
    "runners": {"user-namespaces": True, "concurrent": 1},
    "network": {
        "deny": ["10.0.0.0/8", "fd00::/8"],
        "allow": [{"cidr": "10.1.2.3/32", "ports": [443, 5050]}],
        "ca-bundle": authority(),
        "proxy": {"http": "http://10.1.2.3:3128", "https": "http://[fd00::1]:3128", "no-proxy": [".example.com"]},
        "mirrors": {"runner-image": "registry.example.com/gitlab-runner", "chart": "https://charts.example.com"},
    },
}
STACKS = {name: read_file(name) for name in ("sandbox", "dev", "prod")} | {"everything": settings(**EVERYTHING)}


@pytest.mark.parametrize("name", STACKS)
def test_every_object_passes_strict_validation(stack: Deployed, name: str) -> None:
    objects = [*manifests_of(declare(STACKS[name]))]
    kinds = {each["kind"] for each in objects}
    assert {"LimitRange", "ResourceQuota", "NetworkPolicy", "ValidatingAdmissionPolicy", "Deployment"} <= kinds
    for manifest in objects:
        # The namespaces of both tiers must be there for what is in them.
        stack.api.apply(manifest, dry_run=manifest["kind"] != "Namespace")


def test_a_network_policy_without_any_internet_passes(stack: Deployed) -> None:
    nothing = settings(network={"deny": ["0.0.0.0/0", "::/0"]})
    _apply_network_policy(stack, nothing)


def test_strict_validation_finds_a_wrong_field(stack: Deployed) -> None:
    [policy] = [each for each in manifests_of(stack.stack) if each["kind"] == "NetworkPolicy"]
    wrong = {**policy, "spec": {**policy["spec"], "egres": []}}
    with pytest.raises(RefusalError, match=r"field not declared in schema|unknown field"):
        stack.api.apply(wrong, dry_run=True)


def _apply_network_policy(stack: Deployed, changed: Settings) -> None:
    [policy] = [each for each in manifests_of(declare(changed)) if each["kind"] == "NetworkPolicy"]
    stack.api.apply(policy, dry_run=True)
