"""IAM and ECR policies as plain dictionaries: pure, so that reviewers and tests read them without Pulumi."""

import json
from collections.abc import Sequence
from typing import Any

from stacks import tags

Document = dict[str, Any]

_VERSION = "2012-10-17"


def node_trust() -> Document:
    """Lets EC2 instances be build nodes."""
    return _document(
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    )


def pod_identity_trust(*, cluster_arn: str, namespace: str, service_account: str) -> Document:
    """Lets EKS Pod Identity hand the role to one service account of one cluster.

    EKS sets the tags when it assumes the role. Without the condition, whoever may create an association anywhere in the
    account could give the role to pods of their own.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    """
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": cluster_arn,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        }
    )


def irsa_trust(*, oidc_provider_arn: str, namespace: str, service_account: str) -> Document:
    """Lets one service account assume the role with the token that the cluster's issuer signs.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
    """
    issuer = oidc_provider_arn.partition(":oidc-provider/")[2]
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": oidc_provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:sub": f"system:serviceaccount:{namespace}:{service_account}",
                }
            },
        }
    )


MAX_POLICY_CHARACTERS = 6144
"""Of one managed policy, blanks not counted."""

MAX_ROLE_POLICIES = 10
"""Managed policies of one role, unless AWS has raised the account's quota.

Source of both: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def push(repository_arns: Sequence[str]) -> list[Document]:
    """Lets builds pull from and push to these repositories, and no others: as many policies as the names need.

    A token for the registry cannot be limited to repositories; what it is good for is the other statement.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """
    groups: list[list[str]] = [[]]
    for arn in sorted(repository_arns):
        if _characters(_push([*groups[-1], arn])) > MAX_POLICY_CHARACTERS:
            groups.append([])
        groups[-1].append(arn)
    return [_push(group) for group in groups]


def _push(repository_arns: Sequence[str]) -> Document:
    return _document(
        {"Sid": "LogIn", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Sid": "PullAndPush",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            "Resource": list(repository_arns),
        },
    )


def _characters(document: Document) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def lifecycle_policy(*, keep_untagged_days: int, keep_cache_days: int) -> Document:
    """What ECR deletes by itself: untagged images and stale caches. Releases stay, since no rule selects them.

    A child of a multi-architecture image has no tag, but ECR never expires it before the image that lists it.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
    """

    def older_than(days: int) -> Document:
        return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}

    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Caches that a newer one replaced, and builds that never became an image",
                "selection": {"tagStatus": "untagged", **older_than(keep_untagged_days)},
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "Caches of branches that are built no more",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": [tags.cache_pattern()],
                    **older_than(keep_cache_days),
                },
                "action": {"type": "expire"},
            },
        ]
    }


def _document(*statements: Document) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}
