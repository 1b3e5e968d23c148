# ruff: noqa: S106 (a function's token is its name)
"""The data sources about an EKS cluster, its add-ons and its node groups."""

import base64

from sandbox.providers.aws.connection import AwsConnection
from sandbox.providers.framework import Function, Property
from sandbox.values import Properties

_REGION = {"region": Property()}
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def get_cluster(connection: AwsConnection, arguments: Properties) -> Properties:
    cluster = connection.eks(arguments).describe_cluster(name=arguments["name"])["cluster"]
    network, vpc = cluster["kubernetesNetworkConfig"], cluster["resourcesVpcConfig"]
    return {
        "accessConfigs": [
            {
                "authenticationMode": cluster["accessConfig"]["authenticationMode"],
                "bootstrapClusterCreatorAdminPermissions": False,  # which DescribeCluster does not return
            }
        ],
        "arn": cluster["arn"],
        "certificateAuthorities": [{"data": cluster["certificateAuthority"]["data"]}],
        "computeConfigs": [
            {
                "enabled": cluster["computeConfig"]["enabled"],
                "nodePools": cluster["computeConfig"].get("nodePools", []),
                "nodeRoleArn": cluster["computeConfig"].get("nodeRoleArn", ""),
            }
        ],
        "createdAt": cluster["createdAt"].strftime(_TIME),
        "enabledClusterLogTypes": [
            kind for each in cluster["logging"]["clusterLogging"] if each["enabled"] for kind in each["types"]
        ],
        "endpoint": cluster["endpoint"],
        "id": cluster["name"],
        "identities": [{"oidcs": [{"issuer": cluster["identity"]["oidc"]["issuer"]}]}],
        "kubernetesNetworkConfigs": [
            {
                "elasticLoadBalancings": [],
                "ipFamily": network.get("ipFamily", "ipv4"),
                "serviceIpv4Cidr": network.get("serviceIpv4Cidr", ""),
                "serviceIpv6Cidr": network.get("serviceIpv6Cidr", ""),
            }
        ],
        "name": cluster["name"],
        "platformVersion": cluster["platformVersion"],
        "region": connection.region_of(arguments),
        "roleArn": cluster["roleArn"],
        "status": cluster["status"],
        "tags": cluster.get("tags", {}),
        "version": cluster["version"],
        "vpcConfig": {
            "clusterSecurityGroupId": vpc.get("clusterSecurityGroupId", ""),
            "endpointPrivateAccess": vpc.get("endpointPrivateAccess", False),
            "endpointPublicAccess": vpc.get("endpointPublicAccess", True),
            "publicAccessCidrs": vpc.get("publicAccessCidrs", []),
            "securityGroupIds": vpc.get("securityGroupIds", []),
            "subnetIds": vpc["subnetIds"],
            "vpcId": vpc.get("vpcId", ""),
        },
    }


def get_addon(connection: AwsConnection, arguments: Properties) -> Properties:
    cluster, name = arguments["clusterName"], arguments["addonName"]
    addon = connection.eks(arguments).describe_addon(clusterName=cluster, addonName=name)["addon"]
    return {
        "addonName": addon["addonName"],
        "addonVersion": addon["addonVersion"],
        "arn": addon["addonArn"],
        "clusterName": addon["clusterName"],
        "configurationValues": addon.get("configurationValues"),
        "createdAt": addon["createdAt"].strftime(_TIME),
        "id": f"{cluster}:{name}",
        "modifiedAt": addon["modifiedAt"].strftime(_TIME),
        "podIdentityAssociations": [],
        "region": connection.region_of(arguments),
        "serviceAccountRoleArn": addon.get("serviceAccountRoleArn", ""),
        "tags": addon.get("tags", {}),
    }


def get_node_groups(connection: AwsConnection, arguments: Properties) -> Properties:
    cluster = arguments["clusterName"]
    pages = connection.eks(arguments).get_paginator("list_nodegroups").paginate(clusterName=cluster)
    return {
        "clusterName": cluster,
        "id": cluster,
        "names": [name for page in pages for name in page["nodegroups"]],
        "region": connection.region_of(arguments),
    }


def get_cluster_auth(connection: AwsConnection, arguments: Properties) -> Properties:
    """A token for the cluster's API: a request to STS for the caller's identity, signed by the caller.

    The real one also signs the cluster's name. The sandbox's Kubernetes reads none of it.
    Source: https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster
    """
    url = connection.sts().generate_presigned_url("get_caller_identity", ExpiresIn=60)
    return {
        "id": arguments["name"],
        "name": arguments["name"],
        "region": connection.region_of(arguments),
        "token": f"k8s-aws-v1.{base64.urlsafe_b64encode(url.encode()).decode().rstrip('=')}",
    }


CLUSTER_FUNCTIONS = (
    Function(
        token="aws:eks/getCluster:getCluster",
        arguments={"name": Property(required=True), "tags": Property(), **_REGION},
        call=get_cluster,
    ),
    Function(
        token="aws:eks/getClusterAuth:getClusterAuth",
        arguments={"name": Property(required=True), **_REGION},
        call=get_cluster_auth,
    ),
    Function(
        token="aws:eks/getAddon:getAddon",
        arguments={
            "addonName": Property(required=True),
            "clusterName": Property(required=True),
            "tags": Property(),
            **_REGION,
        },
        call=get_addon,
    ),
    Function(
        token="aws:eks/getNodeGroups:getNodeGroups",
        arguments={"clusterName": Property(required=True), **_REGION},
        call=get_node_groups,
    ),
)
