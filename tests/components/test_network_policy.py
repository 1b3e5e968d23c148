"""The network policy of build pods, by the connections that it allows."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from components.network_policy import build_network_policy
from stacks.settings import Destination

VPC = ("10.0.0.0/16", "172.20.0.0/16", "2001:db8:1234::/56")


def allows(policy: Mapping[str, Any], address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether a pod may connect, by the rules of Kubernetes: one rule that matches is enough."""
    return any(
        _to(rule.get("to"), address) and _through(rule.get("ports"), port, protocol) for rule in policy["egress"]
    )


def _to(peers: Sequence[Mapping[str, Any]] | None, address: str) -> bool:
    if peers is None:
        return True
    blocks = [each["ipBlock"] for each in peers]
    return any(
        ip_address(address) in ip_network(block["cidr"])
        and not any(ip_address(address) in ip_network(each) for each in block.get("except", ()))
        for block in blocks
    )


def _through(ports: Sequence[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return ports is None or {"port": port, "protocol": protocol} in ports


def policy(*allow: Destination, deny: Sequence[str] = VPC) -> dict[str, Any]:
    return build_network_policy(deny=deny, allow=allow)


@pytest.mark.parametrize("deny", [VPC, ()], ids=["the VPC", "nothing"])
@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
def test_nobody_reaches_the_instance_metadata(address: str, deny: Sequence[str]) -> None:
    assert not allows(policy(deny=deny), address, 80), "a build could become its node"


@pytest.mark.parametrize("address", ["10.0.3.4", "172.20.0.1", "2001:db8:1234::5"])
def test_pods_services_and_the_kubernetes_api_are_out_of_reach(address: str) -> None:
    assert not allows(policy(), address, 443)


@pytest.mark.parametrize("address", ["151.101.1.1", "2a04:4e42::223"])
def test_the_internet_is_in_reach(address: str) -> None:
    assert allows(policy(), address, 443)
    assert allows(policy(), address, 22)


@pytest.mark.parametrize("address", ["172.20.0.10", "10.0.3.4", "169.254.20.10"])
def test_names_resolve_wherever_the_dns_server_is(address: str) -> None:
    assert allows(policy(), address, 53, "UDP")
    assert allows(policy(), address, 53, "TCP")


@pytest.mark.parametrize("address", ["169.254.170.23", "fd00:ec2::23"])
def test_the_pod_identity_agent_is_in_reach(address: str) -> None:
    closed = policy(deny=["0.0.0.0/0", "::/0"])
    assert allows(closed, address, 80), "a build could not push"


def test_the_settings_open_parts_of_what_is_closed() -> None:
    opened = policy(Destination(cidr="10.0.3.0/24", ports=(443, 5050)))
    assert allows(opened, "10.0.3.4", 5050)
    assert not allows(opened, "10.0.3.4", 22)
    assert not allows(opened, "10.0.4.4", 443)


def test_without_the_internet_only_what_is_allowed_is_in_reach() -> None:
    closed = policy(Destination(cidr="10.0.3.4"), deny=["0.0.0.0/0", "::/0"])
    assert not allows(closed, "151.101.1.1", 443)
    assert allows(closed, "10.0.3.4", 443)


def test_nobody_connects_to_a_build() -> None:
    assert "Ingress" in policy()["policyTypes"]
    assert "ingress" not in policy(), "another build could reach a build's services"


def test_only_the_pods_of_jobs_are_selected() -> None:
    [expression] = policy()["podSelector"]["matchExpressions"]
    assert expression == {"key": "job.runner.gitlab.com/pod", "operator": "Exists"}, (
        "managers must reach the Kubernetes API"
    )
