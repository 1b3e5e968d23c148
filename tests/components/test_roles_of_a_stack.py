"""Every role that a stack creates: what it may do and must not, who may assume it, and a linter's findings."""

import json
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from sandbox.services.aws.rights import allows, trusts
from tests.components.answers import ACCOUNT, ISSUER, REGION
from tests.components.mocks import NAME, declare
from tests.policy_linter import findings

ARCHITECTURES = ("arm64", "amd64")
KINDS = {
    "release": [f"{NAME}-push"],
    "review": [f"{NAME}-unprotected-push"],
    "release nodes": [f"{NAME}-{each}-node" for each in ARCHITECTURES],
    "review nodes": [f"{NAME}-unprotected-{each}-node" for each in ARCHITECTURES],
}
"""The names of a stack's roles: of builds and of nodes, in the protected tier and in the other."""

REPOSITORIES = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
RELEASE = f"{REPOSITORIES}/platform/images/toolbox"
REVIEW = f"{RELEASE}/review"
BUILDER = f"{REPOSITORIES}/buildyard/builder"
CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/ci"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER.removeprefix('https://')}"
AWS = json.loads(aws_managed_policies_data)


@dataclass(frozen=True, kw_only=True)
class Role:
    trust: dict[str, Any]
    policies: list[dict[str, Any]]


@cache
def roles(**keys: Any) -> dict[str, Role]:
    """The roles of a stack with these settings, by name."""
    declared = declare(**keys)
    own = {each.inputs["name"]: each.document("policy") for each in declared.of("iam:Policy").values()}
    attached = [each.inputs for each in declared.of("iam:RolePolicyAttachment").values()]
    assert not declared.of("iam:RolePolicy"), "these tests know no inline policies"
    found = {}
    for role in declared.of("iam:Role").values():
        names = [each["policyArn"].split("/")[-1] for each in attached if each["role"] == role.inputs["name"]]
        policies = [own[name] if name in own else AWS[name]["Document"] for name in names]
        found[role.inputs["name"]] = Role(trust=role.document("assumeRolePolicy"), policies=policies)
    return found


def test_the_table_has_every_role() -> None:
    assert roles(trust="isolated").keys() == {name for names in KINDS.values() for name in names}


@pytest.mark.parametrize(
    ("action", "resource", "allowed", "reason"),
    [
        ("ecr:GetAuthorizationToken", "*", set(KINDS), "every pull and push needs a token"),
        ("ecr:BatchGetImage", RELEASE, set(KINDS), "bases, caches and pods"),
        ("ecr:BatchGetImage", REVIEW, {"review", "release nodes", "review nodes"}, "no release reads a merge request"),
        ("ecr:BatchGetImage", BUILDER, {"release nodes", "review nodes"}, "the kubelet pulls it"),
        ("ecr:PutImage", RELEASE, {"release"}, "releases"),
        ("ecr:InitiateLayerUpload", RELEASE, {"release"}, "releases"),
        ("ecr:UploadLayerPart", RELEASE, {"release"}, "releases"),
        ("ecr:CompleteLayerUpload", RELEASE, {"release"}, "releases"),
        ("ecr:PutImage", REVIEW, {"review"}, "merge requests"),
        ("ecr:InitiateLayerUpload", REVIEW, {"review"}, "merge requests"),
        ("ecr:PutImage", f"{RELEASE}/other", set(), "a repository of somebody else"),
        ("ecr:PutImage", f"{RELEASE}2", set(), "a repository of somebody else"),
        ("ecr:PutImage", BUILDER, set(), "every job runs in it"),
        ("ecr:BatchDeleteImage", RELEASE, set(), "a release stays"),
        ("ecr:BatchDeleteImage", REVIEW, set(), "ECR expires them"),
        ("ecr:DeleteRepository", REVIEW, set(), "Pulumi deletes repositories"),
        ("ecr:PutImageTagMutability", RELEASE, set(), "release tags stay immutable"),
        ("ecr:PutLifecyclePolicy", RELEASE, set(), "what expires is in the settings"),
        ("ecr:SetRepositoryPolicy", REVIEW, set(), "nobody else gets access"),
        ("ecr:ReplicateImage", RELEASE, set(), "images stay in the account"),
        ("eks:DescribeCluster", CLUSTER, {"release nodes", "review nodes"}, "a node reads where its cluster is"),
        ("eks-auth:AssumeRoleForPodIdentity", CLUSTER, {"release nodes", "review nodes"}, "the agent is on the node"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/{NAME}-push", set(), "no way to another tier"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/{NAME}-arm64-node", set(), "no way to nodes"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{NAME}-push", set(), "no way to another tier"),
        ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/{NAME}-push", set(), "no way to another tier"),
        ("eks:CreatePodIdentityAssociation", CLUSTER, set(), "no way to another tier"),
        ("ec2:RunInstances", "*", set(), "EKS starts nodes"),
        ("secretsmanager:GetSecretValue", "*", set(), "builds get secrets from GitLab"),
        ("s3:GetObject", "arn:aws:s3:::example-pulumi-state/.pulumi/meta.yaml", set(), "the state holds secrets"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", set(), "the state holds secrets"),
    ],
)
def test_roles_may(action: str, resource: str, allowed: set[str], reason: str) -> None:
    for kind, names in KINDS.items():
        for name in names:
            policies = roles(trust="isolated")[name].policies
            assert allows(policies, action, resource) is (kind in allowed), f"{name}: {reason}"


POD = "pods.eks.amazonaws.com"


def tags(namespace: str) -> dict[str, str]:
    """The session tags that EKS sends for a build pod of a namespace."""
    sent = {"eks-cluster-arn": CLUSTER, "kubernetes-namespace": namespace, "kubernetes-service-account": "builds"}
    return {f"aws:RequestTag/{key}": value for key, value in sent.items()}


def claims(namespace: str) -> dict[str, str]:
    """The claims of the token of a build pod of a namespace."""
    issuer = ISSUER.removeprefix("https://")
    return {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": f"system:serviceaccount:{namespace}:builds"}


@pytest.mark.parametrize(
    ("identity", "principal", "action", "context", "allowed"),
    [
        ("pod-identity", POD, "sts:AssumeRole", tags(NAME), {"release"}),
        ("pod-identity", POD, "sts:AssumeRole", tags(f"{NAME}-unprotected"), {"review"}),
        ("pod-identity", POD, "sts:TagSession", tags(f"{NAME}-unprotected"), {"review"}),
        ("pod-identity", POD, "sts:AssumeRole", tags("default"), set()),
        ("pod-identity", POD, "sts:AssumeRole", {}, set()),
        ("pod-identity", "ec2.amazonaws.com", "sts:AssumeRole", {}, {"release nodes", "review nodes"}),
        ("pod-identity", PROVIDER, "sts:AssumeRoleWithWebIdentity", claims(NAME), set()),
        ("pod-identity", f"arn:aws:iam::{ACCOUNT}:root", "sts:AssumeRole", tags(NAME), set()),
        ("irsa", PROVIDER, "sts:AssumeRoleWithWebIdentity", claims(NAME), {"release"}),
        ("irsa", PROVIDER, "sts:AssumeRoleWithWebIdentity", claims(f"{NAME}-unprotected"), {"review"}),
        ("irsa", PROVIDER, "sts:AssumeRoleWithWebIdentity", claims("default"), set()),
        ("irsa", POD, "sts:AssumeRole", tags(NAME), set()),
        ("irsa", "ec2.amazonaws.com", "sts:AssumeRole", {}, {"release nodes", "review nodes"}),
    ],
)
def test_roles_are_for(identity: str, principal: str, action: str, context: dict[str, str], allowed: set[str]) -> None:
    given = {
        kind
        for kind, names in KINDS.items()
        for name in names
        if trusts(roles(trust="isolated", identity=identity)[name].trust, principal, action, context)
    }
    assert given == allowed


@pytest.mark.parametrize(
    ("trust", "identity"), [*product(("isolated", "shared", "protected-only"), ("pod-identity", "irsa"))]
)
def test_the_linter_finds_nothing_in_a_stacks_own_policies(trust: str, identity: str) -> None:
    declared = declare(trust=trust, identity=identity)
    documents = [each.document("policy") for each in declared.of("iam:Policy").values()]
    documents += [each.document("assumeRolePolicy") for each in declared.of("iam:Role").values()]
    assert len(documents) > 3
    for document in documents:
        assert findings(document) == {}


@pytest.mark.parametrize("trust", ["shared", "protected-only"])
def test_a_stack_with_one_tier_of_builds_has_one_role_for_them(trust: str) -> None:
    assert roles(trust=trust).keys() == {name for kind in ("release", "release nodes") for name in KINDS[kind]}
