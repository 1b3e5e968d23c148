"""Changes of nodes that run builds: what is new, and what stays."""

from typing import Any

from sandbox.scratch import ScratchProject
from sandbox.services.aws.seed import SYSTEM_NODES
from tests.deployment.conftest import Cloud, update
from tests.deployment.test_life import tag_everything


def groups(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """The stack's node groups by the names that they have without their generated ends."""
    eks = cloud.aws("eks")
    found = [
        eks.describe_nodegroup(clusterName="ci", nodegroupName=name)["nodegroup"]
        for name in eks.list_nodegroups(clusterName="ci")["nodegroups"]
        if name != SYSTEM_NODES
    ]
    named = {each["nodegroupName"][:-8]: each for each in found}
    assert len(named) == len(found), "an old generation is still there"
    return named


def test_tags_and_sizes_reach_nodes_without_stopping_builds(own_stack: ScratchProject) -> None:
    cloud = Cloud(own_stack)
    before = groups(cloud)
    runners = {each["id"] for each in cloud.gitlab("/runners/all").json()}

    config = own_stack.read_config()
    tag_everything(config)
    own_stack.write_config(config)
    update(own_stack)
    after = groups(cloud)
    assert {each["nodegroupArn"] for each in after.values()} == {each["nodegroupArn"] for each in before.values()}
    assert {each["id"] for each in cloud.gitlab("/runners/all").json()} == runners, "jobs had to wait for new runners"
    for group in after.values():
        assert group["tags"]["team"] == "platform"
        [scaling] = group["resources"]["autoScalingGroups"]
        wanted = [{"Name": "auto-scaling-group", "Values": [scaling["name"]]}, {"Name": "key", "Values": ["team"]}]
        [tag] = cloud.aws("autoscaling").describe_tags(Filters=wanted)["Tags"]
        assert (tag["Value"], tag["PropagateAtLaunch"]) == ("platform", True), "new nodes do not have the tag"

    running = after["buildyard-sandbox-arm64"]["nodegroupName"]
    cloud.aws("eks").update_nodegroup_config(clusterName="ci", nodegroupName=running, scalingConfig={"desiredSize": 7})
    others = after["buildyard-sandbox-unprotected-arm64"]["nodegroupName"]
    cloud.aws("eks").update_nodegroup_config(clusterName="ci", nodegroupName=others, scalingConfig={"desiredSize": 4})
    config["buildyard:nodes"]["arm64"]["max-size"] = 5
    config["buildyard:nodes"]["amd64"]["disk"] = "300Gi"
    own_stack.write_config(config)
    update(own_stack)
    lowered = groups(cloud)
    assert lowered["buildyard-sandbox-arm64"]["nodegroupName"] != running, "EKS refuses a maximum below what runs"
    assert lowered["buildyard-sandbox-arm64"]["scalingConfig"] == {"minSize": 0, "maxSize": 5, "desiredSize": 0}
    in_place = lowered.pop("buildyard-sandbox-unprotected-arm64")
    assert in_place["scalingConfig"] == {"minSize": 0, "maxSize": 5, "desiredSize": 4}, "nodes with builds were stopped"
    assert in_place["nodegroupArn"] == after["buildyard-sandbox-unprotected-arm64"]["nodegroupArn"]

    template = lowered["buildyard-sandbox-amd64"]["launchTemplate"]
    versions = cloud.aws("ec2").describe_launch_template_versions(LaunchTemplateId=template["id"])
    [version] = versions["LaunchTemplateVersions"]
    specified = {
        each["ResourceType"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        for each in version["LaunchTemplateData"]["TagSpecifications"]
    }
    for resource in ("instance", "volume", "network-interface"):
        assert specified[resource]["team"] == "platform", "a new template has the tags of long ago"
