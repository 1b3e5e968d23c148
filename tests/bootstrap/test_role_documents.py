"""The policies of the roles of this repository's own pipeline, each row of a table judged as it says."""

import json
from dataclasses import replace

import pytest

from bootstrap.role_documents import tls_only, trust
from bootstrap.targets import Purpose, Stack
from components.policy_documents import MAX_POLICY_CHARACTERS, Document
from delivery.rights import gained, iam_grants
from sandbox.services.aws.rights import allows, effects_on, trusts
from stacks.iam import Iam
from stacks.registries import Registry
from tests.bootstrap.documents import STATE, documents, stack
from tests.policy_linter import findings
from tests.stacks.stack_settings import settings

BUCKET = f"arn:aws:s3:::{STATE.bucket}"
STACK = f"{BUCKET}/.pulumi/stacks/buildyard/prod.json"
LOCK = f"{BUCKET}/.pulumi/locks/organization/buildyard/prod/1.json"
HISTORY = f"{BUCKET}/.pulumi/history/buildyard/prod/prod-1.history.json"
BACKUP = f"{BUCKET}/.pulumi/backups/buildyard/prod/prod.1.json"
ROLE = "arn:aws:iam::123456789012:role/buildyard-prod-push"
LINKED = "arn:aws:iam::123456789012:role/aws-service-role/LINKEDAWSServiceRoleForAmazonEKSNodegroup"
OWN_ROLE = "arn:aws:iam::123456789012:role/deploy-buildyard-prod"
POLICY = "arn:aws:iam::123456789012:policy/buildyard-prod-push-1"
OWN_POLICY = "arn:aws:iam::123456789012:policy/deploy-buildyard-prod-write"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/ci"
ADDON = "arn:aws:eks:eu-central-1:123456789012:addon/ci/{}/a1b2"
NODE_GROUP = "buildyard-prod-arm64-1a2b3c4"
NODES = f"arn:aws:eks:eu-central-1:123456789012:nodegroup/ci/{NODE_GROUP}/a1b2"
SCALING_GROUP = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:a1b2:autoScalingGroupName/eks-{}-a1b2"
OTHER_NODES = "arn:aws:eks:eu-central-1:123456789012:nodegroup/ci/shop/a1b2"
IMAGE = "arn:aws:ecr:eu-central-1:123456789012:repository/platform/images/base"
OTHER_IMAGE = "arn:aws:ecr:eu-central-1:123456789012:repository/shop/web"
VPC = "arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-0a1b2c3d"
CACHE = "arn:aws:ecr:eu-central-1:123456789012:repository/cache/docker-hub/library/alpine"
BUILDER = "arn:aws:ecr:eu-central-1:123456789012:repository/buildyard/builder"
IMAGES_KEY = "arn:aws:kms:eu-central-1:123456789012:key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"

PREVIEW, DEPLOY, PUSH = (documents(purpose) for purpose in Purpose)


def test_the_linter_finds_only_what_a_deployment_cannot_do_without() -> None:
    found = {name for document in DEPLOY for name in findings(document)}
    # It creates roles and their policies, and decides who else may pull images: docs/delivery.md says what that means.
    assert found == {"PERMISSIONS_MANAGEMENT_ACTIONS", "PRIVILEGE_ESCALATION"}
    assert not [findings(document) for document in (*PREVIEW, *PUSH) if findings(document)]


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("name", ["prod", "dev", "sandbox"])
def test_iam_takes_the_policies(purpose: Purpose, name: str) -> None:
    for document in documents(purpose, stack(name)):
        assert len(json.dumps(document, separators=(",", ":"))) <= MAX_POLICY_CHARACTERS
        sids = [statement["Sid"] for statement in document["Statement"]]
        assert len(set(sids)) == len(sids)


def test_a_preview_can_do_nothing_that_an_update_cannot() -> None:
    deploy, preview = (
        [grant for each in found for grant in iam_grants(json.dumps(each))] for found in (DEPLOY, PREVIEW)
    )
    assert not gained(deploy, preview)


def test_a_preview_only_reads() -> None:
    for grant in (grant for each in PREVIEW for grant in iam_grants(json.dumps(each))):
        verb = grant.action.partition(":")[2]
        assert verb.startswith(("BatchGet", "Describe", "Get", "List")) or verb == "Decrypt", (
            f"{grant.action} changes something"
        )


@pytest.mark.parametrize(
    ("action", "resource", "preview", "deploy", "reason"),
    [
        ("s3:ListBucket", BUCKET, True, True, "Pulumi finds its stack"),
        ("s3:GetObject", STACK, True, True, "the state of the stack"),
        ("s3:GetObject", f"{BUCKET}/.pulumi/meta.yaml", True, True, "the version of the state's format"),
        ("s3:GetObject", STACK.replace("prod.json", "dev.json"), False, False, "another stack's secrets"),
        ("s3:PutObject", STACK.replace("prod.json", "dev.json"), False, False, "another stack's state"),
        ("s3:PutObject", f"{BUCKET}/.pulumi/meta.yaml", False, False, "the format of all states"),
        ("s3:GetObject", HISTORY, False, True, "updates count their history"),
        ("s3:PutObject", STACK, False, True, "what the next update believes"),
        ("s3:PutObject", HISTORY, False, True, "the history of the stack"),
        ("s3:PutObject", BACKUP, False, True, "the state before the update"),
        ("s3:PutObject", LOCK, False, True, "updates lock the stack; a preview's lock could stop one"),
        ("s3:DeleteObject", LOCK, False, True, "the lock of an update that has ended"),
        ("s3:DeleteObject", STACK, False, False, "nobody deletes a state"),
        ("s3:PutBucketPolicy", BUCKET, False, False, "who else may read the state"),
        ("kms:Decrypt", STATE.key, True, True, "the stack's secrets"),
        ("kms:GenerateDataKey", STATE.key, False, True, "S3 encrypts what is written"),
        ("kms:Encrypt", STATE.key, False, False, "Pulumi encrypts with the stack's data key"),
        ("kms:ScheduleKeyDeletion", STATE.key, False, False, "the secrets would be lost"),
        ("kms:CreateGrant", IMAGES_KEY, False, True, "registry.kms-key encrypts repositories"),
        ("kms:CreateGrant", STATE.key, False, False, "the key of the state is for the state"),
        ("eks:DescribeCluster", CLUSTER, True, True, "the cluster's endpoint"),
        ("eks:CreateNodegroup", CLUSTER, False, True, "nodes"),
        ("eks:DeleteNodegroup", NODES, False, True, "nodes"),
        ("eks:DeleteNodegroup", OTHER_NODES, False, False, "nodes of somebody else"),
        ("eks:ListNodegroups", CLUSTER, True, True, "which nodes take the runners' managers"),
        ("eks:DescribeNodegroup", NODES, True, True, "nodes"),
        ("eks:DescribeNodegroup", OTHER_NODES, True, True, "whether its nodes take the runners' managers"),
        ("eks:DescribeNodegroup", OTHER_NODES.replace("/ci/", "/ci2/"), False, False, "another cluster"),
        ("eks:DescribeAddon", ADDON.format("eks-pod-identity-agent"), True, True, "gives build pods their role"),
        ("eks:DescribeAddon", ADDON.format("vpc-cni"), True, True, "whether it enforces network policies"),
        ("eks:DescribeAddon", ADDON.format("coredns"), False, False, "nobody asks"),
        ("eks:CreateAddon", CLUSTER, False, False, "the cluster is not ours"),
        ("eks:DeleteCluster", CLUSTER, False, False, "the cluster is not ours"),
        ("eks:CreateAccessEntry", CLUSTER, False, False, "no new ways into the cluster"),
        ("eks:AssociateAccessPolicy", CLUSTER, False, False, "no new ways into the cluster"),
        ("ecr:DescribeRepositories", IMAGE, True, True, "repositories"),
        ("ecr:DescribeRepositories", OTHER_IMAGE, True, True, "a preview compares their number with the quota"),
        ("ecr:ListTagsForResource", IMAGE, True, True, "whose repository it is"),
        ("ecr:ListTagsForResource", OTHER_IMAGE, False, False, "repositories of somebody else"),
        ("ecr:GetAuthorizationToken", "*", True, True, "the doctor asks the registry for the builder image"),
        ("ecr:BatchGetImage", BUILDER, True, True, "the doctor reads the builder image's architectures"),
        ("ecr:GetDownloadUrlForLayer", BUILDER, False, False, "nobody here needs the image itself"),
        ("ecr:BatchGetImage", IMAGE, False, False, "images are for builds and nodes"),
        ("ecr:CreateRepository", IMAGE, False, True, "repositories"),
        ("ecr:CreateRepository", BUILDER, False, True, "the builder image's repository"),
        ("ecr:DeleteRepository", OTHER_IMAGE, False, False, "repositories of somebody else"),
        ("ecr:PutImage", IMAGE, False, False, "only builds push"),
        ("ecr:BatchDeleteImage", IMAGE, False, False, "nobody deletes single images"),
        ("ecr:GetRepositoryPolicy", IMAGE, True, True, "who else may pull"),
        ("ecr:SetRepositoryPolicy", IMAGE, False, True, "registry.pull"),
        ("ecr:DescribePullThroughCacheRules", "*", True, True, "caches"),
        ("ecr:CreatePullThroughCacheRule", "*", False, True, "registry.pull-through"),
        ("ecr:CreateRepository", CACHE, False, True, "ECR asks whoever makes a template of repositories"),
        ("ecr:DeleteRepository", CACHE, False, False, "ECR deletes nothing in a cache but by its lifecycle policy"),
        ("ecr:DescribeImages", IMAGE, True, True, "the provider lists images of a repository that it looks up"),
        ("ec2:DescribeVpcAttribute", VPC, True, True, "the provider reads all of a VPC"),
        ("ecr:PutRegistryPolicy", "*", False, False, "what concerns the whole registry is not ours"),
        ("servicequotas:GetServiceQuota", "*", True, True, "quotas"),
        ("servicequotas:GetAWSDefaultServiceQuota", "*", True, True, "quotas that nobody raised"),
        ("servicequotas:RequestServiceQuotaIncrease", "*", False, False, "a person decides that"),
        ("tag:GetResources", "*", True, True, "repositories with the stack's tag"),
        ("tag:TagResources", "*", False, False, "each service's own right decides who tags"),
        ("iam:GetRolePolicy", ROLE, True, True, "the provider reads a role with all that it has"),
        ("iam:GetRole", f"{LINKED.replace('LINKED', 'eks-nodegroup.amazonaws.com/')}", False, True, "EKS looks for it"),
        ("iam:GetRole", f"{LINKED.replace('aws-service-role/LINKED', '')}", False, True, "where there is none yet"),
        ("iam:ListRoles", "*", True, True, "a preview compares their number with the quota"),
        ("iam:GetRole", OWN_ROLE, False, False, "roles of others"),
        ("iam:GetRole", ROLE, True, True, "roles"),
        ("iam:CreateRole", ROLE, False, True, "roles"),
        ("iam:UpdateAssumeRolePolicy", ROLE, False, True, "roles"),
        ("iam:UpdateAssumeRolePolicy", OWN_ROLE, False, False, "its own role"),
        ("iam:CreatePolicyVersion", POLICY, False, True, "policies"),
        ("iam:CreatePolicyVersion", OWN_POLICY, False, False, "its own rights"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::123456789012:policy/shop", False, False, "somebody else's policy"),
        ("iam:PutRolePolicy", ROLE, False, False, "what a role may do is in its managed policies"),
        ("iam:CreateUser", "arn:aws:iam::123456789012:user/buildyard-prod-x", False, False, "no keys that last"),
        ("autoscaling:DeleteTags", SCALING_GROUP.format(NODE_GROUP), False, True, "settings without tags"),
        ("autoscaling:DeleteTags", SCALING_GROUP.format("shop"), False, False, "nodes of somebody else"),
        ("autoscaling:PutWarmPool", SCALING_GROUP.format(NODE_GROUP), False, False, "EKS does"),
        ("ec2:TerminateInstances", "arn:aws:ec2:eu-central-1:123456789012:instance/i-1", False, False, "EKS does"),
        ("sts:AssumeRole", OWN_ROLE, False, False, "GitLab's token alone"),
    ],
)
def test_jobs_may(action: str, resource: str, preview: bool, deploy: bool, reason: str) -> None:
    assert allows(PREVIEW, action, resource, {}) is preview, reason
    assert allows(DEPLOY, action, resource, {}) is deploy, reason


PULL_THROUGH = "arn:aws:iam::123456789012:role/buildyard-prod-pull-through"
NODE_POLICY = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"


@pytest.mark.parametrize(
    ("action", "role", "key", "value", "allowed", "reason"),
    [
        ("iam:PassRole", ROLE, "iam:PassedToService", "eks.amazonaws.com", True, "nodes"),
        ("iam:PassRole", ROLE, "iam:PassedToService", "pods.eks.amazonaws.com", True, "build pods"),
        ("iam:PassRole", ROLE, "iam:PassedToService", "ec2.amazonaws.com", False, "an instance of its own"),
        ("iam:PassRole", ROLE, "iam:PassedToService", "lambda.amazonaws.com", False, "a function of its own"),
        ("iam:PassRole", ROLE, "iam:PassedToService", "ecr.amazonaws.com", False, "the builds' role is not for ECR"),
        ("iam:PassRole", PULL_THROUGH, "iam:PassedToService", "ecr.amazonaws.com", True, "encrypted caches"),
        ("iam:PassRole", OWN_ROLE, "iam:PassedToService", "pods.eks.amazonaws.com", False, "its own role"),
        ("iam:AttachRolePolicy", ROLE, "iam:PolicyARN", POLICY, True, "the stack's policies"),
        ("iam:AttachRolePolicy", ROLE, "iam:PolicyARN", NODE_POLICY, True, "nodes"),
        ("iam:AttachRolePolicy", ROLE, "iam:PolicyARN", ADMINISTRATOR, False, "all rights"),
        ("iam:AttachRolePolicy", OWN_ROLE, "iam:PolicyARN", POLICY, False, "its own role"),
    ],
)
def test_updates_may_give_roles(action: str, role: str, key: str, value: str, allowed: bool, reason: str) -> None:
    assert allows(DEPLOY, action, role, {key: value}) is allowed, reason
    assert not allows(PREVIEW, action, role, {key: value}), reason


def test_a_stack_whose_name_begins_like_anothers_leaves_that_alone() -> None:
    role = "arn:aws:iam::123456789012:role/buildyard-prod-eu-push"
    nodes = "arn:aws:eks:eu-central-1:123456789012:nodegroup/ci/buildyard-prod-eu-arm64-1a2b3c4/a1b2"
    alone, beside = (documents(Purpose.DEPLOY, stack(others=others)) for others in ((), ("prod-eu", "dev")))
    for action, resource in (("iam:DeleteRole", role), ("eks:DeleteNodegroup", nodes)):
        assert allows(alone, action, resource, {}), "the names are all that IAM can tell apart"
        assert not allows(beside, action, resource, {})
    for action, resource in (
        ("iam:DeleteRole", ROLE),
        ("eks:DeleteNodegroup", NODES),
        ("eks:DescribeNodegroup", nodes),
    ):
        assert allows(beside, action, resource, {})


@pytest.mark.parametrize("action", ["DeleteNodegroup", "TagResource", "UntagResource", "UpdateNodegroupConfig"])
def test_nobody_changes_the_node_groups_of_a_stack_whose_name_begins_like_ours(action: str) -> None:
    nodes = NODES.replace("buildyard-prod", "buildyard-prod-eu")
    assert allows(documents(Purpose.DEPLOY, stack()), f"eks:{action}", nodes, {}), "the test shows nothing"
    assert not allows(documents(Purpose.DEPLOY, stack(others=["prod-eu"])), f"eks:{action}", nodes, {})


def test_a_repository_in_no_group_is_named() -> None:
    images = [{"name": "web", "context": "web", "repository": "web"}]
    alone = settings(projects=[{"path": "platform/images", "images": images}])
    found = documents(Purpose.DEPLOY, type(stack())(**{**vars(stack()), "settings": alone}))
    for name in ("web", "web/review"):
        assert allows(found, "ecr:CreateRepository", OTHER_IMAGE.replace("shop/web", name), {})
    assert not allows(found, "ecr:CreateRepository", OTHER_IMAGE, {})


def test_a_prefix_of_the_registry_limits_the_repositories() -> None:
    target = stack()
    registry = Registry.model_validate({"prefix": "company"})
    prefixed = stack()
    settings = target.settings.model_copy(update={"registry": registry})
    found = documents(Purpose.DEPLOY, type(prefixed)(**{**vars(prefixed), "settings": settings}))
    assert allows(found, "ecr:CreateRepository", IMAGE.replace("platform/", "company/platform/"), {})
    assert not allows(found, "ecr:CreateRepository", IMAGE, {})


@pytest.mark.parametrize(
    ("action", "resource", "allowed", "reason"),
    [
        ("ecr:GetAuthorizationToken", "*", True, "a token cannot be limited to repositories"),
        ("ecr:PutImage", BUILDER, True, "the image"),
        ("ecr:PutImage", IMAGE, False, "the job builds no other image"),
        ("ecr:DeleteRepository", BUILDER, False, "the stack's"),
        ("ecr:BatchDeleteImage", BUILDER, False, "older versions stay"),
        ("s3:GetObject", STACK, False, "the state is none of its business"),
    ],
)
def test_the_builders_job_may(action: str, resource: str, allowed: bool, reason: str) -> None:
    assert allows(PUSH, action, resource, {}) is allowed, reason


PROVIDER = "arn:aws:iam::123456789012:oidc-provider/gitlab.example.com"


def trust_of(purpose: Purpose, provider: str = PROVIDER) -> Document:
    return trust(purpose, provider_arn=provider, project="platform/buildyard", default_branch="main")


@pytest.mark.parametrize(
    ("subject", "preview", "deploy", "reason"),
    [
        ("project_path:platform/buildyard:ref_type:branch:ref:main", True, True, "what was merged"),
        ("project_path:platform/buildyard:ref_type:branch:ref:feature", True, False, "a merge request"),
        ("project_path:platform/buildyard:ref_type:branch:ref:main2", True, False, "a branch named like main"),
        ("project_path:platform/buildyard:ref_type:tag:ref:main", False, False, "a Git tag named like main"),
        ("project_path:platform/buildyard:ref_type:tag:ref:v1", False, False, "nothing is previewed for Git tags"),
        ("project_path:platform/buildyard-fork:ref_type:branch:ref:main", False, False, "another project"),
        ("project_path:somebody/buildyard:ref_type:branch:ref:main", False, False, "a fork"),
    ],
)
def test_gitlabs_token_gets(subject: str, preview: bool, deploy: bool, reason: str) -> None:
    claims = {"gitlab.example.com:aud": "sts.amazonaws.com", "gitlab.example.com:sub": subject}
    action = "sts:AssumeRoleWithWebIdentity"
    for purpose, allowed in ((Purpose.PREVIEW, preview), (Purpose.DEPLOY, deploy), (Purpose.BUILDER, deploy)):
        document = trust_of(purpose)
        assert len(json.dumps(document, separators=(",", ":"))) <= 2048, "IAM's limit"
        assert trusts(document, PROVIDER, action, claims) is allowed, reason
        other = {**claims, "gitlab.example.com:aud": "https://gitlab.example.com"}
        assert not trusts(document, PROVIDER, action, other), "a token that was made for something else"
        assert not trusts(document, f"{PROVIDER}2", action, claims), "another GitLab"


def test_a_gitlab_below_a_path_has_that_path_in_its_claims() -> None:
    document = trust_of(Purpose.DEPLOY, "arn:aws:iam::123456789012:oidc-provider/example.com/gitlab")
    [statement] = document["Statement"]
    assert set(statement["Condition"]["StringEquals"]) == {"example.com/gitlab:aud", "example.com/gitlab:sub"}


def test_the_bucket_refuses_requests_without_tls() -> None:
    policy = tls_only(BUCKET)
    for resource in (BUCKET, STACK):
        assert effects_on(policy, "*", "s3:GetObject", resource, {"aws:SecureTransport": "false"}) == {"Deny"}
        assert effects_on(policy, "*", "s3:GetObject", resource, {"aws:SecureTransport": "true"}) == set()


BOUNDARY = "arn:aws:iam::123456789012:policy/rules/boundary"


def with_rules(**iam: str) -> Stack:
    """The stack with a company's rules for IAM."""
    found = stack()
    return replace(found, settings=found.settings.model_copy(update={"iam": Iam.model_validate(iam)}))


@pytest.mark.parametrize("purpose", [Purpose.PREVIEW, Purpose.DEPLOY])
def test_rights_end_with_the_stacks_path(purpose: Purpose) -> None:
    held = documents(purpose, with_rules(path="/ci/"))
    inside, outside = (f"arn:aws:iam::123456789012:role{path}buildyard-prod-push" for path in ("/ci/", "/"))
    assert allows(held, "iam:GetRole", inside, {})
    assert allows(held, "iam:GetRole", outside, {}), "IAM knows no path of a role that somebody has deleted"
    assert allows(held, "iam:GetPolicy", "arn:aws:iam::123456789012:policy/ci/buildyard-prod-push-1-9e21ea", {})
    if purpose is Purpose.DEPLOY:
        assert allows(held, "iam:CreateRole", inside, {})
        assert not allows(held, "iam:CreateRole", outside, {})
        context = {"iam:PassedToService": "ecr.amazonaws.com"}
        caches = f"{inside.removesuffix('push')}pull-through"
        named = with_rules(path="/ci/").settings.iam.named(caches)
        assert allows(held, "iam:PassRole", named, context), "encrypted caches"
        assert not allows(held, "iam:PassRole", inside, context), "the builds' role is not for ECR"


@pytest.mark.parametrize(
    ("action", "boundary", "allowed", "reason"),
    [
        ("iam:CreateRole", BOUNDARY, True, "the company's boundary"),
        ("iam:CreateRole", None, False, "a role without one could do everything"),
        ("iam:CreateRole", ADMINISTRATOR, False, "another policy is no boundary"),
        ("iam:PutRolePermissionsBoundary", BOUNDARY, True, "roles from before the rule"),
        ("iam:PutRolePermissionsBoundary", ADMINISTRATOR, False, "another policy is no boundary"),
        ("iam:DeleteRolePermissionsBoundary", None, False, "a role without one could do everything"),
    ],
)
def test_roles_are_created_with_the_boundary_alone(
    action: str, boundary: str | None, allowed: bool, reason: str
) -> None:
    held = documents(Purpose.DEPLOY, with_rules(**{"permissions-boundary": BOUNDARY}))
    context = {"iam:PermissionsBoundary": boundary} if boundary else {}
    assert allows(held, action, ROLE, context) is allowed, reason
    assert not [sid for document in held for sid in findings(document) if sid.startswith("UNKNOWN")]


@pytest.mark.parametrize("purpose", [Purpose.PREVIEW, Purpose.DEPLOY])
def test_a_preview_asks_whether_the_boundary_exists(purpose: Purpose) -> None:
    assert allows(documents(purpose, with_rules(**{"permissions-boundary": BOUNDARY})), "iam:GetPolicy", BOUNDARY, {})
    assert not allows(documents(purpose), "iam:GetPolicy", BOUNDARY, {})


def test_another_stacks_roles_are_left_alone_in_whichever_path() -> None:
    held = documents(Purpose.DEPLOY, stack(others=["prod-eu"]))
    for path in ("/", "/ci/", "/ci/builds/"):
        assert not allows(held, "iam:DeleteRole", f"arn:aws:iam::123456789012:role{path}buildyard-prod-eu-push", {})
    assert allows(held, "iam:DeleteRole", ROLE, {})
