"""Each kind of resource through its life: check, preview, create, diff, update, read and delete."""

import json
from typing import Any

import grpc
import pytest

from sandbox.values import UNKNOWN, Properties
from tests.sandbox.conftest import AwsClient
from tests.sandbox.manifests import image
from tests.sandbox.provider_client import ProviderClient, details
from tests.sandbox.providers_aws.conftest import Unique
from tests.sandbox.providers_aws.managed import Managed

REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
TAG = "aws:autoscaling/tag:Tag"

POD_TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    },
}


def make_role(client: ProviderClient, name: str) -> Managed:
    return Managed(client, ROLE, name).create({"assumeRolePolicy": json.dumps(POD_TRUST)})


def make_template(client: ProviderClient, name: str, **inputs: Any) -> Managed:
    return Managed(client, TEMPLATE, name).create({"ebsOptimized": "true", **inputs})


def node_group_inputs(aws: AwsClient, **inputs: Any) -> Properties:
    cluster = aws("eks").describe_cluster(name="ci")["cluster"]
    return {
        "clusterName": "ci",
        "nodeRoleArn": cluster["roleArn"],
        "subnetIds": cluster["resourcesVpcConfig"]["subnetIds"],
        "scalingConfig": {"minSize": 0, "maxSize": 10, "desiredSize": 0},
        **inputs,
    }


def test_a_repository_changes_in_place_but_for_name_and_encryption(client: ProviderClient, aws: AwsClient) -> None:
    inputs: Properties = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filter": "latest", "filterType": "WILDCARD"}],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "tags": {"image": "a", "old": "1"},
    }
    repository = Managed(client, REPOSITORY, "Images/A").create(inputs)
    name = repository.outputs["name"]
    assert name.startswith("images/a-"), "ECR takes no capital letters"
    assert repository.outputs["repositoryUrl"] == f"123456789012.dkr.ecr.ap-east-1.amazonaws.com/{name}"
    assert repository.outputs["arn"] == f"arn:aws:ecr:ap-east-1:123456789012:repository/{name}"

    inputs = {**inputs, "tags": {"image": "b"}, "imageScanningConfiguration": {"scanOnPush": False}}
    inputs["imageTagMutabilityExclusionFilters"] = [{"filter": "buildcache-*", "filterType": "WILDCARD"}]
    assert repository.update(inputs) == {
        "imageScanningConfiguration.scanOnPush": "UPDATE",
        "imageTagMutabilityExclusionFilters[0].filter": "UPDATE",
        "tags.image": "UPDATE",
        "tags.old": "DELETE",
    }
    [live] = aws("ecr").describe_repositories(repositoryNames=[name])["repositories"]
    assert live["imageTagMutabilityExclusionFilters"] == [{"filterType": "WILDCARD", "filter": "buildcache-*"}]
    assert live["imageScanningConfiguration"] == {"scanOnPush": False}

    kms = {**inputs, "name": "other", "encryptionConfigurations": [{"encryptionType": "KMS"}]}
    assert repository.diff(kms) == {
        "encryptionConfigurations[0].encryptionType": "UPDATE_REPLACE",
        "name": "UPDATE_REPLACE",
    }
    repository.delete()


def test_a_manual_edit_of_a_repository_is_undone(client: ProviderClient, aws: AwsClient) -> None:
    inputs = {"imageTagMutability": "IMMUTABLE"}
    repository = Managed(client, REPOSITORY, "drift").create(inputs)
    aws("ecr").put_image_tag_mutability(repositoryName=repository.id, imageTagMutability="MUTABLE")
    aws("ecr").tag_resource(resourceArn=repository.outputs["arn"], tags=[{"Key": "hand", "Value": "made"}])
    assert repository.refresh()
    assert repository.diff(inputs) == {"imageTagMutability": "UPDATE", "tags": "DELETE"}
    repository.update(inputs)
    assert aws("ecr").list_tags_for_resource(resourceArn=repository.outputs["arn"])["tags"] == []
    aws("ecr").delete_repository(repositoryName=repository.id)
    assert not repository.refresh()


def test_a_lifecycle_policy_is_replaced_old_one_first(client: ProviderClient, aws: AwsClient) -> None:
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7},
        "action": {"type": "expire"},
    }
    repository = Managed(client, REPOSITORY, "expiry").create({})
    inputs = {"repository": repository.id, "policy": json.dumps({"rules": [rule]})}
    policy = Managed(client, LIFECYCLE, "expiry").create(inputs)
    assert policy.diff({**inputs, "policy": json.dumps({"rules": [rule]}, indent=2)}) == {}
    response = client.diff(LIFECYCLE, "expiry", policy.inputs, {**inputs, "policy": '{"rules": []}'})
    assert details(response) == {"policy": "UPDATE_REPLACE"}
    assert response.deleteBeforeReplace, "deleting the old policy last would delete the new one, which has its place"
    policy.delete()
    assert client.check(LIFECYCLE, "expiry", {**inputs, "policy": "rules: []"})[1].keys() == {"policy"}


def test_a_role_changes_in_place(client: ProviderClient, unique: Unique) -> None:
    inputs: Properties = {"assumeRolePolicy": json.dumps(POD_TRUST), "description": "one", "tags": {"a": "1", "b": "1"}}
    role = Managed(client, ROLE, unique("role")).create(inputs)
    other_words = json.dumps({**POD_TRUST, "Statement": [POD_TRUST["Statement"]]}, indent=1)
    assert role.diff({**inputs, "assumeRolePolicy": other_words}) == {}
    trust = json.dumps({**POD_TRUST, "Statement": {**POD_TRUST["Statement"], "Action": "sts:AssumeRole"}})
    changed = {"assumeRolePolicy": trust, "maxSessionDuration": 7200, "tags": {"a": "2"}}
    assert role.update(changed) == {
        "assumeRolePolicy": "UPDATE",
        "description": "DELETE",
        "maxSessionDuration": "UPDATE",
        "tags.a": "UPDATE",
        "tags.b": "DELETE",
    }
    assert role.diff({**changed, "path": "/builds/"}) == {"path": "UPDATE_REPLACE"}
    role.delete()


def test_a_role_with_policies_is_not_deleted(client: ProviderClient, unique: Unique) -> None:
    role = make_role(client, unique("role"))
    attachment = Managed(client, ATTACHMENT, "worker").create(
        {"role": role.id, "policyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"}
    )
    with pytest.raises(grpc.RpcError, match="DeleteConflict"):
        role.delete()
    assert attachment.diff({**attachment.inputs, "role": "other"}) == {"role": "UPDATE_REPLACE"}
    for each in (attachment, role):
        each.delete()


def test_a_policy_changes_in_place_as_often_as_it_must(client: ProviderClient, unique: Unique) -> None:
    def document(*actions: str, effect: str = "Allow") -> str:
        statement = {"Effect": effect, "Action": actions, "Resource": ["*"]}
        return json.dumps({"Version": "2012-10-17", "Statement": statement})

    policy = Managed(client, POLICY, unique("push")).create({"policy": document("a:b", "a:c"), "tags": {"a": "1"}})
    assert policy.diff({"policy": document("a:c", "a:b"), "tags": {"a": "1"}}) == {}, "lists have no order in IAM"
    for number in range(7):
        changed = {"policy": document(f"a:{number}"), "tags": {"a": "1"}}
        assert policy.update(changed) == {"policy": "UPDATE"}, "IAM keeps five versions, and the sixth change must fit"
    assert policy.update({"policy": document("a:6", effect="Deny")}) == {"policy": "UPDATE", "tags": "DELETE"}
    policy.delete()


def test_a_launch_template_gets_a_version_with_each_change_of_what_it_launches(
    client: ProviderClient, aws: AwsClient, unique: Unique
) -> None:
    inputs: Properties = {
        "updateDefaultVersion": True,
        "blockDeviceMappings": [
            {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 200, "encrypted": "true", "volumeType": "gp3"}}
        ],
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b"}}],
        "tags": {"a": "b"},
    }
    template = Managed(client, TEMPLATE, unique("template")).create(inputs)
    assert (template.outputs["latestVersion"], template.outputs["defaultVersion"]) == (1, 1)
    [live] = aws("ec2").describe_launch_template_versions(LaunchTemplateId=template.id)["LaunchTemplateVersions"]
    assert live["LaunchTemplateData"]["BlockDeviceMappings"] == [
        {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeSize": 200, "VolumeType": "gp3"}}
    ]

    retagged = {**inputs, "tags": {"a": "c"}}
    preview = client.update(
        TEMPLATE,
        template.name,
        template.id,
        outputs=template.outputs,
        old_inputs=template.inputs,
        inputs=template.check(retagged),
        preview=True,
    )
    assert preview["latestVersion"] == 1, "a tag of the template itself is no part of its versions"
    assert template.update(retagged) == {"tags.a": "UPDATE"}
    assert template.outputs["latestVersion"] == 1

    bigger = json.loads(json.dumps(retagged))
    bigger["blockDeviceMappings"][0]["ebs"]["volumeSize"] = 300
    preview = client.update(
        TEMPLATE,
        template.name,
        template.id,
        outputs=template.outputs,
        old_inputs=template.inputs,
        inputs=template.check(bigger),
        preview=True,
    )
    assert preview["latestVersion"] is UNKNOWN, "a preview would not show that the node group changes, too"
    assert template.update(bigger) == {"blockDeviceMappings[0].ebs.volumeSize": "UPDATE"}
    assert (template.outputs["latestVersion"], template.outputs["defaultVersion"]) == (2, 2)

    two = json.loads(json.dumps(bigger))
    two["blockDeviceMappings"].append({"deviceName": "/dev/xvdb", "ebs": {"volumeSize": 100, "iops": 6000}})
    assert template.update(two) == {"blockDeviceMappings[1]": "ADD"}
    [live] = aws("ec2").describe_launch_template_versions(LaunchTemplateId=template.id, Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    second = live["LaunchTemplateData"]["BlockDeviceMappings"][1]
    assert second == {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 100, "Iops": 6000}}
    template.delete()


def test_a_node_group_changes_in_place_what_eks_can_change(
    client: ProviderClient, aws: AwsClient, unique: Unique
) -> None:
    template = make_template(client, unique("template"))
    inputs = node_group_inputs(
        aws,
        amiType="AL2023_ARM_64_STANDARD",
        capacityType="SPOT",
        instanceTypes=["m7g.4xlarge"],
        launchTemplate={"id": template.id, "version": "1"},
        labels={"kept": "1", "changed": "1", "gone": "1"},
        taints=[{"key": "kept", "value": "1", "effect": "NO_SCHEDULE"}, {"key": "gone", "effect": "NO_EXECUTE"}],
        updateConfig={"maxUnavailable": 1},
        tags={"a": "1"},
    )
    group = Managed(client, NODE_GROUP, unique("nodes")).create(inputs)
    assert group.id == f"ci:{group.outputs['nodeGroupName']}"
    assert group.outputs["status"] == "ACTIVE"
    assert group.outputs["resources"][0]["autoscalingGroups"][0]["name"].startswith("eks-")
    assert group.diff({**inputs, "subnetIds": inputs["subnetIds"][::-1], "taints": inputs["taints"][::-1]}) == {}

    template.update({"ebsOptimized": "false"})
    changed = {
        **inputs,
        "launchTemplate": {"id": template.id, "version": "2"},
        "labels": {"kept": "1", "changed": "2"},
        "taints": [{"key": "kept", "value": "2", "effect": "NO_SCHEDULE"}],
        "scalingConfig": {"minSize": 0, "maxSize": 12, "desiredSize": 0},
        "updateConfig": {"maxUnavailablePercentage": 50},
        "tags": {"b": "1"},
    }
    kinds = group.update(changed)
    assert not [path for path, kind in kinds.items() if kind.endswith("REPLACE")]
    assert set(kinds) >= {
        "labels.changed",
        "labels.gone",
        "launchTemplate.version",
        "scalingConfig.maxSize",
        "taints[1]",
    }
    live = aws("eks").describe_nodegroup(clusterName="ci", nodegroupName=group.outputs["nodeGroupName"])["nodegroup"]
    assert live["labels"] == {"kept": "1", "changed": "2"}
    assert live["taints"] == [{"key": "kept", "value": "2", "effect": "NO_SCHEDULE"}]
    assert live["updateConfig"] == {"maxUnavailablePercentage": 50}

    others = {
        "amiType": "AL2023_x86_64_STANDARD",
        "capacityType": "ON_DEMAND",
        "instanceTypes": ["m7g.8xlarge"],
        "diskSize": 50,
        "nodeRoleArn": "arn:aws:iam::123456789012:role/other",
        "subnetIds": inputs["subnetIds"][:2],
        "launchTemplate": {"id": "lt-0", "version": "2"},
    }
    for key, value in others.items():
        [kind] = group.diff({**changed, key: value}).values()
        assert kind.endswith("_REPLACE"), f"EKS cannot change {key} of a node group"
    group.delete()


def test_a_warm_pool_comes_and_goes_without_a_new_group(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    inputs = node_group_inputs(aws, capacityType="ON_DEMAND")
    group = Managed(client, NODE_GROUP, unique("pool")).create(inputs)
    for pool in ({"minSize": 2, "poolState": "STOPPED"}, {"minSize": 1, "poolState": "STOPPED"}, None):
        kinds = group.update({**inputs, **({"warmPoolConfig": pool} if pool else {})})
        assert not [path for path, kind in kinds.items() if kind.endswith("REPLACE")]
        name = group.outputs["nodeGroupName"]
        live = aws("eks").describe_nodegroup(clusterName="ci", nodegroupName=name)["nodegroup"]
        assert live.get("warmPoolConfig") == ({"enabled": True, **pool} if pool else None)


def test_spot_nodes_have_no_warm_pool(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    inputs = node_group_inputs(aws, capacityType="SPOT", warmPoolConfig={"minSize": 1})
    with pytest.raises(grpc.RpcError, match="Warm pools are not supported for node groups with Spot capacity"):
        Managed(client, NODE_GROUP, unique("pool")).create(inputs)


def test_what_the_autoscaler_decided_stays(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    inputs = node_group_inputs(aws)
    group = Managed(client, NODE_GROUP, unique("nodes")).create(inputs)
    target = {"clusterName": "ci", "nodegroupName": group.outputs["nodeGroupName"]}
    aws("eks").update_nodegroup_config(**target, scalingConfig={"desiredSize": 4})
    _, group.outputs, group.inputs = client.read(NODE_GROUP, group.name, group.id, group.outputs, group.inputs)
    assert group.inputs["scalingConfig"]["desiredSize"] == 4, "an update could not leave it as it is"
    inputs = group.inputs
    wider = {**inputs, "scalingConfig": {**inputs["scalingConfig"], "maxSize": 12}}
    group.outputs = client.update(
        NODE_GROUP, group.name, group.id, outputs=group.outputs, old_inputs=group.inputs, inputs=group.check(wider)
    )
    sizes = aws("eks").describe_nodegroup(**target)["nodegroup"]["scalingConfig"]
    assert sizes == {"minSize": 0, "maxSize": 12, "desiredSize": 4}, "a deployment stopped nodes that builds run on"


def test_impossible_node_groups_are_refused_before_anything_exists(client: ProviderClient, aws: AwsClient) -> None:
    inputs = node_group_inputs(
        aws,
        scalingConfig={"minSize": 0, "maxSize": 0, "desiredSize": 0},
        updateConfig={"maxUnavailable": 1, "maxUnavailablePercentage": 50},
    )
    assert client.check(NODE_GROUP, "nodes", inputs)[1].keys() == {"scalingConfig.maxSize", "updateConfig"}


def test_an_association_moves_to_another_role_in_place(client: ProviderClient, unique: Unique) -> None:
    role, other = make_role(client, unique("role")), make_role(client, unique("role"))
    inputs = {
        "clusterName": "ci",
        "namespace": "builds",
        "serviceAccount": unique("account"),
        "roleArn": role.outputs["arn"],
        "tags": {"a": "1"},
    }
    association = Managed(client, ASSOCIATION, "push").create(inputs)
    assert association.update({**inputs, "roleArn": other.outputs["arn"], "tags": {"b": "1"}}) == {
        "roleArn": "UPDATE",
        "tags.a": "DELETE",
        "tags.b": "ADD",
    }
    assert association.diff({**inputs, "namespace": "other"})["namespace"] == "UPDATE_REPLACE"
    imported = client.read(ASSOCIATION, "imported", f"ci,{association.id}", {}, {})[2]
    assert imported["serviceAccount"] == inputs["serviceAccount"], "an association made by hand could not be imported"
    with pytest.raises(grpc.RpcError, match=r"creating .* 'second' failed: .*Association already exists"):
        client.create(ASSOCIATION, "second", association.inputs)
    association.delete()


def test_a_scaling_groups_tag_goes_with_its_group(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    group = Managed(client, NODE_GROUP, unique("nodes")).create(node_group_inputs(aws))
    name = group.outputs["resources"][0]["autoscalingGroups"][0]["name"]
    inputs = {"autoscalingGroupName": name, "tag": {"key": "a", "value": "1", "propagateAtLaunch": False}}
    tag = Managed(client, TAG, "storage").create(inputs)
    assert tag.update({**inputs, "tag": {**inputs["tag"], "value": "2"}}) == {"tag.value": "UPDATE"}
    assert tag.diff({**inputs, "tag": {**inputs["tag"], "key": "b"}})["tag.key"] == "UPDATE_REPLACE"
    group.delete()
    assert not tag.refresh()
    client.delete(TAG, "storage", f"{name},a", tag.outputs)


def test_what_pulumi_knows_and_the_sandbox_does_not_is_refused_by_name(client: ProviderClient) -> None:
    _, failures = client.check(ROLE, "role", {"assumeRolePolicy": "{}", "inlinePolicies": []})
    assert "no property 'inlinePolicies' of aws:iam/role:Role" in failures["inlinePolicies"]


@pytest.mark.parametrize("force", [False, True])
def test_a_repository_with_images_is_not_deleted_without_force(
    client: ProviderClient, unique: Unique, aws: AwsClient, force: bool
) -> None:
    repository = Managed(client, REPOSITORY, "web")
    repository.create({"name": unique("kept"), "forceDelete": force})
    aws("ecr").put_image(repositoryName=repository.id, imageManifest=image(), imageTag="latest")
    if force:
        repository.delete()
        return
    with pytest.raises(grpc.RpcError) as refused:
        repository.delete()
    message = str(refused.value)
    assert f"ECR Repository ({repository.id}) not empty, consider using force_delete" in message
    assert "RepositoryNotEmptyException" in message
    assert "cannot be deleted because it still contains images" in message
    assert repository.refresh()
