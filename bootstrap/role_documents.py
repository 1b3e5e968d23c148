"""The policies of the roles that this repository's own pipeline assumes, as plain dictionaries.

Each right is one that a deployment needs: a test compares them with the requests of whole deployments on the sandbox,
in both directions. They depend on the stack's settings only by names, not by features: what turns a feature off needs
its rights once more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bootstrap.targets import Purpose, Stack, State
from components.build_nodes import CNI_POLICY, MANAGED_POLICIES
from components.policy_documents import Document, push, use_of_key
from components.preflight.network import CNI
from stacks.names import POD_IDENTITY_AGENT, stack_name

PROJECT = "buildyard"
"""The name in Pulumi.yaml, under which the state of all stacks is."""

AUDIENCE = "sts.amazonaws.com"
"""The `aud` of the tokens of jobs, as in .gitlab-ci.yml."""


def trust(purpose: Purpose, *, provider_arn: str, project: str, default_branch: str) -> Document:
    """The trust policy of a role: which jobs of the GitLab project may assume it.

    Merge requests and branches have the same form of `sub`, with the name of the branch. Tags have another one. Every
    claim that AWS knows is in it, so GitLab itself must protect the default branch.
    Source: https://docs.gitlab.com/ci/secrets/id_token_authentication/
    """
    issuer = provider_arn.partition(":oidc-provider/")[2]
    subject = f"project_path:{project}:ref_type:branch:ref:"
    every_branch = purpose is Purpose.PREVIEW
    named = {f"{issuer}:sub": f"{subject}{'*' if every_branch else default_branch}"}
    condition = {"StringEquals": {f"{issuer}:aud": AUDIENCE}}
    if every_branch:
        condition["StringLike"] = named
    else:
        condition["StringEquals"] |= named
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }
    )


def preview(stack: Stack, state: State) -> Mapping[str, Document]:
    """The policies of the role that previews, by the ends of their names."""
    prefix = f"arn:{stack.account.partition}:s3:::{state.bucket}"
    objects = [f"{prefix}/.pulumi/meta.yaml", f"{prefix}/.pulumi/stacks/{PROJECT}/{stack.name}.*"]
    return {
        "state": _document(
            _allow("ListState", ["s3:ListBucket"], [prefix]),
            _allow("ReadState", ["s3:GetObject"], objects),
            _allow("DecryptState", ["kms:Decrypt"], [state.key]),
        ),
        "read": _document(*_reads(stack)),
    }


def deploy(stack: Stack, state: State) -> Mapping[str, Document]:
    """The policies of the role that updates, by the ends of their names."""
    prefix = f"arn:{stack.account.partition}:s3:::{state.bucket}"
    own = [f"{prefix}/.pulumi/{folder}/{PROJECT}/{stack.name}" for folder in ("stacks", "backups", "history")]
    locks = f"{prefix}/.pulumi/locks/*/{PROJECT}/{stack.name}/*"
    return {
        "state": _document(
            _allow("ListState", ["s3:ListBucket"], [prefix]),
            _allow("ReadFormat", ["s3:GetObject"], [f"{prefix}/.pulumi/meta.yaml"]),
            _allow("WriteState", ["s3:GetObject", "s3:PutObject"], [f"{own[0]}.*", f"{own[2]}/*"]),
            _allow("BackUpState", ["s3:PutObject"], [f"{own[1]}/*"]),
            _allow("Lock", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [locks]),
            _allow("EncryptState", ["kms:Decrypt", "kms:GenerateDataKey"], [state.key]),
        ),
        "read": _document(*_reads(stack)),
        "write": _document(*_writes(stack)),
    }


def builder(stack: Stack) -> Mapping[str, Document]:
    """The policies of the role that pushes the builder image; none if the stack names another image."""
    return push_policies(stack.builder) if stack.builder else {}


def push_policies(repository_arn: str) -> Mapping[str, Document]:
    """The policies of a role that pushes to one repository."""
    [document] = push([repository_arn])
    return {"push": document}


def _reads(stack: Stack) -> Iterable[Document]:
    yield _allow("ReadCluster", ["eks:DescribeCluster", "eks:ListNodegroups"], [stack.cluster])
    # Of others, too: a preview looks for one that takes the runners' managers.
    yield _allow("ReadNodes", ["eks:DescribeNodegroup"], [stack.all_node_groups])
    yield _allow("ReadAddons", ["eks:DescribeAddon"], [*stack.addon(POD_IDENTITY_AGENT), *stack.addon(CNI)])
    yield _allow(
        "ReadRoles",
        # The provider also reads inline policies, which only somebody else can have made.
        ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"],
        list(dict.fromkeys([stack.roles, stack.missing_roles])),
    )
    boundary = stack.settings.iam.permissions_boundary
    yield _allow(
        "ReadPolicies",
        ["iam:GetPolicy", "iam:GetPolicyVersion"],
        [stack.policies, *([boundary] if boundary else [])],
    )
    # A preview compares the number of all with ECR's quota.
    yield _allow("ListRepositories", ["ecr:DescribeRepositories"], [stack.arn("ecr", "repository/*")])
    yield _allow(
        "ReadRepositories",
        # The provider also lists the images of a repository that it looks up.
        ["ecr:DescribeImages", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource"],
        stack.repositories,
    )
    if stack.builder:
        # For `delivery doctor`, which asks for the architectures of the image.
        yield _allow("ReadBuilderImage", ["ecr:BatchGetImage"], [stack.builder])
    yield _allow(
        "ReadWhatHasNoArn",
        [
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeTags",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeVpcs",
            "ecr:DescribePullThroughCacheRules",
            "ecr:DescribeRepositoryCreationTemplates",
            "ecr:GetAccountSetting",
            "ecr:GetAuthorizationToken",
            "iam:ListOpenIDConnectProviders",
            "iam:ListRoles",
            "servicequotas:GetAWSDefaultServiceQuota",
            "servicequotas:GetServiceQuota",
            "tag:GetResources",
        ],
        ["*"],
    )
    yield _allow("ReadNetwork", ["ec2:DescribeVpcAttribute"], [stack.arn("ec2", "vpc/*")])
    issuers = stack.iam_arn(f"oidc-provider/oidc.eks.{stack.region}.amazonaws.com*/id/*")
    yield _allow("ReadClusterIssuer", ["iam:GetOpenIDConnectProvider"], [issuers])
    yield _allow("ReadIdentities", ["eks:DescribePodIdentityAssociation"], [stack.associations])


def _writes(stack: Stack) -> Iterable[Document]:
    yield from _iam_writes(stack)
    yield from _ecr_writes(stack)
    yield from _node_writes(stack)
    yield _allow("CreateIdentities", ["eks:CreatePodIdentityAssociation"], [stack.cluster])
    yield _allow(
        "WriteIdentities",
        [
            "eks:DeletePodIdentityAssociation",
            "eks:TagResource",
            "eks:UntagResource",
            "eks:UpdatePodIdentityAssociation",
        ],
        [stack.associations],
    )
    others = [stack_name(name) for name in stack.others if stack_name(name).startswith(f"{stack.prefix}-")]
    if others:
        yield {
            "Sid": "LeaveOtherStacks",
            "Effect": "Deny",
            # A preview may read their node groups, since it reads all of the cluster's.
            "Action": ["autoscaling:*", "eks:Delete*", "eks:*Tag*", "eks:Update*", "iam:*"],
            "Resource": [
                arn
                for other in others
                for arn in (
                    # In whichever path.
                    *(stack.iam_arn(f"{kind}/{path}{other}-*") for kind in ("role", "policy") for path in ("", "*/")),
                    stack.arn("eks", f"nodegroup/*/{other}-*/*"),
                    stack.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/eks-{other}-*"),
                )
            ],
        }


def _iam_writes(stack: Stack) -> Iterable[Document]:
    roles, policies, boundary = stack.roles, stack.policies, stack.settings.iam.permissions_boundary
    managed = [f"arn:{stack.account.partition}:iam::aws:policy/{name}" for name in (*MANAGED_POLICIES, CNI_POLICY)]
    services = ["eks.amazonaws.com", "pods.eks.amazonaws.com"]
    linked = ["autoscaling", "ecr", "eks-nodegroup", "pullthroughcache.ecr", "spot"]
    if boundary:
        # Only with the boundary. Nobody but an administrator can remove it again.
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        yield _allow("CreateRoles", ["iam:CreateRole", "iam:PutRolePermissionsBoundary"], [roles], condition)
    yield _allow(
        "WriteRoles",
        [
            *([] if boundary else ["iam:CreateRole"]),
            "iam:DeleteRole",
            "iam:ListInstanceProfilesForRole",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ],
        [roles],
    )
    yield _allow("PassRoles", ["iam:PassRole"], [roles], {"StringEquals": {"iam:PassedToService": services}})
    yield _allow(
        "AttachPolicies",
        ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        [roles],
        {"ArnLike": {"iam:PolicyARN": [policies, *managed]}},
    )
    yield _allow(
        "WritePolicies",
        [
            "iam:CreatePolicy",
            "iam:CreatePolicyVersion",
            "iam:DeletePolicy",
            "iam:DeletePolicyVersion",
            "iam:ListPolicyVersions",
            "iam:TagPolicy",
            "iam:UntagPolicy",
        ],
        [policies],
    )
    # EKS looks with the deployer's rights whether its role is there, before it creates a node group:
    # https://docs.aws.amazon.com/eks/latest/userguide/using-service-linked-roles-eks-nodegroups.html
    own = "AWSServiceRoleForAmazonEKSNodegroup"
    paths = ("aws-service-role/eks-nodegroup.amazonaws.com/", "")  # the second, if there is no such role yet
    yield _allow("ReadRoleOfNodeGroups", ["iam:GetRole"], [stack.iam_arn(f"role/{path}{own}") for path in paths])
    yield _allow(
        "CreateRolesOfServices",
        ["iam:CreateServiceLinkedRole"],
        [stack.iam_arn("role/aws-service-role/*")],
        {"StringEquals": {"iam:AWSServiceName": [f"{name}.amazonaws.com" for name in linked]}},
    )


def _ecr_writes(stack: Stack) -> Iterable[Document]:
    yield _allow(
        "WriteRepositories",
        [
            "ecr:CreateRepository",
            "ecr:DeleteLifecyclePolicy",
            "ecr:DeleteRepository",
            "ecr:DeleteRepositoryPolicy",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:SetRepositoryPolicy",
            "ecr:TagResource",
            "ecr:UntagResource",
        ],
        stack.repositories,
    )
    if stack.settings.registry.kms_key:
        yield {"Sid": "EncryptRepositories", **use_of_key(stack.settings.registry.kms_key)}
    # For registry.blob-mounting. AWS knows no narrower right: it includes ECR's other settings of the account.
    yield _allow("WriteRegistrySettings", ["ecr:PutAccountSetting"], ["*"])
    yield _allow(
        "WritePullThroughCaches",
        [
            "ecr:CreatePullThroughCacheRule",
            "ecr:CreateRepositoryCreationTemplate",
            "ecr:DeletePullThroughCacheRule",
            "ecr:DeleteRepositoryCreationTemplate",
            "ecr:UpdatePullThroughCacheRule",
            "ecr:UpdateRepositoryCreationTemplate",
        ],
        ["*"],
    )
    # ECR asks for these rights where it later creates repositories by the template, with its lifecycle policy:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html
    yield _allow("CreateCaches", ["ecr:CreateRepository", "ecr:PutLifecyclePolicy"], [stack.caches])
    yield _allow(
        "PassRoleOfCaches",
        ["iam:PassRole"],
        [stack.iam_arn(f"role{stack.settings.iam.path}{stack.settings.iam.named(f'{stack.prefix}-pull-through')}")],
        {"StringEquals": {"iam:PassedToService": "ecr.amazonaws.com"}},
    )


def _node_writes(stack: Stack) -> Iterable[Document]:
    templates = stack.arn("ec2", "launch-template/*")
    yield _allow("CreateNodes", ["eks:CreateNodegroup"], [stack.cluster])
    yield _allow(
        "WriteNodes",
        [
            "eks:DeleteNodegroup",
            "eks:TagResource",
            "eks:UntagResource",
            "eks:UpdateNodegroupConfig",
        ],
        [stack.node_groups],
    )
    yield _allow("FollowUpdates", ["eks:DescribeUpdate"], [stack.cluster, stack.node_groups])
    yield _allow(
        "WriteLaunchTemplates",
        [
            "ec2:CreateLaunchTemplate",
            "ec2:CreateTags",
            "ec2:DeleteLaunchTemplate",
            "ec2:DeleteTags",
        ],
        [templates],
    )
    started = ("instance/*", "network-interface/*", "security-group/*", "subnet/*", "volume/*")
    yield _allow(
        "StartNodes",
        ["ec2:CreateTags", "ec2:RunInstances"],
        [
            f"arn:{stack.account.partition}:ec2:{stack.region}::image/*",
            templates,
            *(stack.arn("ec2", each) for each in started),
        ],
    )
    yield _allow(
        "TagScalingGroups",
        ["autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags"],
        [stack.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/eks-{stack.prefix}-*")],
    )


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Document:
    statement: Document = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": dict(condition)} if condition else statement


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def tls_only(bucket_arn: str) -> Document:
    """The policy of a bucket that refuses requests without TLS.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return _document(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, f"{bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
