"""Who may assume a role: the trust policies of roles, as STS and EKS Auth judge them."""

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from components import policy_documents
from sandbox import server
from sandbox.endpoints import REGION, Endpoints
from sandbox.services.aws import tokens
from tests.sandbox.conftest import AwsClient, aws_clients

ACCOUNT, CLUSTER = "123456789012", "ci"
NUMBERS = count()


def statement(principal: Any, **more: Any) -> dict[str, Any]:
    action = ["sts:AssumeRole", "sts:TagSession"]
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def role(aws: AwsClient, *trust: Mapping[str, Any], may: Mapping[str, Any] | None = None) -> str:
    """A new role with these statements in its trust policy, and one in its own policy. Returns its ARN."""
    name = f"trusting-{next(NUMBERS)}"
    document = json.dumps({"Version": "2012-10-17", "Statement": list(trust)})
    arn = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    if may:
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        aws("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    return str(arn)


def session_of(endpoints: Endpoints, aws: AwsClient, arn: str) -> Any:
    """STS as a session of a role calls it."""
    got = aws("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    keys = (got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    return boto3.Session(*keys, region_name=REGION).client("sts", endpoint_url=endpoints.aws)


def refusal(sts: Any, arn: str, **options: Any) -> str:
    """STS's error, or nothing if it returns the role's credentials."""
    try:
        sts.assume_role(RoleArn=arn, RoleSessionName="test", **options)
    except ClientError as error:
        return str(error)
    return ""


ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
POD = {"eks-cluster-arn": "c", "kubernetes-namespace": "n", "kubernetes-service-account": "s"}


def test_a_role_is_for_those_it_trusts(endpoints: Endpoints, aws: AwsClient) -> None:
    asking = role(aws, statement(ROOT))
    friend = session_of(endpoints, aws, asking)
    assert not refusal(friend, role(aws, statement({"AWS": asking})))
    for other in (
        role(aws, statement({"AWS": f"{asking}2"})),
        role(aws, statement({"Service": "pods.eks.amazonaws.com"})),
        role(aws, statement({"AWS": asking}), statement(ROOT, Effect="Deny")),
        f"arn:aws:iam::{ACCOUNT}:role/nobody",
    ):
        assert "AccessDenied" in refusal(friend, other)
        assert f"is not authorized to perform: sts:AssumeRole on resource: {other}" in refusal(friend, other)


def test_a_role_that_trusts_the_account_is_for_those_whom_the_account_lets(
    endpoints: Endpoints, aws: AwsClient
) -> None:
    wanted = role(aws, statement(ROOT))
    without = session_of(endpoints, aws, role(aws, statement(ROOT)))
    assert "AccessDenied" in refusal(without, wanted)
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": wanted}
    assert not refusal(session_of(endpoints, aws, role(aws, statement(ROOT), may=may)), wanted)


def test_session_tags_of_ones_own_make_nobody_eks(endpoints: Endpoints, aws: AwsClient) -> None:
    condition = {"StringEquals": {f"aws:RequestTag/{key}": value for key, value in POD.items()}}
    wanted = role(aws, statement({"Service": "pods.eks.amazonaws.com"}, Condition=condition))
    asking = session_of(endpoints, aws, role(aws, statement(ROOT)))
    tags = [{"Key": key, "Value": value} for key, value in POD.items()]
    assert "AccessDenied" in refusal(asking, wanted, Tags=tags)


@pytest.fixture
def issuer(aws: AwsClient) -> str:
    return str(aws("eks").describe_cluster(name=CLUSTER)["cluster"]["identity"]["oidc"]["issuer"])


def token(directory: Path, issuer: str, namespace: str, audience: str) -> str:
    key = tokens.signing_key(directory)
    return tokens.issue(key, issuer=issuer, namespace=namespace, service_account="builds", audience=audience)


def test_a_service_account_gets_its_own_role_alone_by_irsa(
    aws: AwsClient, sandbox_directory: Path, issuer: str
) -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.removeprefix('https://')}"
    trusts = [
        policy_documents.irsa_trust(oidc_provider_arn=provider, namespace=each, service_account="builds")
        for each in ("mine", "theirs")
    ]
    mine, theirs = (role(aws, *each["Statement"]) for each in trusts)
    pods = role(aws, statement({"Service": "pods.eks.amazonaws.com"}))
    own = token(sandbox_directory, issuer, "mine", tokens.STS)

    def ask(arn: str, shown: str) -> str:
        try:
            aws("sts").assume_role_with_web_identity(RoleArn=arn, RoleSessionName="test", WebIdentityToken=shown)
        except ClientError as error:
            return str(error)
        return ""

    assert not ask(mine, own)
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in ask(theirs, own)
    assert "Not authorized" in ask(pods, own)
    assert "Incorrect token audience" in ask(mine, token(sandbox_directory, issuer, "mine", tokens.POD_IDENTITY))
    assert "No OpenIDConnect provider" in ask(mine, token(sandbox_directory, f"{issuer}2", "mine", tokens.STS))
    for forged in (f"{own}A", "A.B.C", "four"):
        assert "InvalidIdentityToken" in ask(mine, forged)


def associated(aws: AwsClient, namespace: str, trust: Mapping[str, Any]) -> str:
    arn = role(aws, trust)
    aws("eks").create_pod_identity_association(
        clusterName=CLUSTER, namespace=namespace, serviceAccount="builds", roleArn=arn
    )
    return arn


def test_eks_gives_a_role_only_to_the_pods_that_its_trust_policy_names(
    aws: AwsClient, sandbox_directory: Path, issuer: str
) -> None:
    cluster = aws("eks").describe_cluster(name=CLUSTER)["cluster"]["arn"]
    trust = policy_documents.pod_identity_trust(cluster_arn=cluster, namespace="right", service_account="builds")
    right = associated(aws, "right", *trust["Statement"])
    associated(aws, "wrong", *trust["Statement"])  # by somebody who may create associations
    eks = aws("eks-auth")
    shown = token(sandbox_directory, issuer, "right", tokens.POD_IDENTITY)
    got = eks.assume_role_for_pod_identity(clusterName=CLUSTER, token=shown)
    assert got["assumedRoleUser"]["arn"].split("/")[1] == right.split("/")[1]
    with pytest.raises(eks.exceptions.AccessDeniedException):
        eks.assume_role_for_pod_identity(
            clusterName=CLUSTER, token=token(sandbox_directory, issuer, "wrong", tokens.POD_IDENTITY)
        )
    for other in (token(sandbox_directory, issuer, "right", tokens.STS), f"{shown}A"):
        with pytest.raises(eks.exceptions.InvalidTokenException):
            eks.assume_role_for_pod_identity(clusterName=CLUSTER, token=other)


def test_a_build_cannot_ask_eks_as_a_node_does(
    endpoints: Endpoints, aws: AwsClient, sandbox_directory: Path, issuer: str
) -> None:
    got = aws("sts").assume_role(RoleArn=role(aws, statement(ROOT)), RoleSessionName="test")["Credentials"]
    session = boto3.Session(got["AccessKeyId"], got["SecretAccessKey"], region_name=REGION)
    eks = session.client("eks-auth", endpoint_url=endpoints.aws)
    with pytest.raises(eks.exceptions.AccessDeniedException, match="eks-auth:AssumeRoleForPodIdentity"):
        eks.assume_role_for_pod_identity(
            clusterName=CLUSTER, token=token(sandbox_directory, issuer, "right", tokens.POD_IDENTITY)
        )


def test_a_restart_keeps_the_sessions_of_pods(tmp_path: Path) -> None:
    try:
        aws = aws_clients(server.start(tmp_path))
        cluster = aws("eks").describe_cluster(name=CLUSTER)["cluster"]
        trust = policy_documents.pod_identity_trust(
            cluster_arn=cluster["arn"], namespace="kept", service_account="builds"
        )
        associated(aws, "kept", *trust["Statement"])
        shown = token(tmp_path, cluster["identity"]["oidc"]["issuer"], "kept", tokens.POD_IDENTITY)
        got = aws("eks-auth").assume_role_for_pod_identity(clusterName=CLUSTER, token=shown)
        server.stop(tmp_path)
        restarted = server.start(tmp_path)
        keys = (got["credentials"]["accessKeyId"], got["credentials"]["secretAccessKey"])
        sts = boto3.Session(*keys, region_name=REGION).client("sts", endpoint_url=restarted.aws)
        assert sts.get_caller_identity()["Arn"] == got["assumedRoleUser"]["arn"]
    finally:
        server.stop(tmp_path)
