"""A company's settings for its build nodes: security groups, volumes, labels, and a script at their start."""

import base64
from email import message_from_bytes
from typing import Any

import pytest

from components.labels import BUILDS
from tests.components.answers import ACCOUNT, REGION
from tests.components.mocks import STACK, Declared, declare
from tests.components.test_lookups import refused
from tests.stacks.stack_settings import problems, settings

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


def arm64(**keys: Any) -> dict[str, Any]:
    """Settings of arm64 nodes, under the key's own name."""
    named = {key.replace("_", "-"): value for key, value in keys.items()}
    return {"arm64": {"instance-types": ["m7g.4xlarge"], **named}}


def nodes(**keys: Any) -> Declared:
    return declare(nodes=arm64(**keys))


def template(**keys: Any) -> dict[str, Any]:
    return dict(nodes(**keys).only("ec2:LaunchTemplate").inputs)


def disk(**keys: Any) -> dict[str, Any]:
    [mapping] = template(**keys)["blockDeviceMappings"]
    found: dict[str, Any] = mapping["ebs"]
    return found


def test_more_security_groups_come_besides_the_clusters() -> None:
    groups = template(security_groups=["sg-a", "sg-c"])["vpcSecurityGroupIds"]
    assert groups == ["sg-cluster", "sg-a", "sg-c"], "without the cluster's, a node cannot join"
    assert "vpcSecurityGroupIds" not in template(), "EKS gives the nodes the cluster's by itself"


def test_security_groups_must_be_where_the_nodes_are() -> None:
    message = refused(nodes=arm64(security_groups=["sg-a", "sg-b"]))
    assert "buildyard:nodes.arm64.security-groups[1]: sg-b is in the VPC vpc-b, and the cluster is in vpc-a" in message
    assert "security-groups[0]" not in message
    missing = refused({"getSecurityGroup": "InvalidGroup.NotFound"}, nodes=arm64(security_groups=["sg-a"]))
    assert "buildyard:nodes.arm64.security-groups[0]: InvalidGroup.NotFound" in missing


def test_volumes_are_as_the_settings_say() -> None:
    chosen = disk(disk="100Gi", disk_iops=12000, disk_throughput=1000, kms_key=KEY)
    assert (chosen["iops"], chosen["throughput"], chosen["kmsKeyId"]) == (12000, 1000, KEY)
    assert chosen["encrypted"] == "true"
    assert "kmsKeyId" not in disk(), "EBS then uses the account's default key"


def test_a_key_of_another_region_encrypts_no_volume() -> None:
    message = refused(nodes=arm64(kms_key=KEY.replace(REGION, "eu-west-1")))
    assert f"buildyard:nodes.arm64.kms-key: the key is in eu-west-1, and the nodes are in {REGION}" in message


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"disk": "20Gi", "disk_iops": 10001}, "disk-iops"),
        ({"disk": "10Gi"}, "disk-iops"),
        ({"disk_iops": 3000, "disk_throughput": 751}, "disk-throughput"),
    ],
)
def test_volumes_that_ec2_refuses(keys: dict[str, Any], key: str) -> None:
    assert f"buildyard:nodes.arm64.{key}" in problems(nodes=arm64(**keys))


@pytest.mark.parametrize(
    "keys",
    [
        {"disk": "20Gi", "disk_iops": 10000},
        {"disk": "1Gi", "disk_iops": 3000, "disk_throughput": 750},
        {"disk_iops": 80000, "disk_throughput": 2000},
    ],
)
def test_volumes_that_ec2_takes(keys: dict[str, Any]) -> None:
    assert settings(nodes=arm64(**keys))


def test_nodes_have_more_labels() -> None:
    group = nodes(labels={"team": "platform", "example.com/cost-center": "4711"}).only("eks:NodeGroup")
    assert group.inputs["labels"] == {"team": "platform", "example.com/cost-center": "4711", BUILDS: STACK}


@pytest.mark.parametrize(
    "key",
    [
        "eks.amazonaws.com/nodegroup",
        "kubernetes.io/arch",
        "node-role.kubernetes.io/x",
        "k8s.io/x",
        BUILDS,
        "a b",
        "a/",
        "-a",
    ],
)
def test_labels_that_others_own_or_kubernetes_refuses(key: str) -> None:
    assert problems(nodes=arm64(labels={key: "x"}))


@pytest.mark.parametrize("value", ["", "a b", "-a", "x" * 64])
def test_label_values_that_eks_refuses(value: str) -> None:
    assert problems(nodes=arm64(labels={"team": value}))


SCRIPT = "#!/bin/bash\nset -e\ncat >/etc/pki/ca-trust/source/anchors/company.pem <<'END'\nGrüße\nEND\nupdate-ca-trust\n"


def parts(user_data: str) -> list[tuple[str, str]]:
    """The parts of nodes' user data, as cloud-init reads them."""
    message = message_from_bytes(base64.b64decode(user_data))
    payload: Any = message.get_payload()
    return [(part.get_content_type(), part.get_payload(decode=True).decode()) for part in payload]


@pytest.mark.parametrize("user_namespaces", [False, True])
def test_a_script_runs_before_a_node_joins(user_namespaces: bool) -> None:
    declared = declare(nodes=arm64(boot_script=SCRIPT), runners={"user-namespaces": user_namespaces})
    found = parts(declared.only("ec2:LaunchTemplate").inputs["userData"])
    assert [kind for kind, _ in found] == ["text/x-shellscript", "application/node.eks.aws"]
    assert ("userNamespaces" in found[1][1]) is user_namespaces
    assert found[0][1].rstrip("\n") == SCRIPT.rstrip("\n")


@pytest.mark.parametrize("script", ["update-ca-trust", "#!/bin/sh\n--//\nx", f"#!/bin/sh\n{'x' * 8192}", ""])
def test_scripts_that_would_not_run(script: str) -> None:
    assert "buildyard:nodes.arm64.boot-script" in problems(nodes=arm64(boot_script=script))
