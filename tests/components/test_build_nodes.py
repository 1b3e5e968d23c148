"""Build nodes: the right architecture, none until needed, and for builds only."""

import base64
import json
from email import message_from_bytes
from typing import Any

import pytest

from components.labels import BUILDS
from stacks.architecture import Architecture
from tests.components.mocks import NAME, STACK, declare

EACH = pytest.mark.parametrize("architecture", list(Architecture))


@EACH
def test_nodes_run_the_image_of_their_architecture(architecture: Architecture) -> None:
    group = declare().of("eks:NodeGroup")[f"{NAME}-{architecture}"].inputs
    assert group["amiType"] == architecture.ami_type
    assert group["instanceTypes"] == {"arm64": ["m7g.4xlarge"], "amd64": ["m7i.4xlarge"]}[architecture.value]


def test_node_groups_start_empty_and_the_autoscaler_sizes_them() -> None:
    group = declare(nodes={"arm64": {"instance-types": ["m7g.4xlarge"], "max-size": 3}}).only("eks:NodeGroup")
    assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 3, "desiredSize": 0}
    assert group.ignored == ("scalingConfig.desiredSize",), "a deployment would stop nodes that builds run on"


@pytest.mark.parametrize(("capacity", "capacity_type"), [("spot", "SPOT"), ("on-demand", "ON_DEMAND")])
def test_capacity_is_that_of_the_settings(capacity: str, capacity_type: str) -> None:
    declared = declare(nodes={"arm64": {"instance-types": ["m7g.4xlarge"], "capacity": capacity}})
    assert declared.only("eks:NodeGroup").inputs["capacityType"] == capacity_type


def test_only_builds_of_the_stack_run_on_its_nodes() -> None:
    for group in declare().of("eks:NodeGroup").values():
        assert group.inputs["taints"] == [{"key": BUILDS, "value": "true", "effect": "NO_SCHEDULE"}]
        assert group.inputs["labels"] == {BUILDS: STACK}, "builds of another stack would land on these nodes"


def kubelet(**settings: Any) -> Any:
    """The kubelet's configuration of a stack's nodes."""
    [template, _] = declare(**settings).of("ec2:LaunchTemplate").values()
    message = message_from_bytes(base64.b64decode(template.inputs["userData"]))
    parts: Any = message.get_payload()
    [part] = parts
    assert part.get_content_type() == "application/node.eks.aws", "EKS would take it for a script"
    config = json.loads(part.get_payload())
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig"), "nodes would never join"
    return config["spec"]["kubelet"]["config"]


def test_nodes_know_the_users_of_user_namespaces() -> None:
    ids = kubelet(runners={"user-namespaces": True})["userNamespaces"]["idsPerPod"]
    assert ids % 65536 == 0, "the kubelet would not start"
    assert ids > 165535, "rootless BuildKit would find its sub-uids missing"
    assert "userNamespaces" not in kubelet(), "Kubernetes 1.32 has no such key"


def test_a_process_without_memory_dies_alone() -> None:
    assert kubelet()["singleProcessOOMKill"] is True, "the job's script would die too, and the log would not say why"


def test_builds_cannot_get_the_credentials_of_their_node() -> None:
    for template in declare().of("ec2:LaunchTemplate").values():
        assert template.inputs["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }, "a RUN step could read the node's credentials"


def test_node_roles_may_join_the_cluster_and_pull() -> None:
    declared = declare()
    policies = {
        each.inputs["policyArn"].rpartition("/")[2]
        for each in declared.of("iam:RolePolicyAttachment").values()
        if each.name.startswith(f"{NAME}-arm64")
    }
    assert policies == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"}


def test_nodes_have_no_rights_for_a_cni_with_a_role_of_its_own() -> None:
    declared = declare(cluster={"name": "ci", "cni-role": True})
    policies = {
        each.inputs["policyArn"].rpartition("/")[2] for each in declared.of("iam:RolePolicyAttachment").values()
    }
    assert "AmazonEKSWorkerNodePolicy" in policies
    assert "AmazonEKS_CNI_Policy" not in policies, "a build that breaks out to its node can delete network interfaces"
    [statement] = declared.of("iam:Role")[f"{NAME}-arm64-node"].document("assumeRolePolicy")["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_nodes_start_after_their_role_has_its_policies() -> None:
    declared = declare()
    needed = {
        each.id for each in declared.of("iam:RolePolicyAttachment").values() if each.name.startswith(f"{NAME}-arm64")
    }
    assert needed <= declared.of("eks:NodeGroup")[f"{NAME}-arm64"].depends_on, "the nodes would never become ready"


def test_the_root_volume_has_the_size_of_the_settings_and_is_encrypted() -> None:
    declared = declare(nodes={"arm64": {"instance-types": ["m7g.4xlarge"], "disk": "300Gi"}})
    [mapping] = declared.only("ec2:LaunchTemplate").inputs["blockDeviceMappings"]
    disk: dict[str, Any] = mapping["ebs"]
    assert (disk["volumeType"], disk["volumeSize"], disk["encrypted"]) == ("gp3", 300, "true")
    assert disk["throughput"] <= disk["iops"] / 4, "EBS refuses a throughput that needs more IOPS"
    assert disk["iops"] <= 500 * disk["volumeSize"], "EBS refuses more IOPS than a volume of this size supports"


def test_the_autoscaler_knows_an_empty_group() -> None:
    declared = declare(nodes={"arm64": {"instance-types": ["m7g.4xlarge"], "disk": "300Gi"}})
    tags = [each.inputs for each in declared.of("autoscaling:Tag").values()]
    prefix = "k8s.io/cluster-autoscaler/node-template"
    assert {each["tag"]["key"]: each["tag"]["value"] for each in tags} == {
        f"{prefix}/label/{BUILDS}": STACK,
        f"{prefix}/label/eks.amazonaws.com/nodegroup": f"{NAME}-arm64-abc1234",
        f"{prefix}/taint/{BUILDS}": "true:NoSchedule",
        f"{prefix}/resources/ephemeral-storage": "300Gi",
    }, "no node would ever start for a waiting build"
    assert {each["autoscalingGroupName"] for each in tags} == {f"eks-{NAME}-arm64"}


def test_a_new_tag_reaches_new_nodes_without_new_groups() -> None:
    declared = declare(tags={"cost-center": "ci"})
    for group in declared.of("eks:NodeGroup").values():
        [tag] = [
            each for each in declared.of("autoscaling:Tag").values() if each.name == f"{group.name}-tag-cost-center"
        ]
        assert tag.inputs["tag"] == {"key": "cost-center", "value": "ci", "propagateAtLaunch": True}
        assert tag.inputs["autoscalingGroupName"] == f"eks-{group.name}"
        assert not tag.retained, "new nodes would keep a tag that left the settings"


def test_only_tags_change_a_launch_template_in_place() -> None:
    """A new version would replace the node groups; what else changes makes a template that has today's tags."""
    nodes = {"arm64": {"instance-types": ["m7g.4xlarge"], "security-groups": ["sg-0123456789abcdef0"]}}
    stack = declare(nodes=nodes, runners={"user-namespaces": True}, tags={"a": "b"})
    for template in stack.of("ec2:LaunchTemplate").values():
        assert template.ignored == ("tagSpecifications",)
        others = template.inputs.keys() - {"tags", "tagSpecifications"}
        assert set(template.replaced_by) == others, "its nodes would have the tags of long ago"


def test_instances_and_volumes_carry_the_stacks_tags() -> None:
    for template in declare(tags={"cost-center": "ci"}).of("ec2:LaunchTemplate").values():
        specified = {each["resourceType"]: each["tags"] for each in template.inputs["tagSpecifications"]}
        assert specified.keys() == {"instance", "volume", "network-interface"}
        assert all(tags["cost-center"] == "ci" and tags["buildyard:stack"] == STACK for tags in specified.values())


def test_new_nodes_are_in_a_new_group_so_that_no_build_is_evicted() -> None:
    group = declare().of("eks:NodeGroup")[f"{NAME}-arm64"]
    assert group.replaced_by == ("launchTemplate", "version"), (
        "EKS waits 15 minutes for a node to drain, then fails the update"
    )
    assert group.inputs["version"] == "1.34", "after an upgrade of the cluster, nodes would keep the old version"
    assert "nodeGroupName" not in group.inputs, "a group with the same name cannot exist before the old one is deleted"
    assert "name" not in declare().of("ec2:LaunchTemplate")[f"{NAME}-arm64"].inputs
    assert not group.inputs.get("forceUpdateVersion"), "EKS would ignore disruption budgets"


def test_the_autoscaler_knows_a_group_as_long_as_it_exists() -> None:
    tags = declare().of("autoscaling:Tag").values()
    assert tags
    assert all(tag.retained for tag in tags), "jobs accepted by the old runner would find no node"
