"""The data sources of the AWS provider."""

from typing import Any

import grpc
import pytest

from sandbox.endpoints import Endpoints
from sandbox.values import Properties, Secret
from tests.sandbox.conftest import AwsClient
from tests.sandbox.provider_client import ProviderClient


def ask(client: ProviderClient, token: str, **arguments: Any) -> Properties:
    result, failures = client.invoke(token, arguments)
    assert not failures
    return result


def test_who_and_where(client: ProviderClient) -> None:
    assert ask(client, "aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"
    assert ask(client, "aws:index/getRegion:getRegion") == {
        "description": "Asia Pacific (Hong Kong)",
        "endpoint": "ec2.ap-east-1.amazonaws.com",
        "id": "ap-east-1",
        "name": "ap-east-1",
        "region": "ap-east-1",
    }
    partition = ask(client, "aws:index/getPartition:getPartition")
    assert (partition["partition"], partition["reverseDnsPrefix"]) == ("aws", "com.amazonaws")


def test_the_cluster_and_its_identity_provider(client: ProviderClient) -> None:
    cluster = ask(client, "aws:eks/getCluster:getCluster", name="ci")
    assert cluster["endpoint"].endswith(".gr7.ap-east-1.eks.amazonaws.com")
    assert cluster["version"] == "1.34"
    assert len(cluster["vpcConfig"]["subnetIds"]) == 3
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    provider = ask(client, "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider", url=issuer)
    assert provider["clientIdLists"] == ["sts.amazonaws.com"]
    assert ask(client, "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider", arn=provider["arn"]) == provider


def test_the_clusters_networks(client: ProviderClient) -> None:
    cluster = ask(client, "aws:eks/getCluster:getCluster", name="ci")
    assert cluster["kubernetesNetworkConfigs"][0]["serviceIpv4Cidr"].endswith("/16")
    vpc = ask(client, "aws:ec2/getVpc:getVpc", id=cluster["vpcConfig"]["vpcId"])
    assert [each["cidrBlock"] for each in vpc["cidrBlockAssociations"]] == [vpc["cidrBlock"]]
    assert vpc["tags"] == {"Name": "ci"}


def test_network_interfaces_of_a_vpc(client: ProviderClient, aws: AwsClient) -> None:
    cluster = ask(client, "aws:eks/getCluster:getCluster", name="ci")
    subnet = cluster["vpcConfig"]["subnetIds"][0]
    made = aws("ec2").create_network_interface(SubnetId=subnet)["NetworkInterface"]
    filters = [{"name": "vpc-id", "values": [cluster["vpcConfig"]["vpcId"]]}]
    token = "aws:ec2/getNetworkInterfaces:getNetworkInterfaces"
    assert made["NetworkInterfaceId"] in ask(client, token, filters=filters)["ids"]
    endpoints = [*filters, {"name": "interface-type", "values": ["vpc_endpoint"]}]
    assert ask(client, token, filters=endpoints)["ids"] == []
    found = ask(client, "aws:ec2/getNetworkInterface:getNetworkInterface", id=made["NetworkInterfaceId"])
    assert found["privateIp"] == made["PrivateIpAddress"]


def test_what_a_node_offers(client: ProviderClient) -> None:
    arm = ask(client, "aws:ec2/getInstanceType:getInstanceType", instanceType="m7g.4xlarge")
    assert (arm["defaultVcpus"], arm["memorySize"], arm["supportedArchitectures"]) == (16, 65536, ["arm64"])
    assert (arm["maximumNetworkInterfaces"], arm["maximumIpv4AddressesPerInterface"]) == (8, 30)
    intel = ask(client, "aws:ec2/getInstanceType:getInstanceType", instanceType="m7i.4xlarge")
    assert intel["supportedArchitectures"] == ["x86_64"]


def test_the_registrys_credentials_are_secret(client: ProviderClient) -> None:
    token = ask(client, "aws:ecr/getAuthorizationToken:getAuthorizationToken")
    assert token["userName"] == "AWS"
    assert isinstance(token["password"], Secret)
    assert isinstance(token["authorizationToken"], Secret)


@pytest.mark.parametrize(
    ("token", "arguments", "cause"),
    [
        ("aws:eks/getCluster:getCluster", {"name": "nowhere"}, "No cluster found for name: nowhere"),
        ("aws:ec2/getInstanceType:getInstanceType", {"instanceType": "m7g.huge"}, "m7g.huge"),
        ("aws:ec2/getVpc:getVpc", {"id": "vpc-0a1b2c3d"}, "vpc-0a1b2c3d"),
        (
            "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider",
            {"url": "https://nowhere"},
            "no OpenID Connect provider for https://nowhere",
        ),
    ],
)
def test_a_question_about_nothing_says_what_is_missing(
    client: ProviderClient, token: str, arguments: Properties, cause: str
) -> None:
    with pytest.raises(grpc.RpcError, match=f"calling {token} failed: .*{cause}"):
        client.invoke(token, arguments)


def test_a_provider_without_a_region_says_how_to_set_one(endpoints: Endpoints) -> None:
    with pytest.raises(grpc.RpcError, match="pulumi config set aws:region"):
        ProviderClient(endpoints.providers["aws"])


def test_repositories_and_their_tags(client: ProviderClient, aws: AwsClient) -> None:
    ecr = aws("ecr")
    for number in range(120):  # more than a page of any API
        tags = [{"Key": "stack", "Value": "listed"}, {"Key": "more", "Value": str(number % 2)}]
        ecr.create_repository(repositoryName=f"listed/{number}", tags=tags)
    names = ask(client, "aws:ecr/getRepositories:getRepositories")["names"]
    assert {f"listed/{number}" for number in range(120)} <= set(names)
    filters = [{"key": "stack", "values": ["listed"]}, {"key": "more", "values": ["1"]}]
    found = ask(
        client,
        "aws:resourcegroupstaggingapi/getResources:getResources",
        tagFilters=filters,
        resourceTypeFilters=["ecr:repository"],
    )["resourceTagMappingLists"]
    assert len(found) == 60
    assert found[0]["tags"] == {"stack": "listed", "more": "1"}
    assert found[0]["resourceArn"].startswith("arn:aws:ecr:ap-east-1:123456789012:repository/listed/")
    one = ask(client, "aws:ecr/getRepository:getRepository", name="listed/0")
    assert one["encryptionConfigurations"] == [{"encryptionType": "AES256", "kmsKey": ""}]
    assert one["tags"] == {"stack": "listed", "more": "0"}


def test_node_groups_and_their_sizes(client: ProviderClient, aws: AwsClient) -> None:
    eks = aws("eks")
    cluster = eks.describe_cluster(name="ci")["cluster"]
    eks.create_nodegroup(
        clusterName="ci",
        nodegroupName="sized",
        nodeRole=cluster["roleArn"],
        subnets=cluster["resourcesVpcConfig"]["subnetIds"],
        scalingConfig={"minSize": 0, "maxSize": 9, "desiredSize": 7},
    )
    assert "sized" in ask(client, "aws:eks/getNodeGroups:getNodeGroups", clusterName="ci")["names"]
    group = ask(client, "aws:eks/getNodeGroup:getNodeGroup", clusterName="ci", nodeGroupName="sized")
    assert group["scalingConfigs"] == [{"minSize": 0, "maxSize": 9, "desiredSize": 7}]
    with pytest.raises(eks.exceptions.InvalidParameterException, match="desired"):
        eks.update_nodegroup_config(clusterName="ci", nodegroupName="sized", scalingConfig={"maxSize": 5})
