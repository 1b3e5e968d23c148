"""AWS refuses a role what its policies do not allow, and the sandbox keeps a record of what roles need."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from sandbox.endpoints import REGION, Endpoints
from tests.sandbox.conftest import AwsClient
from tests.sandbox.manifests import image
from tests.sandbox.services_aws.test_ecr import put, repository

ACCOUNT = "123456789012"
NUMBERS = count()

Acting = Callable[..., Any]


@pytest.fixture
def acting(aws: AwsClient, endpoints: Endpoints) -> Acting:
    """A client of a service with the session of a new role, whose only rights are these statements."""

    def client(service: str, *statements: dict[str, Any]) -> Any:
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        }
        name = f"judged-{next(NUMBERS)}"
        role = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            aws("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        got = aws("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        session = boto3.Session(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"], region_name=REGION)
        return session.client(service, endpoint_url=endpoints.aws)  # type: ignore[call-overload]

    return client


def allow(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_a_role_without_policies_may_do_nothing_but_say_who_it_is(acting: Acting) -> None:
    assert acting("sts").get_caller_identity()["Account"] == ACCOUNT
    asked: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("ecr", "AccessDeniedException", lambda each: each.describe_repositories()),
        ("eks", "AccessDeniedException", lambda each: each.describe_cluster(name="ci")),
        ("iam", "AccessDeniedException", lambda each: each.get_role(RoleName="ci-cluster")),
        ("ec2", "UnauthorizedOperation", lambda each: each.describe_vpcs()),
        ("autoscaling", "AccessDeniedException", lambda each: each.describe_tags()),
        ("kms", "AccessDeniedException", lambda each: each.describe_key(KeyId="alias/any")),
    )
    for service, code, ask in asked:
        with pytest.raises(ClientError, match=code):
            ask(acting(service))


def test_a_right_is_for_its_resource(acting: Acting, aws: AwsClient) -> None:
    for name in ("judged/mine", "judged/theirs"):
        aws("ecr").create_repository(repositoryName=name)
    mine = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/judged/mine"
    ecr = acting("ecr", allow("ecr:DescribeRepositories", mine))
    assert ecr.describe_repositories(repositoryNames=["judged/mine"])["repositories"]
    for names in (["judged/theirs"], ["judged/mine", "judged/theirs"]):
        with pytest.raises(ClientError, match="is not authorized to perform: ecr:DescribeRepositories on resource"):
            ecr.describe_repositories(repositoryNames=names)
    with pytest.raises(ClientError, match="ecr:DeleteRepository"):
        ecr.delete_repository(repositoryName="judged/mine")


def test_whoever_gives_a_service_a_role_must_be_allowed_to_pass_it(acting: Acting, aws: AwsClient) -> None:
    cluster = aws("eks").describe_cluster(name="ci")["cluster"]
    request = {
        "clusterName": "ci",
        "nodegroupName": "judged",
        "subnets": cluster["resourcesVpcConfig"]["subnetIds"],
        "nodeRole": cluster["roleArn"],
        "scalingConfig": {"minSize": 0, "maxSize": 1, "desiredSize": 0},
    }
    create = allow("eks:CreateNodegroup", cluster["arn"])
    with pytest.raises(ClientError, match="iam:PassRole"):
        acting("eks", create).create_nodegroup(**request)
    passing = {"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}}
    role = allow("iam:PassRole", cluster["roleArn"], Condition=passing)
    with pytest.raises(ClientError, match=r"iam:GetRole on resource: .*AWSServiceRoleForAmazonEKSNodegroup"):
        acting("eks", create, role).create_nodegroup(**request)
    acting("eks", create, role, allow("iam:GetRole"), allow("iam:ListAttachedRolePolicies")).create_nodegroup(**request)
    aws("eks").delete_nodegroup(clusterName="ci", nodegroupName="judged")


def test_an_operation_that_the_table_lacks_is_refused_by_name(acting: Acting) -> None:
    with pytest.raises(ClientError, match="does not know which rights eks:CreateAddon needs"):
        acting("eks", allow("eks:*")).create_addon(clusterName="ci", addonName="any")


def test_objects_of_a_bucket(acting: Acting, aws: AwsClient) -> None:
    bucket = "judged-objects"
    aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws("s3").put_object(Bucket=bucket, Key="a/one", Body=b"1")
    s3 = acting(
        "s3", allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"), allow("s3:PutObject", f"arn:aws:s3:::{bucket}/b/*")
    )
    assert s3.get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"
    s3.copy_object(Bucket=bucket, Key="b/one", CopySource={"Bucket": bucket, "Key": "a/one"})
    refused: tuple[Callable[[], Any], ...] = (
        lambda: s3.put_object(Bucket=bucket, Key="a/two", Body=b"2"),
        lambda: s3.get_object(Bucket=bucket, Key="b/one"),
        lambda: s3.copy_object(Bucket=bucket, Key="b/two", CopySource={"Bucket": bucket, "Key": "b/one"}),
        lambda: s3.delete_object(Bucket=bucket, Key="a/one"),
        lambda: s3.list_objects_v2(Bucket=bucket),
    )
    for ask in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            ask()


def test_conditions_of_a_buckets_policy_count(aws: AwsClient) -> None:
    bucket, s3 = "judged-conditions", aws("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def deny(value: str) -> None:
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"Bool": {"aws:SecureTransport": value}},
        }
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    deny("false")
    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    deny("true")
    with pytest.raises(ClientError, match="403"):
        s3.get_object(Bucket=bucket, Key="one")


def test_a_record_is_kept_of_roles_alone(acting: Acting, aws: AwsClient, sandbox_directory: Path) -> None:
    log = sandbox_directory / "log" / "rights.jsonl"
    acting("ec2", allow("ec2:DescribeVpcs")).describe_vpcs()
    before = log.read_text().splitlines()
    last = json.loads(before[-1])
    assert (last["action"], last["resource"], last["allowed"]) == ("ec2:DescribeVpcs", "*", True)
    assert last["role"].startswith("judged-")
    assert log.stat().st_mode & 0o077 == 0
    aws("ec2").describe_vpcs()
    assert log.read_text().splitlines() == before, "an administrator needs no rights"


def test_a_boundary_limits_what_policies_allow(acting: Acting, aws: AwsClient) -> None:
    ecr = acting("ecr", allow("ecr:*"))
    assert ecr.describe_repositories()["repositories"] is not None
    name = f"judged-{next(NUMBERS) - 1}"
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("ecr:GetAuthorizationToken")]})
    boundary = aws("iam").create_policy(PolicyName=f"{name}-boundary", PolicyDocument=document)["Policy"]["Arn"]
    aws("iam").put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    assert ecr.get_authorization_token()["authorizationData"]
    with pytest.raises(ClientError, match="AccessDeniedException"):
        ecr.describe_repositories()


def test_a_login_to_the_registry_has_the_rights_of_whoever_asked_for_it(
    acting: Acting, aws: AwsClient, endpoints: Endpoints
) -> None:
    name, other = repository(aws), repository(aws)
    for each in (name, other):
        put(aws, each, image(), "1.0")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    ecr = acting("ecr", allow("ecr:GetAuthorizationToken"), allow("ecr:BatchGetImage", arn))
    [login] = ecr.get_authorization_token()["authorizationData"]
    headers = {"Authorization": f"Basic {login['authorizationToken']}"}
    mine, theirs = (
        requests.get(f"{endpoints.aws}/v2/{each}/manifests/1.0", headers=headers, timeout=10) for each in (name, other)
    )
    assert mine.text == image()
    assert theirs.status_code == 403
    [error] = theirs.json()["errors"]
    assert error["code"] == "DENIED"
    assert (
        f"is not authorized to perform: ecr:BatchGetImage on resource: {arn.replace(name, other)}" in error["message"]
    )


CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/ci"
ADDON = f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/ci/eks-pod-identity-agent/*"
QUOTA = {"ServiceCode": "eks", "QuotaCode": "L-6D54EA21"}


@pytest.mark.parametrize(
    ("service", "ask", "action", "resource"),
    [
        ("eks", lambda eks: eks.list_nodegroups(clusterName="ci"), "eks:ListNodegroups", CLUSTER),
        (
            "eks",
            lambda eks: eks.describe_addon(clusterName="ci", addonName="eks-pod-identity-agent"),
            "eks:DescribeAddon",
            ADDON,
        ),
        ("iam", lambda iam: iam.list_roles(), "iam:ListRoles", "*"),
        ("ec2", lambda ec2: ec2.describe_security_groups(), "ec2:DescribeSecurityGroups", "*"),
        ("service-quotas", lambda quotas: quotas.get_service_quota(**QUOTA), "servicequotas:GetServiceQuota", "*"),
        (
            "service-quotas",
            lambda quotas: quotas.get_aws_default_service_quota(**QUOTA),
            "servicequotas:GetAWSDefaultServiceQuota",
            "*",
        ),
        ("resourcegroupstaggingapi", lambda tags: tags.get_resources(), "tag:GetResources", "*"),
    ],
)
def test_what_is_asked_before_a_deployment_needs_its_right(
    acting: Acting, service: str, ask: Callable[[Any], Any], action: str, resource: str
) -> None:
    assert ask(acting(service, allow(action, resource)))
    with pytest.raises(ClientError, match=f"is not authorized to perform: {action} on resource"):
        ask(acting(service, allow(action, "arn:aws:none:::none"), allow("sts:*")))
