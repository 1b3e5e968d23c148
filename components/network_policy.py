"""The network policy of build pods, as a pure function.

The cluster must enforce it: https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html

EKS's own agent gives each connection the rules of the narrowest network that the policy names, exceptions among them.
So what is allowed in a closed network names that network: a rule for all networks does not reach into an exception.
Sources: https://github.com/aws/aws-network-policy-agent/tree/main/pkg/fwruleprocessor and
https://github.com/aws/amazon-network-policy-controller-k8s/issues/146
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from components.labels import BUILD_POD, PAUSE_POD
from stacks.cluster import Destination

METADATA = ("169.254.169.254/32", "fd00:ec2::254/128")
"""The instance metadata service, which gives out the node's role."""

POD_IDENTITY_AGENT = ("169.254.170.23/32", "fd00:ec2::23/128")
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"""

EVERYWHERE = ("0.0.0.0/0", "::/0")

CLUSTER_DNS: dict[str, Any] = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
"""The cluster's DNS servers, which Cilium does not find by their addresses.

Source: https://docs.cilium.io/en/stable/network/kubernetes/policy/
"""

_DNS_PORTS = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]


def build_network_policy(*, deny: Sequence[str], allow: Sequence[Destination]) -> dict[str, Any]:
    """The specification of a NetworkPolicy: no way in, and out to everywhere except the networks of `deny`."""
    internet = [block for network in EVERYWHERE for block in _without(network, (*METADATA, *deny))]
    return {
        # Of every job, whatever its runner. Managers are not selected: they need the Kubernetes API.
        "podSelector": {"matchExpressions": [{"key": BUILD_POD, "operator": "Exists"}]},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            *([{"to": internet}] if internet else []),
            # DNS servers are pods, services, the VPC's own, and some clusters have them on the nodes.
            {"to": [CLUSTER_DNS, *({"ipBlock": {"cidr": network}} for network in sorted(deny))], "ports": _DNS_PORTS},
            _allowed(POD_IDENTITY_AGENT, (80,)),
            *(_allowed((each.cidr,), each.ports) for each in allow),
        ],
    }


def pause_network_policy() -> dict[str, Any]:
    """The specification of a NetworkPolicy of the pods that hold a place for a job: they need no network."""
    return {"podSelector": {"matchLabels": {PAUSE_POD: "true"}}, "policyTypes": ["Ingress", "Egress"]}


def _without(network: str, excepted: Sequence[str]) -> list[dict[str, Any]]:
    """The addresses of a network without others: Kubernetes refuses an exception that is the network itself."""
    whole = ip_network(network)
    excepted = sorted({each for each in excepted if ip_network(each).version == whole.version})
    return [] if network in excepted else [{"ipBlock": {"cidr": network, "except": excepted}}]


def _allowed(cidrs: Sequence[str], ports: Sequence[int]) -> dict[str, Any]:
    return {
        "to": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs],
        "ports": [{"protocol": "TCP", "port": port} for port in ports],
    }
