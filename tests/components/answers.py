"""The answers of AWS and GitLab to the program's lookups, where a test does not say others."""

from collections.abc import Callable, Mapping
from typing import Any

ACCOUNT = "123456789012"
REGION = "ap-east-1"
PARTITION = "aws"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ISSUER = "https://oidc.eks.ap-east-1.amazonaws.com/id/0123456789ABCDEF"

_SIZES = {"large": (2, 8), "2xlarge": (8, 32), "4xlarge": (16, 64), "8xlarge": (32, 64)}
INSTANCE_TYPES = {
    f"{family}.{size}": (vcpus, memory * 1024, processor)
    for families, processor in ((("m7g", "m6g", "c7g"), "arm64"), (("m7i", "m6i", "m7a"), "x86_64"))
    for family in families
    for size, (vcpus, memory) in _SIZES.items()
}
"""vCPUs, memory in MiB, and EC2's name of the architecture."""


def _cluster(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": args["name"],
        "arn": f"arn:{PARTITION}:eks:{REGION}:{ACCOUNT}:cluster/{args['name']}",
        "version": {"old": "1.32", "older": "1.31"}.get(args["name"], "1.34"),
        "endpoint": "https://cluster.example.com",
        "certificateAuthorities": [{"data": "Y2VydGlmaWNhdGU="}],
        "accessConfigs": [
            {"authenticationMode": "CONFIG_MAP" if args["name"] == "old" else "API_AND_CONFIG_MAP"},
        ],
        "computeConfigs": [],
        "vpcConfig": {
            "subnetIds": ["subnet-a", "subnet-b", "subnet-c"],
            "vpcId": "vpc-a",
            "clusterSecurityGroupId": "sg-cluster",
        },
        "kubernetesNetworkConfigs": [{"serviceIpv4Cidr": "172.20.0.0/16", "serviceIpv6Cidr": ""}],
        "identities": [{"oidcs": [{"issuer": ISSUER}]}],
    }


def _instance_type(args: Mapping[str, Any]) -> dict[str, Any]:
    if args["instanceType"] not in INSTANCE_TYPES:
        raise LookupError(f"EC2 has no {args['instanceType']}")
    vcpus, memory, architecture = INSTANCE_TYPES[args["instanceType"]]
    return {
        "defaultVcpus": vcpus,
        "memorySize": memory,
        "supportedArchitectures": [architecture],
        "maximumNetworkInterfaces": 8,
        "maximumIpv4AddressesPerInterface": 30,
    }


def _project(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": "42",
        "archived": False,
        "buildsAccessLevel": "enabled",
        "ciConfigPath": "",
        "ciPipelineVariablesMinimumOverrideRole": "developer",
        "defaultBranch": "main",
        "emptyRepo": False,
        "groupRunnersEnabled": True,
        "runnerTokenExpirationInterval": 0,
        "markedForDeletionOn": "",
        "permissions": [{"projectAccess": {}, "groupAccess": {"access_level": 50, "notification_level": 3}}],
    }


def _missing_variable(args: Mapping[str, Any]) -> dict[str, Any]:
    raise LookupError(f"GET https://gitlab.com/api/v4/projects/{args['project']}/variables/X: 404 Variable Not Found")


def _file(args: Mapping[str, Any]) -> dict[str, Any]:
    """Every Dockerfile is there, and no pipeline."""
    if not args["filePath"].endswith("Dockerfile"):
        raise LookupError(
            f"GET https://gitlab.com/api/v4/projects/{args['project']}/repository/files: 404 File Not Found"
        )
    return {"filePath": args["filePath"], "content": "RlJPTSBzY3JhdGNoCg=="}


ANSWERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "getCallerIdentity": lambda args: {"accountId": ACCOUNT},
    "getRegion": lambda args: {"region": REGION},
    "getPartition": lambda args: {"partition": PARTITION},
    "getCluster": _cluster,
    "getClusterAuth": lambda args: {"token": "a-token"},
    "getVpc": lambda args: {
        "id": args["id"],
        "ownerId": "123456789012",
        "cidrBlockAssociations": [{"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "100.64.0.0/16"}],
        "ipv6CidrBlockAssociations": [{"ipv6CidrBlock": "2001:db8:1234::/56"}],
    },
    "getSecurityGroup": lambda args: {"id": args["id"], "vpcId": "vpc-b" if args["id"] == "sg-b" else "vpc-a"},
    "getPolicy": lambda args: {"arn": args["arn"]},
    "getNetworkInterfaces": lambda args: {"ids": ["eni-b", "eni-a"]},
    "getNetworkInterface": lambda args: {
        "eni-a": {"privateIp": "10.0.1.5", "ipv6Addresses": []},
        "eni-b": {"privateIp": "10.0.2.5", "ipv6Addresses": ["2001:db8:1234::5"]},
    }[args["id"]],
    "getInstanceType": _instance_type,
    "getOpenIdConnectProvider": lambda args: {
        "arn": f"arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{args['url'].removeprefix('https://')}"
    },
    "getProjectProtectedBranches": lambda args: {"protectedBranches": [{"name": "main"}, {"name": "master"}]},
    "getProjectProtectedTags": lambda args: {"protectedTags": [{"tag": "v*"}]},
    "getGroup": lambda args: {"groupId": 7, "markedForDeletionOn": ""},
    "getProject": _project,
    "getProjectVariable": _missing_variable,
    "getBranch": lambda args: {"name": args["name"], "canPush": True},
    "getRepositoryFile": _file,
    "getRepositoryTree": lambda args: {"trees": [{"path": f"{args['path']}/Dockerfile", "type": "blob"}]},
    "getMetadata": lambda args: {"version": "19.2.1-ee"},
    "getAddon": lambda args: {
        "addonVersion": "v1.20.4-eksbuild.1",
        **({"configurationValues": '{"enableNetworkPolicy": "true"}'} if args["addonName"] == "vpc-cni" else {}),
    },
    "getServiceQuota": lambda args: {"value": 10_000},
    "getRoles": lambda args: {"names": ["admin"]},
}
