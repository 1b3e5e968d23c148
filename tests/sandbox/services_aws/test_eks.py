"""The sandbox's additions to moto's EKS, through boto3."""

import base64
import itertools
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from tests.sandbox.conftest import AwsClient

POD_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}
NAMES = (f"eks-test-{number}" for number in itertools.count())


def make_role(aws: AwsClient, trust: dict[str, Any]) -> str:
    made = aws("iam").create_role(RoleName=next(NAMES), AssumeRolePolicyDocument=json.dumps(trust))
    return str(made["Role"]["Arn"])


def make_template(aws: AwsClient, **data: Any) -> str:
    made = aws("ec2").create_launch_template(
        LaunchTemplateName=next(NAMES), LaunchTemplateData={"EbsOptimized": True, **data}
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def make_node_group(aws: AwsClient, **request: Any) -> dict[str, Any]:
    cluster = aws("eks").describe_cluster(name="ci")["cluster"]
    made = aws("eks").create_nodegroup(
        **{
            "clusterName": "ci",
            "nodegroupName": next(NAMES),
            "subnets": cluster["resourcesVpcConfig"]["subnetIds"],
            "nodeRole": cluster["roleArn"],
            "scalingConfig": {"minSize": 0, "maxSize": 3, "desiredSize": 1},
            **request,
        }
    )
    group: dict[str, Any] = made["nodegroup"]
    return group


def test_the_cluster_has_an_endpoint_and_an_authority_as_in_aws(aws: AwsClient) -> None:
    cluster = aws("eks").describe_cluster(name="ci")["cluster"]
    assert (cluster["version"], cluster["status"]) == ("1.34", "ACTIVE")
    endpoint = re.fullmatch(r"https://([0-9A-F]{32})\.gr7\.ap-east-1\.eks\.amazonaws\.com", cluster["endpoint"])
    assert endpoint, f"the sandbox's kubernetes provider does not know {cluster['endpoint']}"
    assert cluster["identity"]["oidc"]["issuer"].endswith(f"/id/{endpoint[1]}")
    authority = x509.load_pem_x509_certificate(base64.b64decode(cluster["certificateAuthority"]["data"]))
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca, "kubectl refuses a kubeconfig without an authority's certificate"


def test_a_new_account_has_the_prerequisites_of_a_deployment(aws: AwsClient) -> None:
    cluster = aws("eks").describe_cluster(name="ci")["cluster"]
    assert (
        aws("eks").describe_addon(clusterName="ci", addonName="eks-pod-identity-agent")["addon"]["status"] == "ACTIVE"
    )
    subnets = aws("ec2").describe_subnets(SubnetIds=cluster["resourcesVpcConfig"]["subnetIds"])["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
    issuer = cluster["identity"]["oidc"]["issuer"].removeprefix("https://")
    providers = aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert [provider["Arn"].partition("/")[2] for provider in providers] == [issuer]


def test_an_association_lives_from_create_to_delete(aws: AwsClient) -> None:
    eks, role = aws("eks"), make_role(aws, POD_TRUST)
    made = eks.create_pod_identity_association(
        clusterName="ci", namespace="builds", serviceAccount="life", roleArn=role, tags={"a": "1"}
    )["association"]
    target = {"clusterName": "ci", "associationId": made["associationId"]}
    assert eks.describe_pod_identity_association(**target)["association"] == made
    listed = eks.list_pod_identity_associations(clusterName="ci", namespace="builds", serviceAccount="life")
    assert [each["associationId"] for each in listed["associations"]] == [made["associationId"]]

    other = make_role(aws, POD_TRUST)
    updated = eks.update_pod_identity_association(**target, roleArn=other)["association"]
    assert updated["roleArn"] == other
    assert updated["modifiedAt"] > made["modifiedAt"]
    eks.tag_resource(resourceArn=made["associationArn"], tags={"b": "2"})
    eks.untag_resource(resourceArn=made["associationArn"], tagKeys=["a"])
    assert eks.describe_pod_identity_association(**target)["association"]["tags"] == {"b": "2"}

    eks.delete_pod_identity_association(**target)
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_pod_identity_association(**target)


def test_a_service_account_has_one_association(aws: AwsClient) -> None:
    eks, role = aws("eks"), make_role(aws, POD_TRUST)
    request = {"clusterName": "ci", "namespace": "builds", "serviceAccount": "one", "roleArn": role}
    made = eks.create_pod_identity_association(**request, clientRequestToken="first")["association"]
    assert eks.create_pod_identity_association(**request, clientRequestToken="first")["association"] == made
    with pytest.raises(eks.exceptions.ResourceInUseException, match=made["associationId"]):
        eks.create_pod_identity_association(**request, clientRequestToken="second")


def test_an_association_needs_a_role_that_pods_may_assume(aws: AwsClient) -> None:
    eks = aws("eks")
    request = {"clusterName": "ci", "namespace": "builds", "serviceAccount": "trust"}
    with pytest.raises(eks.exceptions.InvalidParameterException, match="does not exist"):
        eks.create_pod_identity_association(**request, roleArn="arn:aws:iam::123456789012:role/nobody")
    nodes = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}}
    with pytest.raises(eks.exceptions.InvalidParameterException, match="sts:TagSession"):
        eks.create_pod_identity_association(**request, roleArn=make_role(aws, nodes))


def test_associations_of_an_unknown_cluster_are_not_found(aws: AwsClient) -> None:
    eks = aws("eks")
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.list_pod_identity_associations(clusterName="nowhere")


def test_associations_are_listed_in_pages(aws: AwsClient) -> None:
    eks, role = aws("eks"), make_role(aws, POD_TRUST)
    for number in range(3):
        eks.create_pod_identity_association(
            clusterName="ci", namespace="pages", serviceAccount=f"page-{number}", roleArn=role
        )
    pages = eks.get_paginator("list_pod_identity_associations").paginate(
        clusterName="ci", namespace="pages", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["associations"]) for page in pages] == [2, 1]


def test_a_node_group_has_a_scaling_group_that_can_be_tagged(aws: AwsClient) -> None:
    group = make_node_group(aws, launchTemplate={"id": make_template(aws)}, updateConfig={"maxUnavailable": 2})
    assert (group["updateConfig"], group["launchTemplate"]["version"]) == ({"maxUnavailable": 2}, "1")
    assert "diskSize" not in group, "a node group with a launch template has the disk of that"
    [name] = [each["name"] for each in group["resources"]["autoScalingGroups"]]
    scaling = aws("autoscaling")
    tag = {
        "ResourceId": name,
        "ResourceType": "auto-scaling-group",
        "Key": "a",
        "Value": "b",
        "PropagateAtLaunch": False,
    }
    scaling.create_or_update_tags(Tags=[tag])
    [found] = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    assert (found["MinSize"], found["MaxSize"], found["DesiredCapacity"], found["Instances"]) == (0, 3, 1, [])
    tags = {each["Key"]: each["Value"] for each in found["Tags"]}
    assert tags["a"] == "b"
    assert tags["k8s.io/cluster-autoscaler/ci"] == "owned", "an autoscaler finds its groups by this tag"

    aws("eks").delete_nodegroup(clusterName="ci", nodegroupName=group["nodegroupName"])
    assert scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"] == []
    with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
        scaling.create_or_update_tags(Tags=[tag])


def test_a_node_group_without_a_launch_template_leaves_none_behind(aws: AwsClient) -> None:
    before = len(aws("ec2").describe_launch_templates()["LaunchTemplates"])
    group = make_node_group(aws)
    assert (group["diskSize"], group["instanceTypes"]) == (20, ["t3.medium"])
    aws("eks").delete_nodegroup(clusterName="ci", nodegroupName=group["nodegroupName"])
    assert len(aws("ec2").describe_launch_templates()["LaunchTemplates"]) == before


def test_a_node_group_moves_to_another_version_of_its_launch_template(aws: AwsClient) -> None:
    eks, template = aws("eks"), make_template(aws)
    group = make_node_group(aws, launchTemplate={"id": template})
    target = {"clusterName": "ci", "nodegroupName": group["nodegroupName"]}
    aws("ec2").create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"EbsOptimized": False})
    update = eks.update_nodegroup_version(**target, launchTemplate={"id": template, "version": "2"})["update"]
    assert (update["type"], update["status"]) == ("VersionUpdate", "Successful")
    assert eks.describe_update(name="ci", updateId=update["id"])["update"] == update
    assert eks.describe_nodegroup(**target)["nodegroup"]["launchTemplate"]["version"] == "2"
    with pytest.raises(eks.exceptions.InvalidParameterException, match="keeps its launch template"):
        eks.update_nodegroup_version(**target, launchTemplate={"id": make_template(aws), "version": "1"})


def test_a_node_group_is_resized_within_its_bounds(aws: AwsClient) -> None:
    eks, group = aws("eks"), make_node_group(aws)
    target = {"clusterName": "ci", "nodegroupName": group["nodegroupName"]}
    eks.update_nodegroup_config(**target, scalingConfig={"desiredSize": 2})
    assert eks.describe_nodegroup(**target)["nodegroup"]["scalingConfig"]["desiredSize"] == 2
    with pytest.raises(eks.exceptions.InvalidParameterException, match="desiredSize 4 can't be greater than maxSize 3"):
        eks.update_nodegroup_config(**target, scalingConfig={"desiredSize": 4})
    with pytest.raises(eks.exceptions.InvalidParameterException, match="Minimum capacity"):
        make_node_group(aws, scalingConfig={"minSize": 2, "maxSize": 1, "desiredSize": 1})


def test_instance_types_are_given_once(aws: AwsClient) -> None:
    eks = aws("eks")
    template = make_template(aws, InstanceType="m7g.large")
    with pytest.raises(eks.exceptions.InvalidParameterException, match="not in both"):
        make_node_group(aws, launchTemplate={"id": template}, instanceTypes=["m7g.xlarge"])


def test_a_cluster_is_upgraded_by_one_minor_version_at_a_time(aws: AwsClient) -> None:
    eks, name = aws("eks"), next(NAMES)
    role = "arn:aws:iam::123456789012:role/cluster"
    eks.create_cluster(name=name, version="1.34", roleArn=role, resourcesVpcConfig={"subnetIds": ["subnet-1"]})
    with pytest.raises(ClientError, match=r"minor version update from 1\.34 to 1\.36"):
        eks.update_cluster_version(name=name, version="1.36")
    update = eks.update_cluster_version(name=name, version="1.35")["update"]
    assert update["params"] == [{"type": "Version", "value": "1.35"}]
    assert eks.describe_cluster(name=name)["cluster"]["version"] == "1.35"


def test_a_cluster_has_a_security_group_for_its_nodes_and_says_how_it_knows_roles(aws: AwsClient) -> None:
    cluster = aws("eks").describe_cluster(name="ci")["cluster"]
    network = cluster["resourcesVpcConfig"]
    [group] = aws("ec2").describe_security_groups(GroupIds=[network["clusterSecurityGroupId"]])["SecurityGroups"]
    assert group["VpcId"] == network["vpcId"]
    assert group["GroupName"].startswith("eks-cluster-sg-ci-")
    assert cluster["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
    made = aws("eks").create_cluster(
        name="older", roleArn=cluster["roleArn"], resourcesVpcConfig={"subnetIds": network["subnetIds"]}
    )["cluster"]
    assert made["accessConfig"]["authenticationMode"] == "CONFIG_MAP", "as EKS makes it without a word about it"
    aws("eks").delete_cluster(name="older")
