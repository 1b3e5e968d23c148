"""The connections that a NetworkPolicy allows between a pod and an address: by Kubernetes' rules, and by EKS's agent.

The agent differs in exceptions: https://github.com/aws/aws-network-policy-agent/tree/main/pkg/fwruleprocessor

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]
"""A policy's specification."""


def connects_to(policy: Policy, address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether a pod that the policy selects may connect to an address."""
    return _allows(policy, "Egress", "to", address, port, protocol)


def connects_on_eks(policy: Policy, address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether EKS's agent lets a pod that the policy selects connect to an address.

    The narrowest network that the policy names decides. It has its own rules' ports, and those of every wider network
    that does not except it; a network that is only an exception has none.
    """
    rules: dict[str, list[Mapping[str, Any]]] = {}
    excepted: dict[str, set[str]] = {}
    for rule in policy.get("egress", ()):
        _require_known(rule, {"to", "ports"})
        for peer in rule.get("to") or [{"ipBlock": {"cidr": each}} for each in ("0.0.0.0/0", "::/0")]:
            if block := peer.get("ipBlock"):
                rules.setdefault(block["cidr"], []).append(rule)
                excepted.setdefault(block["cidr"], set()).update(block.get("except", ()))
    named = {*rules, *(each for networks in excepted.values() for each in networks)}
    [narrowest, *wider] = sorted(
        (each for each in named if _inside(address, each)), key=lambda each: ip_network(each).prefixlen, reverse=True
    )
    inherited = [each for each in wider if not any(_inside(narrowest, other) for other in excepted.get(each, ()))]
    return any(
        not rule.get("ports") or any(_includes(each, port, protocol) for each in rule["ports"])
        for network in ([narrowest, *inherited] if narrowest in rules else [])
        for rule in rules.get(network, ())
    )


def _inside(inner: str, outer: str) -> bool:
    a, b = ip_network(inner), ip_network(outer)
    return a.version == b.version and a.subnet_of(b)  # type: ignore[arg-type]


def is_reached_from(policy: Policy, address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether an address may connect to a pod that the policy selects."""
    return _allows(policy, "Ingress", "from", address, port, protocol)


def selects(policy: Policy, labels: Mapping[str, str]) -> bool:
    """Whether the policy holds for a pod with these labels."""
    selector = policy["podSelector"]
    _require_known(selector, {"matchLabels", "matchExpressions"})
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        _OPERATORS[each["operator"]](each, labels.get(each["key"])) for each in selector.get("matchExpressions", ())
    )


_OPERATORS = {
    "Exists": lambda each, value: value is not None,
    "DoesNotExist": lambda each, value: value is None,
    "In": lambda each, value: value in each["values"],
    "NotIn": lambda each, value: value not in each["values"],
}


def _allows(policy: Policy, direction: str, peers: str, address: str, port: int, protocol: str) -> bool:
    """One rule that matches is enough. Without rules, a direction of the policy's types is closed; another is open."""
    if direction not in policy["policyTypes"]:
        return True
    rules: Sequence[Mapping[str, Any]] = policy.get(direction.lower(), ())
    for rule in rules:
        _require_known(rule, {peers, "ports"})
    return any(
        (not rule.get(peers) or any(_contains(each, address) for each in rule[peers]))
        and (not rule.get("ports") or any(_includes(each, port, protocol) for each in rule["ports"]))
        for rule in rules
    )


def _contains(peer: Mapping[str, Any], address: str) -> bool:
    _require_known(peer, {"ipBlock", "namespaceSelector", "podSelector"})
    if "ipBlock" not in peer:
        return False  # pods by their labels, whose addresses nobody knows here
    block = peer["ipBlock"]
    return ip_address(address) in ip_network(block["cidr"]) and not any(
        ip_address(address) in ip_network(each) for each in block.get("except", ())
    )


def _includes(ports: Mapping[str, Any], port: int, protocol: str) -> bool:
    _require_known(ports, {"protocol", "port", "endPort"})
    if ports.get("protocol", "TCP") != protocol:
        return False
    first = ports.get("port")
    return first is None or first <= port <= ports.get("endPort", first)


def _require_known(part: Mapping[str, Any], keys: set[str]) -> None:
    if unknown := part.keys() - keys:
        raise ValueError(f"these tests cannot judge {', '.join(sorted(unknown))} of a NetworkPolicy")
