"""The network policy of build pods, by the connections that it allows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from components.labels import BUILD_POD, PAUSE_POD
from components.network_policy import CLUSTER_DNS, build_network_policy, pause_network_policy
from stacks.cluster import Destination
from tests.components.connections import connects_on_eks, connects_to, is_reached_from, selects

VPC = ("10.0.0.0/16", "172.20.0.0/16", "2001:db8:1234::/56")


def policy(*allow: Destination, deny: Sequence[str] = VPC) -> dict[str, Any]:
    return build_network_policy(deny=deny, allow=allow)


def reaches(policy: Mapping[str, Any], address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether a build may connect, on which those who enforce policies must agree."""
    answers = {judge(policy, address, port, protocol) for judge in (connects_to, connects_on_eks)}
    assert len(answers) == 1, f"{address}:{port} depends on who enforces the policy"
    return answers.pop()


@pytest.mark.parametrize("deny", [VPC, ()], ids=["the VPC", "nothing"])
@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
def test_nobody_reaches_the_instance_metadata(address: str, deny: Sequence[str]) -> None:
    assert not reaches(policy(deny=deny), address, 80), "a build could become its node"


@pytest.mark.parametrize("address", ["10.0.3.4", "172.20.0.1", "2001:db8:1234::5"])
def test_pods_services_and_the_kubernetes_api_are_out_of_reach(address: str) -> None:
    assert not reaches(policy(), address, 443)


@pytest.mark.parametrize("address", ["151.101.1.1", "2a04:4e42::223"])
def test_the_internet_is_in_reach(address: str) -> None:
    assert reaches(policy(), address, 443)
    assert reaches(policy(), address, 22)


@pytest.mark.parametrize("address", ["172.20.0.10", "10.0.3.4", "169.254.20.10"])
def test_names_resolve_wherever_the_dns_server_is(address: str) -> None:
    assert reaches(policy(), address, 53, "UDP")
    assert reaches(policy(), address, 53, "TCP")


@pytest.mark.parametrize("address", ["169.254.170.23", "fd00:ec2::23"])
def test_the_pod_identity_agent_is_in_reach(address: str) -> None:
    closed = policy(deny=["0.0.0.0/0", "::/0"])
    assert reaches(closed, address, 80), "a build could not push"


def test_dns_servers_are_found_by_their_labels_where_addresses_of_pods_do_not_count() -> None:
    [dns] = [rule for rule in policy()["egress"] if {"protocol": "UDP", "port": 53} in rule.get("ports", ())]
    assert CLUSTER_DNS in dns["to"]
    assert {port["port"] for port in dns["ports"]} == {53}


def test_the_settings_open_parts_of_what_is_closed() -> None:
    opened = policy(Destination(cidr="10.0.3.0/24", ports=(443, 5050)))
    assert reaches(opened, "10.0.3.4", 5050)
    assert not reaches(opened, "10.0.3.4", 22)
    assert not reaches(opened, "10.0.4.4", 443)


def test_without_the_internet_only_what_is_allowed_is_in_reach() -> None:
    closed = policy(Destination(cidr="10.0.3.4"), deny=["0.0.0.0/0", "::/0"])
    assert not reaches(closed, "151.101.1.1", 443)
    assert reaches(closed, "10.0.3.4", 443)


@pytest.mark.parametrize("address", ["10.0.3.4", "151.101.1.1", "2001:db8:1234::5"])
def test_nobody_connects_to_a_build(address: str) -> None:
    opened = policy(Destination(cidr="10.0.3.0/24"))
    assert not is_reached_from(opened, address, 80), "another build could reach a build's services"


def test_a_pod_that_holds_a_place_has_no_network() -> None:
    """Whoever has a manager's token can start a shell in it."""
    idle = pause_network_policy()
    assert selects(idle, {PAUSE_POD: "true"})
    assert not selects(idle, {BUILD_POD: "runner-1"})
    assert not connects_to(idle, "151.101.1.1", 443)
    assert not connects_to(idle, "10.0.3.4", 53, "UDP")
    assert not is_reached_from(idle, "10.0.3.4", 80)


def test_only_the_pods_of_jobs_are_selected() -> None:
    assert selects(policy(), {BUILD_POD: "runner-1", "app": "anything"})
    assert not selects(policy(), {"app": "buildyard-prod-amd64"}), "managers must reach the Kubernetes API"
