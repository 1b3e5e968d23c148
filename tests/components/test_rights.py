"""Tests of the platform's own roles: their policies pass a linter, and each row of a table is judged as it says.

The linter is parliament, and the judge is the one that the sandbox's registry asks.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from components import build_nodes, policy_documents
from sandbox.services.aws.rights import allows, trusts
from tests.policy_linter import findings

ACCOUNT, REGION = "123456789012", "ap-east-1"
CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/ci"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/ABC"
ISSUER = f"oidc.eks.{REGION}.amazonaws.com/id/ABC"
IMAGES = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/platform/images"

PUSH = policy_documents.push([f"{IMAGES}/web", f"{IMAGES}/base"])
POD_IDENTITY = policy_documents.pod_identity_trust(cluster_arn=CLUSTER, namespace="builds", service_account="builds")
IRSA = policy_documents.irsa_trust(oidc_provider_arn=PROVIDER, namespace="builds", service_account="builds")
NODE = [
    json.loads(aws_managed_policies_data)[name]["Document"]  # AWS's own text
    for name in build_nodes.MANAGED_POLICIES
]
CNI = json.loads(aws_managed_policies_data)[build_nodes.CNI_POLICY]["Document"]


@pytest.mark.parametrize(
    ("changed", "issue"),
    [
        ({"Action": "ecr:PutImages"}, "UNKNOWN_ACTION"),
        ({"Resource": "arn:aws:s3:::images"}, "RESOURCE_MISMATCH"),
        ({"Resource": "*"}, "RESOURCE_STAR"),
        ({"Action": "ecr:SetRepositoryPolicy"}, "PERMISSIONS_MANAGEMENT_ACTIONS"),
        ({"Condition": {"StringEqual": {"aws:PrincipalAccount": ACCOUNT}}}, "UNKNOWN_OPERATOR"),
        ({"Condition": {"StringEquals": {"aws:Account": ACCOUNT}}}, "UNKNOWN_CONDITION_FOR_ACTION"),
    ],
)
def test_the_linter_finds_mistakes(changed: dict[str, Any], issue: str) -> None:
    statement = {"Effect": "Allow", "Action": "ecr:PutImage", "Resource": f"{IMAGES}/web", **changed}
    assert issue in findings({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("document", [*PUSH, POD_IDENTITY, IRSA, policy_documents.node_trust()])
def test_the_linter_finds_nothing(document: dict[str, Any]) -> None:
    assert findings(document) == {}


@pytest.mark.parametrize(
    ("action", "resource", "allowed", "reason"),
    [
        ("ecr:GetAuthorizationToken", "*", True, "every pull and push needs a token"),
        ("ecr:PutImage", f"{IMAGES}/web", True, "builds push their image"),
        ("ecr:InitiateLayerUpload", f"{IMAGES}/base", True, "builds push their layers"),
        ("ecr:BatchGetImage", f"{IMAGES}/base", True, "builds read caches and their base"),
        ("ecr:PutImage", f"{IMAGES}/webshop", False, "another stack's image whose name begins like ours"),
        ("ecr:PutImage", f"{IMAGES}/web/review", False, "a repository below ours"),
        ("ecr:BatchGetImage", f"{IMAGES}/other", False, "what other repositories hold may be secret"),
        ("ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/buildyard/builder", False, "all jobs run in it"),
        ("ecr:PutImage", f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/platform/images/web", False, "another region"),
        ("ecr:PutImage", f"arn:aws:ecr:{REGION}:999999999999:repository/platform/images/web", False, "an account"),
        ("ecr:BatchDeleteImage", f"{IMAGES}/web", False, "a release stays"),
        ("ecr:DeleteRepository", f"{IMAGES}/web", False, "all releases stay"),
        ("ecr:CreateRepository", f"{IMAGES}/new", False, "pulumi creates repositories"),
        ("ecr:PutImageTagMutability", f"{IMAGES}/web", False, "release tags stay immutable"),
        ("ecr:SetRepositoryPolicy", f"{IMAGES}/web", False, "nobody else gets access"),
        ("ecr:PutLifecyclePolicy", f"{IMAGES}/web", False, "what expires is in the settings"),
        ("ecr:ReplicateImage", f"{IMAGES}/web", False, "images stay in the account"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/buildyard-prod-deploy", False, "no way to other roles"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/buildyard-prod-push", False, "no way to other roles"),
        ("secretsmanager:GetSecretValue", "*", False, "builds get secrets from GitLab"),
        ("s3:GetObject", "arn:aws:s3:::example-pulumi-state/.pulumi/meta.yaml", False, "the state holds secrets"),
    ],
)
def test_builds_may(action: str, resource: str, allowed: bool, reason: str) -> None:
    assert allows(PUSH, action, resource) is allowed, reason


POD = {
    "aws:RequestTag/eks-cluster-arn": CLUSTER,
    "aws:RequestTag/kubernetes-namespace": "builds",
    "aws:RequestTag/kubernetes-service-account": "builds",
}
"""The session tags that EKS sends for a build pod.

Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
"""
TOKEN = {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": "system:serviceaccount:builds:builds"}
"""The claims of a build pod's token."""


@pytest.mark.parametrize(
    ("principal", "action", "changed", "allowed", "reason"),
    [
        ("pods.eks.amazonaws.com", "sts:AssumeRole", {}, True, "build pods use the role"),
        ("pods.eks.amazonaws.com", "sts:TagSession", {}, True, "EKS names the pod in the session"),
        ("pods.eks.amazonaws.com", "sts:AssumeRole", {"kubernetes-namespace": "default"}, False, "a namespace"),
        ("pods.eks.amazonaws.com", "sts:AssumeRole", {"kubernetes-service-account": "default"}, False, "other pods"),
        ("pods.eks.amazonaws.com", "sts:AssumeRole", {"eks-cluster-arn": f"{CLUSTER}-2"}, False, "another cluster"),
        (
            "pods.eks.amazonaws.com",
            "sts:AssumeRole",
            {"eks-cluster-arn": CLUSTER.replace(ACCOUNT, "999999999999")},
            False,
            "a cluster of that name in another account: so aws:SourceAccount would add nothing",
        ),
        ("pods.eks.amazonaws.com", "sts:AssumeRole", dict.fromkeys(POD), False, "an association without session tags"),
        ("ec2.amazonaws.com", "sts:AssumeRole", {}, False, "instances have the node's role"),
        ("arn:aws:iam::123456789012:root", "sts:AssumeRole", {}, False, "people have roles of their own"),
    ],
)
def test_pod_identity_gives_the_builds_role_to(
    principal: str, action: str, changed: Mapping[str, str | None], allowed: bool, reason: str
) -> None:
    tags = {key if key.startswith("aws:") else f"aws:RequestTag/{key}": value for key, value in changed.items()}
    context = {key: value for key, value in {**POD, **tags}.items() if value}
    assert trusts(POD_IDENTITY, principal, action, context) is allowed, reason


@pytest.mark.parametrize(
    ("principal", "action", "changed", "allowed", "reason"),
    [
        (PROVIDER, "sts:AssumeRoleWithWebIdentity", {}, True, "build pods use the role"),
        (
            PROVIDER,
            "sts:AssumeRoleWithWebIdentity",
            {"sub": "system:serviceaccount:default:builds"},
            False,
            "other pods",
        ),
        (
            PROVIDER,
            "sts:AssumeRoleWithWebIdentity",
            {"sub": "system:serviceaccount:builds:builds2"},
            False,
            "other pods",
        ),
        (PROVIDER, "sts:AssumeRoleWithWebIdentity", {"aud": "https://vault.example.com"}, False, "a stolen token"),
        (f"{PROVIDER}D", "sts:AssumeRoleWithWebIdentity", {}, False, "another cluster's issuer"),
        (PROVIDER, "sts:AssumeRole", {}, False, "the provider has no other way"),
    ],
)
def test_irsa_gives_the_builds_role_to(
    principal: str, action: str, changed: Mapping[str, str], allowed: bool, reason: str
) -> None:
    context = {**TOKEN, **{f"{ISSUER}:{claim}": value for claim, value in changed.items()}}
    assert trusts(IRSA, principal, action, context) is allowed, reason


def test_instances_alone_get_the_nodes_role() -> None:
    for principal, allowed in (("ec2.amazonaws.com", True), ("pods.eks.amazonaws.com", False), (PROVIDER, False)):
        assert trusts(policy_documents.node_trust(), principal, "sts:AssumeRole", {}) is allowed


@pytest.mark.parametrize(
    ("action", "resource", "allowed", "reason"),
    [
        ("eks:DescribeCluster", CLUSTER, True, "a node reads where its cluster is"),
        ("ec2:DescribeInstances", "*", True, "a node reads its own name"),
        ("eks-auth:AssumeRoleForPodIdentity", CLUSTER, True, "the Pod Identity agent runs on the node"),
        ("ecr:GetAuthorizationToken", "*", True, "the kubelet pulls the images of pods"),
        ("ecr:BatchGetImage", f"{IMAGES}/web", True, "the kubelet pulls the images of pods"),
        ("ecr:PutImage", f"{IMAGES}/web", False, "a build that breaks out to its node cannot publish"),
        ("ecr:InitiateLayerUpload", f"{IMAGES}/web", False, "a build that breaks out to its node cannot publish"),
        ("ecr:CreateRepository", f"{IMAGES}/new", False, "pulumi creates repositories"),
        ("ec2:RunInstances", "*", False, "EKS starts nodes"),
        ("ec2:TerminateInstances", "*", False, "EKS stops nodes"),
        ("autoscaling:SetDesiredCapacity", "*", False, "the autoscaler has a role of its own"),
        ("ssm:GetParameter", "*", False, "parameters can be secrets"),
        ("s3:GetObject", "*", False, "the state holds secrets"),
        ("iam:PassRole", "*", False, "no way to other roles"),
        ("sts:AssumeRole", "*", False, "no way to other roles"),
    ],
)
def test_nodes_may(action: str, resource: str, allowed: bool, reason: str) -> None:
    assert allows(NODE, action, resource) is allowed, reason
    assert allows([*NODE, CNI], action, resource) is allowed, reason


@pytest.mark.parametrize("action", ["ec2:AssignPrivateIpAddresses", "ec2:DetachNetworkInterface"])
def test_nodes_may_change_network_interfaces_only_for_a_cni_without_a_role(action: str) -> None:
    assert allows([*NODE, CNI], action, "*"), "a node never becomes ready"
    assert not allows(NODE, action, "*"), "a build that breaks out to its node cuts off other machines"


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ("AmazonEKSWorkerNodePolicy", "eks-auth:AssumeRoleForPodIdentity"),
        ("AmazonEC2ContainerRegistryPullOnly", "ecr:BatchGetImage"),
    ],
)
def test_each_managed_policy_of_nodes_is_needed(policy: str, action: str) -> None:
    others = [document for name, document in zip(build_nodes.MANAGED_POLICIES, NODE, strict=True) if name != policy]
    assert allows(NODE, action, "*")
    assert not allows(others, action, "*"), f"{policy} gives nodes nothing that they need"
