"""The data sources of the AWS provider."""

import json
from typing import Any

import grpc
import pytest

from components.preflight.kubernetes_api import KubernetesApi
from sandbox.endpoints import Endpoints
from sandbox.values import Properties, Secret
from tests.sandbox.conftest import AwsClient
from tests.sandbox.provider_client import ProviderClient
from tests.sandbox.providers_aws.conftest import Unique
from tests.sandbox.services_aws.test_eks import make_node_group


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


def test_the_clusters_api_is_at_its_address_by_way_of_the_proxy(
    client: ProviderClient, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in endpoints.environment().items():
        monkeypatch.setenv(name, value)
    cluster = ask(client, "aws:eks/getCluster:getCluster", name="ci")
    token = ask(client, "aws:eks/getClusterAuth:getClusterAuth", name="ci")["token"]
    assert token.startswith("k8s-aws-v1.")
    api = KubernetesApi(
        endpoint=cluster["endpoint"], certificate_authority=cluster["certificateAuthorities"][0]["data"], token=token
    )
    [report] = api.list("/api/v1/configmaps", name="cluster-autoscaler-status")
    assert "- name: eks-system-" in report["data"]["status"], "the seeded node group's"


def test_how_the_cluster_is_run(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    cluster = ask(client, "aws:eks/getCluster:getCluster", name="ci")
    assert cluster["accessConfigs"][0]["authenticationMode"] == "API_AND_CONFIG_MAP"
    assert cluster["computeConfigs"] == [{"enabled": False, "nodePools": [], "nodeRoleArn": ""}]
    name = unique("auto")
    aws("eks").create_cluster(
        name=name,
        roleArn=cluster["roleArn"],
        resourcesVpcConfig={"subnetIds": cluster["vpcConfig"]["subnetIds"]},
        computeConfig={"enabled": True, "nodePools": ["general-purpose"]},
    )
    auto = ask(client, "aws:eks/getCluster:getCluster", name=name)
    assert auto["computeConfigs"][0]["enabled"] is True
    assert auto["accessConfigs"][0]["authenticationMode"] == "CONFIG_MAP", "EKS's default for clusters made by its API"


def test_an_addon(client: ProviderClient) -> None:
    token = "aws:eks/getAddon:getAddon"
    agent = ask(client, token, clusterName="ci", addonName="eks-pod-identity-agent")
    assert agent["addonVersion"].startswith("v1.34")
    cni = ask(client, token, clusterName="ci", addonName="vpc-cni")
    assert cni["configurationValues"] == '{"enableNetworkPolicy": "true"}'
    with pytest.raises(grpc.RpcError, match="No addon: coredns found in cluster: ci"):
        client.invoke(token, {"clusterName": "ci", "addonName": "coredns"})


def test_node_groups_and_their_taints(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    system = ask(client, "aws:eks/getNodeGroup:getNodeGroup", clusterName="ci", nodeGroupName="system")
    assert (system["taints"], system["scalingConfigs"][0]["maxSize"], system["status"]) == ([], 4, "ACTIVE")
    name = unique("tainted")
    aws("eks").create_nodegroup(
        clusterName="ci",
        nodegroupName=name,
        nodeRole=system["nodeRoleArn"],
        subnets=system["subnetIds"],
        scalingConfig={"minSize": 0, "maxSize": 1, "desiredSize": 0},
        taints=[{"key": "gpu", "effect": "NO_SCHEDULE"}],
    )
    assert {"system", name} <= set(ask(client, "aws:eks/getNodeGroups:getNodeGroups", clusterName="ci")["names"])
    tainted = ask(client, "aws:eks/getNodeGroup:getNodeGroup", clusterName="ci", nodeGroupName=name)
    assert tainted["taints"] == [{"effect": "NO_SCHEDULE", "key": "gpu", "value": ""}]


QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"


def test_a_quota_that_was_raised_and_its_default(client: ProviderClient) -> None:
    spot = ask(client, QUOTA, serviceCode="ec2", quotaCode="L-34B43A08")
    assert spot["quotaName"] == "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"
    assert (spot["value"], spot["defaultValue"]) == (1920, 5)


def test_quotas_of_iam_are_known_in_one_region(client: ProviderClient) -> None:
    with pytest.raises(grpc.RpcError, match="not available in the current Region"):
        client.invoke(QUOTA, {"serviceCode": "iam", "quotaCode": "L-FE177D64"})
    roles = ask(client, QUOTA, serviceCode="iam", quotaCode="L-FE177D64", region="us-east-1")
    assert (roles["value"], roles["globalQuota"]) == (1000, True)


def test_everything_in_the_account(client: ProviderClient, aws: AwsClient, unique: Unique) -> None:
    names = [unique("counted") for _ in range(120)]
    for name in names:
        aws("ecr").create_repository(repositoryName=name)
    assert set(names) <= set(ask(client, "aws:ecr/getRepositories:getRepositories")["names"]), "one page is 100"
    assert {"ci-cluster", "ci-system"} <= set(ask(client, "aws:iam/getRoles:getRoles")["names"])


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


def test_a_security_group_says_its_vpc(client: ProviderClient, aws: AwsClient) -> None:
    network = aws("eks").describe_cluster(name="ci")["cluster"]["resourcesVpcConfig"]
    group = network["clusterSecurityGroupId"]
    assert ask(client, "aws:ec2/getSecurityGroup:getSecurityGroup", id=group)["vpcId"] == network["vpcId"]
    with pytest.raises(grpc.RpcError, match=r"InvalidGroup\.NotFound"):
        client.invoke("aws:ec2/getSecurityGroup:getSecurityGroup", {"id": "sg-0123456789abcdef0"})


def test_a_policy_is_read_by_its_arn(client: ProviderClient, aws: AwsClient) -> None:
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}'
    arn = aws("iam").create_policy(PolicyName="read-me", Path="/rules/", PolicyDocument=document)["Policy"]["Arn"]
    found = ask(client, "aws:iam/getPolicy:getPolicy", arn=arn)
    assert (found["name"], found["path"]) == ("read-me", "/rules/")
    assert json.loads(found["policy"]) == json.loads(document)
    with pytest.raises(grpc.RpcError, match="NoSuchEntity"):
        client.invoke("aws:iam/getPolicy:getPolicy", {"arn": arn.replace("read-me", "missing")})


def test_a_node_group_has_the_status_that_eks_tells(client: ProviderClient, aws: AwsClient) -> None:
    make_node_group(aws, nodegroupName="asked")
    found = ask(client, "aws:eks/getNodeGroup:getNodeGroup", clusterName="ci", nodeGroupName="asked")
    assert (found["id"], found["status"]) == ("ci:asked", "ACTIVE")
    assert found["scalingConfigs"][0].keys() >= {"minSize", "maxSize", "desiredSize"}
    aws("eks").delete_nodegroup(clusterName="ci", nodegroupName="asked")
    with pytest.raises(grpc.RpcError, match="couldn't find resource"):
        client.invoke("aws:eks/getNodeGroup:getNodeGroup", {"clusterName": "ci", "nodeGroupName": "asked"})


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
