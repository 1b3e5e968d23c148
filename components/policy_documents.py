"""IAM and ECR policies as plain dictionaries, which reviewers and tests can read without Pulumi."""

import json
from collections.abc import Sequence
from typing import Any

from stacks import tags

Document = dict[str, Any]

_VERSION = "2012-10-17"


def node_trust() -> Document:
    """The trust policy that lets EC2 instances assume the role of build nodes."""
    return _document(
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    )


def pod_identity_trust(*, cluster_arn: str, namespace: str, service_account: str) -> Document:
    """The trust policy that lets EKS Pod Identity assume the role for one service account of one cluster.

    EKS sets the tags when it assumes the role. Without the condition, anybody who may create an association in the
    account could give the role to their own pods.
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
    """The trust policy that lets one service account assume the role with a token of the cluster's issuer.

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
"""IAM's limit for one managed policy, without whitespace."""

MAX_ROLE_POLICIES = 10
"""IAM's limit for the managed policies of one role, unless AWS has raised the account's quota.

Source of both: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def push(repository_arns: Sequence[str], *, pull_arns: Sequence[str] = ()) -> list[Document]:
    """The policies that let builds pull from and push to these repositories only, as many as their names need.

    From the repositories of `pull_arns`, builds may only pull.

    A registry token cannot be limited to repositories. The other statement limits what it can do.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """
    groups: list[list[tuple[str, str]]] = [[]]
    for right in sorted([*((arn, _PUSH) for arn in repository_arns), *((arn, _PULL) for arn in pull_arns)]):
        if _characters(_rights([*groups[-1], right])) > MAX_POLICY_CHARACTERS:
            groups.append([])
        groups[-1].append(right)
    return [_rights(group) for group in groups]


_PULL = "Pull"
_PUSH = "PullAndPush"
_ACTIONS = {
    _PUSH: [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ],
    _PULL: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}


def _rights(rights: Sequence[tuple[str, str]]) -> Document:
    """The policy with these rights, each of them an ARN and a key of `_ACTIONS`."""
    arns = {kind: [arn for arn, each in rights if each == kind] for kind in _ACTIONS}
    return _document(
        {"Sid": "LogIn", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        *(
            {"Sid": kind, "Effect": "Allow", "Action": _ACTIONS[kind], "Resource": arns[kind]}
            for kind in _ACTIONS
            if arns[kind]
        ),
    )


def _characters(document: Document) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def lifecycle_policy(*, keep_untagged_days: int, keep_cache_days: int) -> Document:
    """The lifecycle policy, by which ECR deletes untagged images and old caches. No rule selects releases.

    The images of a multi-architecture image are untagged, but ECR does not expire them before the image that lists
    them.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
    """

    def older_than(days: int) -> Document:
        return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}

    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Replaced caches, and builds that were not published",
                "selection": {"tagStatus": "untagged", **older_than(keep_untagged_days)},
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "Caches that no build has written for some time",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": [tags.cache_pattern()],
                    **older_than(keep_cache_days),
                },
                "action": {"type": "expire"},
            },
        ]
    }


def review_lifecycle_policy(*, keep_days: int) -> Document:
    """The lifecycle policy of the unprotected tier's repositories, by which ECR deletes everything after some days."""
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Images and caches of merge requests and other unprotected refs",
                "selection": {
                    "tagStatus": "any",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": keep_days,
                },
                "action": {"type": "expire"},
            }
        ]
    }


def _document(*statements: Document) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}
