"""Tests of the roles of this repository's own pipeline, as `docs/examples/roles` has their policies."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.policy_documents import MAX_POLICY_CHARACTERS
from delivery.rights import gained, iam_grants
from sandbox.services.aws.rights import allows, trusts
from tests.policy_linter import findings

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "roles"
TEXTS = {file.stem: file.read_text() for file in FOLDER.iterdir()}
DOCUMENTS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in TEXTS.items()}

STATE = "arn:aws:s3:::example-pulumi-state"
STACK = f"{STATE}/.pulumi/stacks/buildyard/prod.json"
LOCK = f"{STATE}/.pulumi/locks/organization/buildyard/prod/1.json"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000"
ROLE = "arn:aws:iam::123456789012:role/buildyard-prod-push"
POLICY = "arn:aws:iam::123456789012:policy/buildyard-prod-push-1"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/ci"
NODES = "arn:aws:eks:eu-central-1:123456789012:nodegroup/ci/buildyard-prod-arm64-1a2b3c4/a1b2"
OTHER_NODES = "arn:aws:eks:eu-central-1:123456789012:nodegroup/ci/shop/a1b2"
AGENT = "arn:aws:eks:eu-central-1:123456789012:addon/ci/eks-pod-identity-agent/a1b2"
IMAGE = "arn:aws:ecr:eu-central-1:123456789012:repository/platform/images/base"


def test_the_linter_finds_only_what_a_deployment_cannot_do_without() -> None:
    assert {name for name in DOCUMENTS if findings(DOCUMENTS[name])} == {"deploy", "deploy-registries"}
    # It decides who else may pull images.
    assert findings(DOCUMENTS["deploy-registries"]).keys() == {"PERMISSIONS_MANAGEMENT_ACTIONS"}
    # It creates roles and their policies. docs/delivery.md says what that means.
    assert findings(DOCUMENTS["deploy"]).keys() == {"PERMISSIONS_MANAGEMENT_ACTIONS", "PRIVILEGE_ESCALATION"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_iam_takes_the_policy(name: str) -> None:
    size = len(json.dumps(DOCUMENTS[name], separators=(",", ":")))
    assert size <= (2048 if name.endswith("trust") else MAX_POLICY_CHARACTERS)
    sids = [statement["Sid"] for statement in DOCUMENTS[name]["Statement"] if "Sid" in statement]
    assert len(set(sids)) == len(sids)


def test_a_preview_can_do_nothing_that_an_update_cannot() -> None:
    assert not gained(iam_grants(TEXTS["deploy"]), iam_grants(TEXTS["preview"]))


BUILDER = "arn:aws:ecr:eu-central-1:123456789012:repository/buildyard/builder"


@pytest.mark.parametrize(
    ("action", "resource", "allowed", "reason"),
    [
        ("ecr:GetAuthorizationToken", "*", True, "the registry answers nobody without a login"),
        ("ecr:BatchGetImage", BUILDER, True, "the architectures of the builder image"),
        ("ecr:BatchGetImage", IMAGE, False, "what builds pushed is nobody's business here"),
        ("ecr:GetDownloadUrlForLayer", BUILDER, False, "a manifest is enough"),
        ("ecr:PutImage", BUILDER, False, "a check changes nothing"),
    ],
)
def test_a_check_of_a_stack_may_also(action: str, resource: str, allowed: bool, reason: str) -> None:
    assert allows([DOCUMENTS["doctor"]], action, resource, {}) is allowed, reason


def test_a_preview_only_reads() -> None:
    for grant in iam_grants(TEXTS["preview"]):
        verb = grant.action.partition(":")[2]
        assert verb.startswith(("Describe", "Get", "List")) or verb == "Decrypt", f"{grant.action} changes something"


@pytest.mark.parametrize(
    ("action", "resource", "preview", "deploy", "reason"),
    [
        ("s3:ListBucket", STATE, True, True, "Pulumi finds its stack"),
        ("s3:GetObject", STACK, True, True, "the state of the stack"),
        ("s3:GetObject", f"{STATE}/.pulumi/meta.yaml", True, True, "the version of the state's format"),
        ("s3:GetObject", STACK.replace("prod.json", "dev.json"), False, True, "another stack's secrets"),
        ("s3:PutObject", STACK, False, True, "what the next update believes"),
        ("s3:PutObject", LOCK, False, True, "updates lock the stack; a preview's lock could stop one"),
        ("s3:DeleteObject", LOCK, False, True, "the lock of a running update"),
        ("s3:DeleteObject", STACK, False, False, "nobody deletes a state"),
        ("kms:Decrypt", KEY, True, True, "the stack's secrets"),
        ("kms:Encrypt", KEY, False, False, "Pulumi encrypts with the stack's data key"),
        ("kms:ScheduleKeyDeletion", KEY, False, False, "the secrets would be lost"),
        ("eks:DescribeCluster", CLUSTER, True, True, "the cluster's endpoint"),
        ("eks:ListNodegroups", CLUSTER, True, True, "nodes that managers can run on"),
        ("eks:DescribeNodegroup", OTHER_NODES, True, True, "their taints"),
        ("eks:DescribeAddon", AGENT, True, True, "whether pods get their role"),
        ("servicequotas:GetServiceQuota", "*", True, True, "whether the nodes can start"),
        ("servicequotas:GetAWSDefaultServiceQuota", "*", True, True, "the quotas that nobody changed"),
        ("servicequotas:RequestServiceQuotaIncrease", "*", False, False, "somebody decides that, and pays"),
        ("iam:ListRoles", "*", True, True, "how many roles there are"),
        ("ec2:DescribeVpcs", "*", True, True, "the networks that builds may not reach"),
        ("ec2:DescribeNetworkInterfaces", "*", True, True, "AWS's endpoints in them"),
        ("eks:CreateNodegroup", CLUSTER, False, True, "nodes"),
        ("eks:DeleteNodegroup", NODES, False, True, "nodes"),
        ("eks:DeleteNodegroup", OTHER_NODES, False, False, "nodes of somebody else"),
        ("eks:DeleteCluster", CLUSTER, False, False, "the cluster is not ours"),
        ("eks:CreateAccessEntry", CLUSTER, False, False, "no new ways into the cluster"),
        ("ecr:DescribeRepositories", IMAGE, True, True, "repositories"),
        ("tag:GetResources", "*", True, True, "which repositories are the stack's"),
        ("tag:TagResources", "*", False, False, "what is not ours keeps its tags"),
        ("eks:ListNodegroups", CLUSTER, True, True, "how many nodes run"),
        ("ecr:CreateRepository", IMAGE, False, True, "repositories"),
        ("ecr:PutImage", IMAGE, False, False, "only builds push"),
        ("ecr:GetRepositoryPolicy", IMAGE, True, True, "who else may pull"),
        ("ecr:SetRepositoryPolicy", IMAGE, False, False, "nobody else gets access, without registry.pull"),
        ("ecr:DescribePullThroughCacheRules", "*", True, True, "caches"),
        ("ecr:CreatePullThroughCacheRule", "*", False, False, "no caches, without registry.pull-through"),
        ("ecr:PutRegistryPolicy", "*", False, False, "what concerns the whole registry is not ours"),
        ("iam:GetRole", ROLE, True, True, "roles"),
        ("iam:CreateRole", ROLE, False, True, "roles"),
        ("iam:UpdateAssumeRolePolicy", ROLE, False, True, "roles"),
        ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::123456789012:role/buildyard-deploy", False, False, "its own role"),
        ("iam:CreatePolicyVersion", POLICY, False, True, "policies"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::123456789012:policy/shop", False, False, "somebody else's policy"),
        ("iam:PutRolePolicy", ROLE, False, False, "what a role may do is in its managed policies"),
        ("iam:CreateUser", "arn:aws:iam::123456789012:user/buildyard-prod-x", False, False, "no keys that last"),
        (
            "ec2:TerminateInstances",
            "arn:aws:ec2:eu-central-1:123456789012:instance/i-1",
            False,
            False,
            "EKS stops nodes",
        ),
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/buildyard-deploy", False, False, "GitLab's token alone"),
    ],
)
def test_jobs_may(action: str, resource: str, preview: bool, deploy: bool, reason: str) -> None:
    assert allows([DOCUMENTS["preview"]], action, resource, {}) is preview, reason
    assert allows([DOCUMENTS["deploy"]], action, resource, {}) is deploy, reason


@pytest.mark.parametrize(
    ("action", "key", "value", "allowed", "reason"),
    [
        ("iam:PassRole", "iam:PassedToService", "eks.amazonaws.com", True, "nodes"),
        ("iam:PassRole", "iam:PassedToService", "pods.eks.amazonaws.com", True, "build pods"),
        ("iam:PassRole", "iam:PassedToService", "ec2.amazonaws.com", False, "an instance of its own"),
        ("iam:PassRole", "iam:PassedToService", "lambda.amazonaws.com", False, "a function of its own"),
        ("iam:AttachRolePolicy", "iam:PolicyARN", POLICY, True, "the stack's policies"),
        ("iam:AttachRolePolicy", "iam:PolicyARN", "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", True, "nodes"),
        ("iam:AttachRolePolicy", "iam:PolicyARN", ADMINISTRATOR, False, "all rights"),
    ],
)
def test_updates_may_give_roles(action: str, key: str, value: str, allowed: bool, reason: str) -> None:
    assert allows([DOCUMENTS["deploy"]], action, ROLE, {key: value}) is allowed, reason
    assert not allows([DOCUMENTS["preview"]], action, ROLE, {key: value}), reason


@pytest.mark.parametrize(
    ("subject", "preview", "deploy", "reason"),
    [
        ("project_path:platform/buildyard:ref_type:branch:ref:main", True, True, "what was merged"),
        ("project_path:platform/buildyard:ref_type:branch:ref:feature", True, False, "a merge request"),
        ("project_path:platform/buildyard:ref_type:branch:ref:main2", True, False, "a branch named like main"),
        ("project_path:platform/buildyard:ref_type:tag:ref:main", True, False, "a Git tag named like main"),
        ("project_path:platform/buildyard-fork:ref_type:branch:ref:main", False, False, "another project"),
        ("project_path:somebody/buildyard:ref_type:branch:ref:main", False, False, "a fork"),
    ],
)
def test_gitlabs_token_gets(subject: str, preview: bool, deploy: bool, reason: str) -> None:
    provider = "arn:aws:iam::123456789012:oidc-provider/gitlab.example.com"
    claims = {"gitlab.example.com:aud": "sts.amazonaws.com", "gitlab.example.com:sub": subject}
    action = "sts:AssumeRoleWithWebIdentity"
    for name, allowed in (("preview-trust", preview), ("deploy-trust", deploy)):
        assert trusts(DOCUMENTS[name], provider, action, claims) is allowed, reason
        other = {**claims, "gitlab.example.com:aud": "https://gitlab.example.com"}
        assert not trusts(DOCUMENTS[name], provider, action, other), "a token that was made for something else"


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed", "reason"),
    [
        ("ecr:SetRepositoryPolicy", IMAGE, {}, True, "registry.pull"),
        ("ecr:DeleteRepositoryPolicy", IMAGE, {}, True, "registry.pull"),
        ("ecr:CreatePullThroughCacheRule", "*", {}, True, "registry.pull-through"),
        ("ecr:UpdateRepositoryCreationTemplate", "*", {}, True, "registry.pull-through"),
        ("ecr:PutRegistryPolicy", "*", {}, False, "what concerns the whole registry is not ours"),
        ("ecr:PutImage", IMAGE, {}, False, "only builds push"),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/buildyard-prod-pull-through",
            {"iam:PassedToService": "ecr.amazonaws.com"},
            True,
            "encrypted caches",
        ),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "ecr.amazonaws.com"}, False, "the builds' role is not for ECR"),
    ],
)
def test_updates_with_other_registries_may_also(
    action: str, resource: str, context: dict[str, str], allowed: bool, reason: str
) -> None:
    assert allows([DOCUMENTS["deploy-registries"]], action, resource, context) is allowed, reason
