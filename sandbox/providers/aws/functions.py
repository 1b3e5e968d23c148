# ruff: noqa: S106 (a function's token is its name)
"""The data sources about identity, regions, networks and instance types."""

import base64
import json
from typing import Any

from botocore.loaders import create_loader

from sandbox.providers.aws.connection import AwsConnection
from sandbox.providers.framework import Function, Property
from sandbox.values import Properties

_REGION = {"region": Property()}
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def get_caller_identity(connection: AwsConnection, arguments: Properties) -> Properties:  # noqa: ARG001 (takes none)
    identity = connection.sts().get_caller_identity()
    account = identity["Account"]
    return {"accountId": account, "arn": identity["Arn"], "id": account, "userId": identity["UserId"]}


def get_region(connection: AwsConnection, arguments: Properties) -> Properties:
    region = arguments.get("name") or connection.region_of(arguments)
    return {
        "description": _partition(region)["regions"][region]["description"],
        "endpoint": f"ec2.{region}.amazonaws.com",
        "id": region,
        "name": region,
        "region": region,
    }


def get_partition(connection: AwsConnection, arguments: Properties) -> Properties:  # noqa: ARG001 (takes none)
    partition = _partition(connection.region)
    suffix = partition["dnsSuffix"]
    return {
        "dnsSuffix": suffix,
        "id": partition["partition"],
        "partition": partition["partition"],
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
    }


def get_vpc(connection: AwsConnection, arguments: Properties) -> Properties:
    client = connection.ec2(arguments)
    found: Any = client.describe_vpcs(VpcIds=[arguments["id"]])["Vpcs"][0]

    def attribute(name: Any) -> bool:
        answer: Any = client.describe_vpc_attribute(VpcId=arguments["id"], Attribute=name)
        return bool(answer[name[:1].upper() + name[1:]]["Value"])

    return {
        "arn": f"arn:aws:ec2:{connection.region_of(arguments)}:{found['OwnerId']}:vpc/{found['VpcId']}",
        "cidrBlock": found["CidrBlock"],
        "cidrBlockAssociations": [
            {
                "associationId": each["AssociationId"],
                "cidrBlock": each["CidrBlock"],
                "state": each["CidrBlockState"]["State"],
            }
            for each in found.get("CidrBlockAssociationSet", [])
        ],
        "default": found.get("IsDefault", False),
        "dhcpOptionsId": found["DhcpOptionsId"],
        "enableDnsHostnames": attribute("enableDnsHostnames"),
        "enableDnsSupport": attribute("enableDnsSupport"),
        "enableNetworkAddressUsageMetrics": attribute("enableNetworkAddressUsageMetrics"),
        "id": found["VpcId"],
        "instanceTenancy": found["InstanceTenancy"],
        "ipv6CidrBlockAssociations": [
            {
                "associationId": each["AssociationId"],
                "ipv6CidrBlock": each["Ipv6CidrBlock"],
                "state": each["Ipv6CidrBlockState"]["State"],
            }
            for each in found.get("Ipv6CidrBlockAssociationSet", [])
        ],
        "ownerId": found["OwnerId"],
        "region": connection.region_of(arguments),
        "state": found["State"],
        "tags": {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
    }


def get_security_group(connection: AwsConnection, arguments: Properties) -> Properties:
    group_id, region = arguments["id"], connection.region_of(arguments)
    found: Any = connection.ec2(arguments).describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    return {
        "arn": f"arn:aws:ec2:{region}:{found['OwnerId']}:security-group/{group_id}",
        "description": found["Description"],
        "id": group_id,
        "name": found["GroupName"],
        "region": region,
        "tags": {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
        "vpcId": found["VpcId"],
    }


def get_policy(connection: AwsConnection, arguments: Properties) -> Properties:
    client, arn = connection.iam(), arguments["arn"]
    policy = client.get_policy(PolicyArn=arn)["Policy"]
    version = client.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    return {
        "arn": arn,
        "attachmentCount": policy["AttachmentCount"],
        "description": policy.get("Description", ""),
        "id": arn,
        "name": policy["PolicyName"],
        "path": policy["Path"],
        "policy": json.dumps(version["Document"]),
        "policyId": policy["PolicyId"],
        "tags": {tag["Key"]: tag["Value"] for tag in policy.get("Tags", [])},
    }


def get_network_interfaces(connection: AwsConnection, arguments: Properties) -> Properties:
    filters = {each["name"]: each["values"] for each in arguments.get("filters", [])}
    kinds = filters.pop("interface-type", None)  # which moto does not have
    wanted: Any = [{"Name": name, "Values": values} for name, values in filters.items()]
    found = connection.ec2(arguments).describe_network_interfaces(Filters=wanted)["NetworkInterfaces"]
    region = connection.region_of(arguments)
    ids = [each["NetworkInterfaceId"] for each in found if kinds is None or each.get("InterfaceType") in kinds]
    return {"id": region, "ids": ids, "region": region}


def get_network_interface(connection: AwsConnection, arguments: Properties) -> Properties:
    wanted = [arguments["id"]]
    found: Any = connection.ec2(arguments).describe_network_interfaces(NetworkInterfaceIds=wanted)
    [interface] = found["NetworkInterfaces"]
    return {
        "id": interface["NetworkInterfaceId"],
        "interfaceType": interface.get("InterfaceType", "interface"),
        "ipv6Addresses": [each["Ipv6Address"] for each in interface.get("Ipv6Addresses", [])],
        "privateIp": interface["PrivateIpAddress"],
        "region": connection.region_of(arguments),
        "subnetId": interface["SubnetId"],
        "vpcId": interface["VpcId"],
    }


def get_instance_type(connection: AwsConnection, arguments: Properties) -> Properties:
    name = arguments["instanceType"]
    found: Any = connection.ec2(arguments).describe_instance_types(InstanceTypes=[name])["InstanceTypes"][0]
    cpus, processor, network, ebs = found["VCpuInfo"], found["ProcessorInfo"], found["NetworkInfo"], found["EbsInfo"]
    return {
        "autoRecoverySupported": found["AutoRecoverySupported"],
        "bareMetal": found["BareMetal"],
        "burstablePerformanceSupported": found["BurstablePerformanceSupported"],
        "currentGeneration": found["CurrentGeneration"],
        "dedicatedHostsSupported": found["DedicatedHostsSupported"],
        "defaultCores": cpus["DefaultCores"],
        "defaultThreadsPerCore": cpus["DefaultThreadsPerCore"],
        "defaultVcpus": cpus["DefaultVCpus"],
        "ebsEncryptionSupport": ebs["EncryptionSupport"],
        "ebsNvmeSupport": ebs["NvmeSupport"],
        "ebsOptimizedSupport": ebs["EbsOptimizedSupport"],
        "enaSupport": network["EnaSupport"],
        "hypervisor": found.get("Hypervisor", ""),
        "id": name,
        "instanceStorageSupported": found["InstanceStorageSupported"],
        "instanceType": name,
        "ipv6Supported": network["Ipv6Supported"],
        "maximumIpv4AddressesPerInterface": network["Ipv4AddressesPerInterface"],
        "maximumIpv6AddressesPerInterface": network["Ipv6AddressesPerInterface"],
        "maximumNetworkCards": network["MaximumNetworkCards"],
        "maximumNetworkInterfaces": network["MaximumNetworkInterfaces"],
        "memorySize": found["MemoryInfo"]["SizeInMiB"],
        "networkPerformance": network["NetworkPerformance"],
        "region": connection.region_of(arguments),
        "supportedArchitectures": processor["SupportedArchitectures"],
        "supportedRootDeviceTypes": found["SupportedRootDeviceTypes"],
        "supportedUsagesClasses": found["SupportedUsageClasses"],
        "supportedVirtualizationTypes": found["SupportedVirtualizationTypes"],
        "sustainedClockSpeed": processor.get("SustainedClockSpeedInGhz", 0),
    }


def get_authorization_token(connection: AwsConnection, arguments: Properties) -> Properties:
    region = connection.region_of(arguments)
    request: Any = {"registryIds": [arguments["registryId"]]} if "registryId" in arguments else {}
    token = connection.ecr(arguments).get_authorization_token(**request)["authorizationData"][0]
    user_name, _, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
    return {
        "authorizationToken": token["authorizationToken"],
        "expiresAt": token["expiresAt"].strftime(_TIME),
        "id": region,
        "password": password,
        # Not the registry's real host: `sandbox.services.aws.ecr.registry` answers at the address of the API.
        "proxyEndpoint": connection.endpoint,
        "region": region,
        "registryId": arguments.get("registryId"),
        "userName": user_name,
    }


def get_open_id_connect_provider(connection: AwsConnection, arguments: Properties) -> Properties:
    client = connection.iam()
    arn = arguments.get("arn")
    if arn is None:
        issuer = arguments["url"].removeprefix("https://")
        known = client.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        arn = next((each["Arn"] for each in known if each["Arn"].partition("/")[2] == issuer), None)
    if arn is None:
        raise LookupError(f"IAM has no OpenID Connect provider for {arguments['url']}")
    found = client.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    return {
        "arn": arn,
        "clientIdLists": found["ClientIDList"],
        "id": arn,
        "tags": {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
        "thumbprintLists": found.get("ThumbprintList", []),
        "url": found["Url"],
    }


def _partition(region: str) -> Any:
    """Botocore's data about the partition of a region."""
    partitions = create_loader().load_data("endpoints")["partitions"]
    return next(each for each in partitions if region in each["regions"])


FUNCTIONS = (
    Function(
        token="aws:index/getCallerIdentity:getCallerIdentity",
        arguments={"id": Property()},
        call=get_caller_identity,
    ),
    Function(
        token="aws:index/getRegion:getRegion",
        arguments={"endpoint": Property(), "id": Property(), "name": Property(), **_REGION},
        call=get_region,
    ),
    Function(token="aws:index/getPartition:getPartition", arguments={"id": Property()}, call=get_partition),
    Function(
        token="aws:ec2/getVpc:getVpc",
        arguments={"id": Property(required=True), **_REGION},
        call=get_vpc,
    ),
    Function(
        token="aws:ec2/getSecurityGroup:getSecurityGroup",
        arguments={"id": Property(required=True), **_REGION},
        call=get_security_group,
    ),
    Function(token="aws:iam/getPolicy:getPolicy", arguments={"arn": Property(required=True)}, call=get_policy),
    Function(
        token="aws:ec2/getNetworkInterfaces:getNetworkInterfaces",
        arguments={"filters": Property(), "tags": Property(), **_REGION},
        call=get_network_interfaces,
    ),
    Function(
        token="aws:ec2/getNetworkInterface:getNetworkInterface",
        arguments={"id": Property(required=True), **_REGION},
        call=get_network_interface,
    ),
    Function(
        token="aws:ec2/getInstanceType:getInstanceType",
        arguments={"instanceType": Property(required=True), **_REGION},
        call=get_instance_type,
    ),
    Function(
        token="aws:ecr/getAuthorizationToken:getAuthorizationToken",
        arguments={"registryId": Property(), **_REGION},
        call=get_authorization_token,
        secrets=frozenset({"authorizationToken", "password"}),
    ),
    Function(
        token="aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider",
        arguments={"arn": Property(), "tags": Property(), "url": Property()},
        call=get_open_id_connect_provider,
    ),
)
