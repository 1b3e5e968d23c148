"""EKS access entries, with the documented behaviour of EKS."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.conftest import AwsClient

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
NUMBERS = count()


@pytest.fixture
def eks(aws: AwsClient) -> Any:
    return aws("eks")


@pytest.fixture
def role(aws: AwsClient) -> str:
    made = aws("iam").create_role(RoleName=f"entered-{next(NUMBERS)}", Path="/ci/", AssumeRolePolicyDocument=TRUST)
    return str(made["Role"]["Arn"])


@pytest.fixture
def entry(eks: Any, role: str) -> Iterator[dict[str, Any]]:
    made = eks.create_access_entry(
        clusterName="ci", principalArn=role, kubernetesGroups=["readers"], tags={"team": "platform"}
    )["accessEntry"]
    yield made
    eks.delete_access_entry(clusterName="ci", principalArn=role)


def test_an_entry_names_the_roles_sessions_as_users(entry: dict[str, Any], eks: Any, role: str) -> None:
    name = role.rpartition("/")[2]
    assert entry["username"] == f"arn:aws:sts::123456789012:assumed-role/{name}/{{{{SessionName}}}}"
    assert entry["type"] == "STANDARD"
    assert f":access-entry/ci/role/123456789012/{name}/" in entry["accessEntryArn"], "EKS leaves out the role's path"
    assert eks.describe_access_entry(clusterName="ci", principalArn=role)["accessEntry"] == entry
    assert role in eks.list_access_entries(clusterName="ci")["accessEntries"]
    assert eks.list_tags_for_resource(resourceArn=entry["accessEntryArn"])["tags"] == {"team": "platform"}


def test_an_update_replaces_the_groups(entry: dict[str, Any], eks: Any, role: str) -> None:
    updated = eks.update_access_entry(clusterName="ci", principalArn=role, kubernetesGroups=["writers"])["accessEntry"]
    assert updated["kubernetesGroups"] == ["writers"]
    assert updated["username"] == entry["username"]


def test_policies_are_associated_with_a_scope(entry: dict[str, Any], eks: Any, role: str) -> None:
    at = {"clusterName": "ci", "principalArn": role}
    eks.associate_access_policy(**at, policyArn=ADMIN, accessScope={"type": "namespace", "namespaces": ["a"]})
    eks.associate_access_policy(**at, policyArn=ADMIN, accessScope={"type": "cluster"})
    [policy] = eks.list_associated_access_policies(**at)["associatedAccessPolicies"]
    assert (policy["policyArn"], policy["accessScope"]["type"]) == (ADMIN, "cluster")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        eks.associate_access_policy(**at, policyArn=f"{ADMIN}2", accessScope={"type": "cluster"})
    with pytest.raises(ClientError, match="namespaces go with"):
        eks.associate_access_policy(**at, policyArn=ADMIN, accessScope={"type": "namespace"})
    eks.disassociate_access_policy(**at, policyArn=ADMIN)
    assert eks.list_associated_access_policies(**at)["associatedAccessPolicies"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.disassociate_access_policy(**at, policyArn=ADMIN)


def test_eks_refuses(entry: dict[str, Any], eks: Any, role: str) -> None:
    for message, changed in (
        ("ResourceInUseException", {}),
        ("invalid principal", {"principalArn": f"{role}2"}),
        ("invalid principal", {"principalArn": "arn:aws:sts::123456789012:assumed-role/entered/session"}),
        ("it cannot start with system:", {"kubernetesGroups": ["system:masters"]}),
        ("ResourceNotFoundException", {"clusterName": "other"}),
    ):
        with pytest.raises(ClientError, match=message):
            eks.create_access_entry(**{"clusterName": "ci", "principalArn": role, **changed})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.describe_access_entry(clusterName="ci", principalArn=f"{role}2")


def test_a_cluster_has_entries_only_in_a_mode_with_the_api(aws: AwsClient, eks: Any, role: str) -> None:
    subnets = [each["SubnetId"] for each in aws("ec2").describe_subnets()["Subnets"]]
    eks.create_cluster(name="old", roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
    config = eks.describe_cluster(name="old")["cluster"]["accessConfig"]
    assert config["authenticationMode"] == "CONFIG_MAP", "the default of the API"
    with pytest.raises(ClientError, match="authentication mode must be set to one of"):
        eks.create_access_entry(clusterName="old", principalArn=role)
    eks.delete_cluster(name="old")
