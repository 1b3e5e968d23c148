"""Checks of AWS before the first resource: the cluster, the nodes of managers, and the service quotas."""

from collections.abc import Mapping
from typing import Any

import pytest

from components.preflight.quotas import is_standard
from tests.components.mocks import declare
from tests.components.preflight import check, inspected, notices, problems
from tests.stacks.stack_settings import project

CLUSTER = "buildyard:cluster.name"
QUOTAS = "Service quotas"


def test_a_kubernetes_without_nodes() -> None:
    said = problems(inspected(cluster={"name": "older"}))
    assert "Kubernetes 1.31, for which EKS has no nodes any more" in said[CLUSTER]
    assert not problems(inspected(cluster={"name": "old"}))


def test_auto_mode_is_refused() -> None:
    said = problems(inspected(answers={"getCluster": {"computeConfigs": [{"enabled": True, "nodePools": []}]}}))
    assert "ci uses EKS Auto Mode" in said[CLUSTER]
    off = {"getCluster": {"computeConfigs": [{"enabled": False, "nodePools": []}]}}
    assert not problems(inspected(answers=off))


def test_a_cluster_without_the_pod_identity_agent() -> None:
    missing = {"getAddon": "reading EKS Add-On (ci:eks-pod-identity-agent): couldn't find resource"}
    found = inspected(refusals=missing)
    assert "no add-on eks-pod-identity-agent, so build pods would get no role" in problems(found)["buildyard:identity"]
    assert not problems(inspected(refusals=missing, identity="irsa")), "IRSA does not need it"


def test_an_agent_that_cannot_be_seen_is_told() -> None:
    found = inspected(refusals={"getAddon": "AccessDeniedException: not authorized to perform: eks:DescribeAddon"})
    assert problems(found) == {}
    assert any("Could not check whether ci has the add-on" in each for each in notices(found))


NETWORKS = "Networks that builds may not reach"


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ('{"enableNetworkPolicy": "true"}', False),
        ("enableNetworkPolicy: true\nenv: {AWS_VPC_K8S_CNI_LOGLEVEL: DEBUG}", False),
        ('{"enableNetworkPolicy": "false"}', True),
        (None, True),
        ("", True),
        ("{", True),
    ],
)
def test_a_cluster_that_does_not_enforce_network_policies_is_told(configuration: str | None, told: bool) -> None:
    found = inspected(answers={"getAddon": {"configurationValues": configuration}})
    assert not problems(found), "builds run all the same"
    assert any("does not enforce network policies" in each for each in notices(found)) == told


@pytest.mark.parametrize(
    ("version", "opens"), [("v1.20.0-eksbuild.1", True), ("v1.20.1-eksbuild.3", False), ("v1.9.3-eksbuild.1", True)]
)
def test_a_cni_that_opens_what_a_policy_closes_is_refused(version: str, opens: bool) -> None:
    found = inspected(answers={"getAddon": {"addonVersion": version}})
    assert ("with which builds can reach these networks" in problems(found).get(CLUSTER, "")) == opens
    off = {"addonVersion": version, "configurationValues": None}
    assert not problems(inspected(answers={"getAddon": off})), "another program enforces, or none"


def test_another_cni_is_left_to_people() -> None:
    found = inspected(refusals={"getAddon": "reading EKS Add-On: couldn't find resource"}, identity="irsa")
    assert any("no add-on vpc-cni" in str(each) for each in check(found, NETWORKS).manual)
    assert not notices(found)


def test_an_ipv6_clusters_way_out_is_left_to_people() -> None:
    network = {"serviceIpv4Cidr": "", "serviceIpv6Cidr": "fd00::/108", "ipFamily": "ipv6"}
    found = inspected(answers={"getCluster": {"kubernetesNetworkConfigs": [network]}})
    assert any("ENABLE_V4_EGRESS" in str(each) for each in check(found, NETWORKS).manual)
    assert not any("ENABLE_V4_EGRESS" in str(each) for each in check(inspected(), NETWORKS).manual)
    done = {"configurationValues": '{"enableNetworkPolicy": "true", "env": {"ENABLE_V4_EGRESS": "false"}}'}
    found = inspected(answers={"getCluster": {"kubernetesNetworkConfigs": [network]}, "getAddon": done})
    assert not any("ENABLE_V4_EGRESS" in str(each) for each in check(found, NETWORKS).manual)


def test_a_vpc_of_another_account_hides_its_endpoints() -> None:
    shared: dict[str, Any] = {"getVpc": {"ownerId": "999999999999"}}
    none: dict[str, Any] = {"getNetworkInterfaces": {"ids": []}}
    assert any("999999999999 owns the VPC" in each for each in notices(inspected(answers={**shared, **none})))
    assert not notices(inspected(answers=none))
    assert not notices(inspected(answers=shared)), "its endpoints are known"


TAINTED = {"taints": [{"key": "gpu", "value": "true", "effect": "NO_SCHEDULE"}]}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, False),
        (TAINTED, True),
        ({"taints": [{"key": "gpu", "value": "true", "effect": "NO_EXECUTE"}]}, True),
        ({"taints": [{"key": "gpu", "value": "true", "effect": "PREFER_NO_SCHEDULE"}]}, False),
        ({"scalingConfigs": [{"minSize": 0, "maxSize": 0, "desiredSize": 0}]}, True),
    ],
)
def test_nodes_for_managers(answer: dict[str, Any], told: bool) -> None:
    found = inspected(answers={"getNodeGroup": answer})
    assert problems(found) == {}, "Karpenter or Fargate may have nodes for them"
    assert any("takes pods without tolerations" in each for each in notices(found)) is told
    assert told or check(found, "Nodes for managers").found == "node group system"


@pytest.mark.parametrize(("function", "right"), [("getNodeGroups", "ListNodegroups"), ("getNodeGroup", "DescribeNode")])
def test_node_groups_that_cannot_be_seen_are_told(function: str, right: str) -> None:
    found = inspected(refusals={function: "AccessDeniedException"})
    [notice] = notices(found)
    assert "AccessDeniedException" in notice
    assert right in notice, "people do not know which right to give"


def test_a_node_group_of_somebody_else_need_not_be_readable() -> None:
    found = inspected(refusals={"getNodeGroup": "AccessDeniedException"})
    assert check(found, "Nodes that run").found == "0 in 0 node groups of the stack"
    assert problems(found) == {}


def quota(value: float, **keys: Any) -> Any:
    return inspected(answers={"getServiceQuota": {"value": value}}, **keys)


NODES = {
    "arm64": {"instance-types": ["m7g.4xlarge", "m7g.8xlarge"], "max-size": 10},
    "amd64": {"instance-types": ["m7i.4xlarge"], "max-size": 5},
}
FEW_ROLES: dict[str, Any] = {"getRoles": {"names": []}}


def vcpus(value: float, **keys: Any) -> tuple[dict[str, str], list[str]]:
    """Problems and notices about vCPUs."""
    found = quota(value, **keys)
    said = {key: message for key, message in problems(found).items() if "vCPUs" in message}
    return said, [each for each in notices(found) if "vCPUs" in each]


def test_enough_vcpus_are_for_the_largest_types_of_all_groups() -> None:
    assert vcpus(10 * 32 + 5 * 16, nodes=NODES) == ({}, [])
    said, told = vcpus(10 * 32 + 5 * 16 - 1, nodes=NODES)
    assert said == {}, "builds wait for nodes, and more vCPUs can be had"
    assert "15 spot nodes, the sum of all max-size, have 400 vCPUs" in told[0]
    assert "is 399" in told[0]
    assert "L-34B43A08" in told[0]
    assert vcpus(2 * 400, nodes=NODES, trust="isolated") == ({}, [])
    assert vcpus(2 * 400 - 1, nodes=NODES, trust="isolated")[1], "each tier has nodes of its own"


def test_a_quota_of_less_than_a_node_is_a_problem() -> None:
    said, told = vcpus(15, nodes=NODES)
    assert said.keys() == {"buildyard:nodes.arm64.instance-types"}
    assert "no node could start" in said["buildyard:nodes.arm64.instance-types"]
    assert told == [], "the same thing twice"


def test_each_purchase_option_has_its_quota_and_other_families_have_others() -> None:
    nodes = {"arm64": {"instance-types": ["m7g.4xlarge"], "capacity": "on-demand"}}
    hints = [problem.hint for problem in check(quota(1, nodes=nodes), QUOTAS).problems]
    assert any("L-1216C47A" in hint for hint in hints)
    found = check(quota(10_000, nodes=nodes), QUOTAS).found
    assert "On-Demand" in found
    assert "Spot" not in found
    assert is_standard("im4gn.large")
    assert not is_standard("g5g.xlarge")
    assert not is_standard("mac2.metal")


def test_node_groups_of_the_cluster_are_counted() -> None:
    names = [f"team-{number}" for number in range(27)]
    answers = {"getNodeGroups": {"names": names}, "getServiceQuota": {"value": 30}, **FEW_ROLES}
    nodes = {"arm64": {"instance-types": ["m7g.large"], "max-size": 1}}
    assert any("Managed node groups per cluster" in each for each in notices(inspected(answers=answers))) is True
    assert not any("node groups" in each for each in notices(inspected(answers=answers, nodes=nodes)))
    answers["getNodeGroups"] = {"names": [*names, "team-27", "team-28"]}
    assert "EKS would refuse node groups" in problems(inspected(answers=answers))["buildyard:nodes"]


def test_the_stacks_own_node_groups_are_not_counted_twice() -> None:
    own = ["buildyard-test-arm64-0a1b2c3", "buildyard-test-amd64-0a1b2c3"]
    others = [f"team-{number}" for number in range(26)]
    answers = {"getNodeGroups": {"names": [*own, *others]}, "getServiceQuota": {"value": 30}, **FEW_ROLES}
    found = inspected(answers=answers)
    assert "Managed node groups per cluster: 30 of 30" in check(found, QUOTAS).found


def test_repositories_and_roles_of_the_account_are_counted() -> None:
    images = [{"name": f"i{number}"} for number in range(10)]
    answers = {
        "getRepositories": {"names": [f"other/{number}" for number in range(90)] + ["platform/images/i0"]},
        "getRoles": {"names": [f"role-{number}" for number in range(98)]},
    }
    exact = {**answers, "getServiceQuota": {"value": 101}}
    assert (
        "Registered repositories: 101 of 101"
        in check(inspected(answers=exact, projects=[project(*images)]), QUOTAS).found
    )
    said = problems(inspected(answers={**answers, "getServiceQuota": {"value": 100}}, projects=[project(*images)]))
    assert "ECR would refuse repositories" in said["buildyard:projects"]
    assert "101 repositories, 11 of them the stack's" in said["buildyard:projects"]
    assert "IAM would refuse roles" in said["buildyard:nodes"]


def test_the_stacks_own_roles_are_not_counted_twice() -> None:
    own = [each.inputs["name"] for each in declare().of("iam:Role").values()]
    found = inspected(answers={"getRoles": {"names": own}})
    assert f"Roles per account: {len(own)} of" in check(found, QUOTAS).found


def test_iams_quota_is_asked_in_the_region_that_has_it() -> None:
    asked: dict[str, set[Any]] = {}

    def answer(args: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.setdefault(args["serviceCode"], set()).add(args.get("region"))
        return {"value": 10_000}

    assert inspected(answers={"getServiceQuota": answer}).account
    assert asked.pop("iam") == {"us-east-1"}, "other regions have no quota of roles"
    assert set().union(*asked.values()) == {None}, "other services have quotas of the stack's region"


@pytest.mark.parametrize("function", ["getServiceQuota", "getRepositories", "getRoles"])
def test_quotas_that_cannot_be_read_are_one_notice(function: str) -> None:
    found = inspected(refusals={function: "AccessDeniedException"})
    assert not check(found, "Service quotas").problems
    [notice] = notices(found)
    assert "service quotas: AccessDeniedException" in notice
    assert "servicequotas:GetServiceQuota" in notice


def test_credentials_that_do_not_work_are_one_of_the_problems() -> None:
    found = inspected(refusals={"getCallerIdentity": "ExpiredToken", "getGroup": "404 Group Not Found"})
    assert "ExpiredToken" in problems(found)["AWS credentials"]
    assert "buildyard:runners.group" in problems(found), "people would fix one problem per run"
    assert found.account is None
