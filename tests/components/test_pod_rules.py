"""The rules for the pods of a stack's namespace, as they are deployed."""

from typing import Any

import pytest

from components.labels import BUILDS
from tests.components.connections import connects_to
from tests.components.mocks import NAME, STACK, declare

POLICY = "admissionregistration.k8s.io:ValidatingAdmissionPolicy"
BINDING = "admissionregistration.k8s.io:ValidatingAdmissionPolicyBinding"
NETWORK_POLICY = "networking.k8s.io:NetworkPolicy"


def spec(kind: str, **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = declare(**keys).only(kind).plain()["spec"]
    return found


def test_the_rules_hold_in_the_runners_namespace() -> None:
    declared = declare(runners={"namespace": "image-builds"})
    for kind in ("core:LimitRange", "core:ResourceQuota", NETWORK_POLICY):
        assert declared.only(kind).inputs["metadata"]["namespace"] == "image-builds"
    selector = declared.only(POLICY).inputs["spec"]["matchConstraints"]["namespaceSelector"]
    assert selector == {"matchLabels": {"kubernetes.io/metadata.name": "image-builds"}}, (
        "other namespaces of the cluster would admit nothing"
    )


def test_two_stacks_of_one_cluster_have_policies_of_their_own() -> None:
    names = {declare(runners={"namespace": name}).only(POLICY).inputs["metadata"]["name"] for name in ("one", "two")}
    assert names == {"one", "two"}


def test_the_policy_is_in_effect() -> None:
    declared = declare()
    binding = declared.only(BINDING).inputs["spec"]
    assert binding["policyName"] == declared.only(POLICY).inputs["metadata"]["name"]
    assert binding["validationActions"] == ["Deny"]


def test_the_policy_knows_the_stacks_managers_and_nodes() -> None:
    text = str(spec(POLICY))
    assert f'["{NAME}-arm64", "{NAME}-amd64"]' in text
    assert f"must have {BUILDS}: {STACK}" in text


def test_user_namespaces_are_required_only_by_setting() -> None:
    assert "hostUsers" not in str(spec(POLICY))
    assert "hostUsers" in str(spec(POLICY, runners={"user-namespaces": True}))


def test_the_namespace_comes_before_its_rules() -> None:
    declared = declare()
    namespace = declared.only("core:Namespace").id
    [binding] = declared.of("v1:RoleBinding").values()
    assert namespace in binding.depends_on, "a first deployment would fail"
    for kind in ("core:LimitRange", "core:ResourceQuota", "core:ServiceAccount", NETWORK_POLICY):
        assert binding.id in declared.only(kind).depends_on, "after an interruption, previews may not read it, and fail"


def test_a_manager_before_an_update_meets_no_new_rule() -> None:
    declared = declare()
    managers = {each.id for each in declared.of("helm.sh:Release").values()}
    assert len(managers) == 2
    assert managers <= declared.only(POLICY).depends_on, "its pods would be refused"
    assert declared.only(POLICY).id in declared.only(BINDING).depends_on, "a binding without a policy is refused"


def test_the_network_of_the_cluster_is_closed_except_for_the_endpoints_of_aws() -> None:
    [internet, _, _, *allowed] = spec(NETWORK_POLICY)["egress"]
    closed = {each for peer in internet["to"] for each in peer["ipBlock"]["except"]}
    assert closed >= {"10.0.0.0/16", "100.64.0.0/16", "172.20.0.0/16", "2001:db8:1234::/56"}
    opened = [(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) for rule in allowed]
    assert opened == [("10.0.1.5/32", 443), ("10.0.2.5/32", 443), ("2001:db8:1234::5/128", 443)], (
        "a cluster with an endpoint for ECR could not push"
    )


@pytest.mark.parametrize(
    ("address", "port", "protocol", "reached", "what"),
    [
        ("169.254.169.254", 80, "TCP", False, "the instance metadata, which has the node's role"),
        ("fd00:ec2::254", 80, "TCP", False, "the instance metadata, which has the node's role"),
        ("172.20.0.1", 443, "TCP", False, "the Kubernetes API, by its service"),
        ("10.0.3.9", 443, "TCP", False, "the Kubernetes API, by its private endpoint"),
        ("100.64.3.4", 8080, "TCP", False, "another pod"),
        ("2001:db8:1234::9", 8080, "TCP", False, "another pod"),
        ("10.0.3.9", 10250, "TCP", False, "a kubelet"),
        ("172.20.0.10", 53, "UDP", True, "DNS"),
        ("172.20.0.10", 53, "TCP", True, "DNS"),
        ("172.20.0.10", 9153, "TCP", False, "another port of the DNS servers"),
        ("169.254.170.23", 80, "TCP", True, "the Pod Identity agent"),
        ("fd00:ec2::23", 80, "TCP", True, "the Pod Identity agent"),
        ("10.0.1.5", 443, "TCP", True, "ECR, by an endpoint in the VPC"),
        ("10.0.1.5", 22, "TCP", False, "another port of the endpoint's address"),
        ("203.0.113.5", 443, "TCP", True, "GitLab and ECR, by the internet"),
        ("203.0.113.5", 22, "TCP", True, "Git by SSH"),
        ("2a04:4e42::223", 443, "TCP", True, "the internet"),
        ("10.0.12.7", 443, "TCP", False, "GitLab in the VPC, if the settings do not name it"),
    ],
)
def test_builds_reach(address: str, port: int, protocol: str, reached: bool, what: str) -> None:
    assert connects_to(spec(NETWORK_POLICY), address, port, protocol) is reached, what


def test_builds_reach_what_the_settings_name() -> None:
    named = spec(NETWORK_POLICY, network={"allow": [{"cidr": "10.0.12.7/32", "ports": [443]}]})
    assert connects_to(named, "10.0.12.7", 443)
    assert not connects_to(named, "10.0.12.7", 22)
    assert not connects_to(named, "10.0.12.8", 443)


def test_the_settings_replace_what_is_closed_and_add_what_is_open() -> None:
    network = {"deny": ["10.0.0.0/8"], "allow": [{"cidr": "10.1.2.3/32", "ports": [8443]}]}
    [internet, _, _, *allowed] = spec(NETWORK_POLICY, network=network)["egress"]
    assert internet["to"][0]["ipBlock"]["except"] == ["10.0.0.0/8", "169.254.169.254/32"]
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in allowed] == ["10.1.2.3/32"]


def test_the_quota_counts_the_stacks_runners() -> None:
    both = spec("core:ResourceQuota", runners={"concurrent": 5})["hard"]["pods"]
    assert int(both) == 4 * 2 * (5 + 1)
