"""Changes of nodes that run builds: what is new, and what stays."""

from typing import Any

import pytest

from sandbox.scratch import ScratchProject
from sandbox.services.aws.seed import SYSTEM_NODES
from tests.deployment.conftest import Cloud
from tests.deployment.test_life import enlarge_disk, tag_everything


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


def up(project: ScratchProject) -> None:
    done = project.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    again = project.sandbox("preview", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.timeout(300)
def test_tags_and_sizes_reach_nodes_without_stopping_builds(scratch: ScratchProject) -> None:
    up(scratch)
    cloud = Cloud(scratch)
    before = groups(cloud)
    runners = {each["id"] for each in cloud.gitlab("/runners/all").json()}

    config = scratch.read_config()
    tag_everything(config)
    scratch.write_config(config)
    up(scratch)
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
    config["buildyard:nodes"]["arm64"]["max-size"] = 5
    enlarged = {**config, "buildyard:nodes": {**config["buildyard:nodes"]}}
    scratch.write_config(config)
    up(scratch)
    lowered = groups(cloud)
    assert lowered["buildyard-sandbox-arm64"]["nodegroupName"] != running, "EKS refuses a maximum below what runs"
    assert lowered["buildyard-sandbox-arm64"]["scalingConfig"] == {"minSize": 0, "maxSize": 5, "desiredSize": 0}
    in_place = lowered.pop("buildyard-sandbox-unprotected-arm64")
    assert in_place["scalingConfig"]["maxSize"] == 5
    assert in_place["nodegroupArn"] == after["buildyard-sandbox-unprotected-arm64"]["nodegroupArn"]

    enlarge_disk(enlarged)
    scratch.write_config(enlarged)
    up(scratch)
    template = groups(cloud)["buildyard-sandbox-arm64"]["launchTemplate"]
    versions = cloud.aws("ec2").describe_launch_template_versions(LaunchTemplateId=template["id"])
    [version] = versions["LaunchTemplateVersions"]
    specified = {
        each["ResourceType"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        for each in version["LaunchTemplateData"]["TagSpecifications"]
    }
    for resource in ("instance", "volume", "network-interface"):
        assert specified[resource]["team"] == "platform", "a new template has the tags of long ago"
