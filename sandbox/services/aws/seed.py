"""The content of a new AWS account: a network, an EKS cluster and its nodes, created with AWS's own operations."""

import json
from typing import Any

import boto3

from sandbox.endpoints import CREDENTIALS, REGION

CLUSTER = "ci"
SYSTEM_NODES = "system"
KUBERNETES_VERSION = "1.34"
_NETWORK = "10.0.0.0/16"
_PRIVATE_SUBNETS = {"ap-east-1a": "10.0.0.0/19", "ap-east-1b": "10.0.32.0/19", "ap-east-1c": "10.0.64.0/19"}


def seed(endpoint: str) -> None:
    """Create the network and the cluster in a new account. Raises ClientError if they exist."""
    session = boto3.Session(CREDENTIALS, CREDENTIALS, region_name=REGION)
    subnets = _make_network(session, endpoint)
    _make_cluster(session, endpoint, subnets)


def _make_network(session: boto3.Session, endpoint: str) -> list[str]:
    ec2 = session.client("ec2", endpoint_url=endpoint)
    vpc = ec2.create_vpc(CidrBlock=_NETWORK)["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": CLUSTER}])
    subnets = []
    for zone, block in _PRIVATE_SUBNETS.items():
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        # EKS finds the subnets for internal load balancers by this tag.
        ec2.create_tags(
            Resources=[subnet],
            Tags=[
                {"Key": "Name", "Value": f"private-{zone}"},
                {"Key": "kubernetes.io/role/internal-elb", "Value": "1"},
            ],
        )
        subnets.append(subnet)
    return subnets


def _make_cluster(session: boto3.Session, endpoint: str, subnets: list[str]) -> None:
    iam = session.client("iam", endpoint_url=endpoint)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
    role = iam.create_role(RoleName=f"{CLUSTER}-cluster", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    eks = session.client("eks", endpoint_url=endpoint)
    cluster = eks.create_cluster(
        name=CLUSTER,
        version=KUBERNETES_VERSION,
        roleArn=role,
        resourcesVpcConfig={"subnetIds": subnets},
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"},
    )["cluster"]
    eks.create_addon(clusterName=CLUSTER, addonName="eks-pod-identity-agent")
    enforcing = '{"enableNetworkPolicy": "true"}'  # which nothing here does
    eks.create_addon(clusterName=CLUSTER, addonName="vpc-cni", configurationValues=enforcing)
    _make_nodes(iam, eks, subnets)
    iam.create_open_id_connect_provider(Url=cluster["identity"]["oidc"]["issuer"], ClientIDList=["sts.amazonaws.com"])


def _make_nodes(iam: Any, eks: Any, subnets: list[str]) -> None:
    """The node group of everything but builds: managers run there, too."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName=f"{CLUSTER}-{SYSTEM_NODES}", AssumeRolePolicyDocument=json.dumps(trust))
    eks.create_nodegroup(
        clusterName=CLUSTER,
        nodegroupName=SYSTEM_NODES,
        nodeRole=role["Role"]["Arn"],
        subnets=subnets,
        scalingConfig={"minSize": 2, "maxSize": 4, "desiredSize": 2},
        instanceTypes=["m7g.large"],
        amiType="AL2023_ARM_64_STANDARD",
    )
