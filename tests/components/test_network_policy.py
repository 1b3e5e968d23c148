"""The network policy of build pods, by the connections that it allows."""

from collections.abc import Sequence
from typing import Any

import pytest

from components.labels import BUILD_POD
from components.network_policy import build_network_policy
from stacks.cluster import Destination
from tests.components.connections import connects_to, is_reached_from, selects

VPC = ("10.0.0.0/16", "172.20.0.0/16", "2001:db8:1234::/56")


def policy(*allow: Destination, deny: Sequence[str] = VPC) -> dict[str, Any]:
    return build_network_policy(deny=deny, allow=allow)


@pytest.mark.parametrize("deny", [VPC, ()], ids=["the VPC", "nothing"])
@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
def test_nobody_reaches_the_instance_metadata(address: str, deny: Sequence[str]) -> None:
    assert not connects_to(policy(deny=deny), address, 80), "a build could become its node"


@pytest.mark.parametrize("address", ["10.0.3.4", "172.20.0.1", "2001:db8:1234::5"])
def test_pods_services_and_the_kubernetes_api_are_out_of_reach(address: str) -> None:
    assert not connects_to(policy(), address, 443)


@pytest.mark.parametrize("address", ["151.101.1.1", "2a04:4e42::223"])
def test_the_internet_is_in_reach(address: str) -> None:
    assert connects_to(policy(), address, 443)
    assert connects_to(policy(), address, 22)


@pytest.mark.parametrize("address", ["172.20.0.10", "10.0.3.4", "169.254.20.10"])
def test_names_resolve_wherever_the_dns_server_is(address: str) -> None:
    assert connects_to(policy(), address, 53, "UDP")
    assert connects_to(policy(), address, 53, "TCP")


@pytest.mark.parametrize("address", ["169.254.170.23", "fd00:ec2::23"])
def test_the_pod_identity_agent_is_in_reach(address: str) -> None:
    closed = policy(deny=["0.0.0.0/0", "::/0"])
    assert connects_to(closed, address, 80), "a build could not push"


def test_the_settings_open_parts_of_what_is_closed() -> None:
    opened = policy(Destination(cidr="10.0.3.0/24", ports=(443, 5050)))
    assert connects_to(opened, "10.0.3.4", 5050)
    assert not connects_to(opened, "10.0.3.4", 22)
    assert not connects_to(opened, "10.0.4.4", 443)


def test_without_the_internet_only_what_is_allowed_is_in_reach() -> None:
    closed = policy(Destination(cidr="10.0.3.4"), deny=["0.0.0.0/0", "::/0"])
    assert not connects_to(closed, "151.101.1.1", 443)
    assert connects_to(closed, "10.0.3.4", 443)


@pytest.mark.parametrize("address", ["10.0.3.4", "151.101.1.1", "2001:db8:1234::5"])
def test_nobody_connects_to_a_build(address: str) -> None:
    opened = policy(Destination(cidr="10.0.3.0/24"))
    assert not is_reached_from(opened, address, 80), "another build could reach a build's services"


def test_only_the_pods_of_jobs_are_selected() -> None:
    assert selects(policy(), {BUILD_POD: "runner-1", "app": "anything"})
    assert not selects(policy(), {"app": "buildyard-prod-amd64"}), "managers must reach the Kubernetes API"
