"""Networks in a stack's settings."""

import pytest

from tests.stacks.stack_settings import problems, settings


def test_an_address_is_a_network_of_one() -> None:
    network = settings(network={"allow": [{"cidr": "10.1.2.3"}, {"cidr": "fd00::1", "ports": [22]}]}).network
    assert [(each.cidr, each.ports) for each in network.allow] == [("10.1.2.3/32", (443,)), ("fd00::1/128", (22,))]


@pytest.mark.parametrize(
    ("cidr", "hint"),
    [
        ("10.0.12.7/24", "Did you mean 10.0.12.0/24?"),
        ("gitlab.example.com", "Write an address and its prefix length, such as 10.0.12.0/24."),
        ("10.0.0.0/33", "Write an address and its prefix length, such as 10.0.12.0/24."),
    ],
)
def test_what_is_no_network_is_refused(cidr: str, hint: str) -> None:
    problem = problems(network={"deny": [cidr]})["buildyard:network.deny[0]"]
    assert f"{cidr!r} is not a network" in problem.message
    assert problem.hint == hint


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_is_one_of_tcp(port: int) -> None:
    assert "buildyard:network.allow[0].ports[0]" in problems(network={"allow": [{"cidr": "10.0.0.1", "ports": [port]}]})
