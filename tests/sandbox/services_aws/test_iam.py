"""IAM's names, paths and permissions boundaries, as AWS documents them."""

import json
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.endpoints import Endpoints
from tests.sandbox.conftest import AwsClient
from tests.sandbox.services_aws.test_sts import ROOT, refusal, role, session_of, statement

ACCOUNT = "123456789012"
NUMBERS = count()


def document(action: str = "*", resource: str = "*") -> str:
    rights = [{"Effect": "Allow", "Action": action, "Resource": resource}]
    return json.dumps({"Version": "2012-10-17", "Statement": rights})


TRUST = json.dumps({"Version": "2012-10-17", "Statement": [statement(ROOT)]})


@pytest.fixture
def iam(aws: AwsClient) -> Any:
    return aws("iam")


@pytest.fixture
def name() -> str:
    return f"Named-{next(NUMBERS)}"


def policy(iam: Any, name: str, text: str, **options: Any) -> str:
    arn: str = iam.create_policy(PolicyName=name, PolicyDocument=text, **options)["Policy"]["Arn"]
    return arn


def test_a_role_has_its_path_in_its_arn(iam: Any, name: str) -> None:
    made = iam.create_role(RoleName=name, Path="/ci/builds/", AssumeRolePolicyDocument=TRUST)["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/ci/builds/{name}"
    assert iam.get_role(RoleName=name)["Role"]["Path"] == "/ci/builds/"


@pytest.mark.parametrize("path", ["/", "/ci/"])
def test_names_differ_whatever_the_path_and_the_case(iam: Any, name: str, path: str) -> None:
    iam.create_role(RoleName=name, Path="/other/", AssumeRolePolicyDocument=TRUST)
    policy(iam, name, document(), Path="/other/")
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_role(RoleName=name.lower(), Path=path, AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        policy(iam, name.lower(), document(), Path=path)
    policies = iam.list_policies(Scope="Local")["Policies"]
    assert [each["Path"] for each in policies if each["PolicyName"].lower() == name.lower()] == ["/other/"]


def test_a_policy_may_have_the_name_of_one_of_awss(iam: Any) -> None:
    assert policy(iam, "AmazonEKS_CNI_Policy", document()) == f"arn:aws:iam::{ACCOUNT}:policy/AmazonEKS_CNI_Policy"


def test_a_boundary_exists(iam: Any, name: str) -> None:
    missing = f"arn:aws:iam::{ACCOUNT}:policy/missing"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=missing)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)  # the refused request left nothing
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=missing)
    boundary = policy(iam, name, document())
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    with pytest.raises(ClientError, match="DeleteConflict"):
        iam.delete_policy(PolicyArn=boundary)
    iam.delete_role_permissions_boundary(RoleName=name)
    iam.delete_policy(PolicyArn=boundary)


@pytest.mark.parametrize(("action", "allowed"), [("sts:*", True), ("ecr:*", False)])
def test_a_role_may_do_only_what_its_boundary_allows_too(
    endpoints: Endpoints, aws: AwsClient, iam: Any, name: str, action: str, allowed: bool
) -> None:
    wanted = role(aws, statement(ROOT))
    asking = role(aws, statement(ROOT), may={"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": wanted})
    sts = session_of(endpoints, aws, asking)
    assert not refusal(sts, wanted)
    boundary = policy(iam, name, document(action))
    iam.put_role_permissions_boundary(RoleName=asking.rpartition("/")[2], PermissionsBoundary=boundary)
    assert ("AccessDenied" not in refusal(sts, wanted)) is allowed
