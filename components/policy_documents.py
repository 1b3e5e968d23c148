"""IAM and ECR policies as plain dictionaries, which reviewers and tests can read without Pulumi."""

import json
from collections.abc import Sequence
from typing import Any

from stacks import tags
from stacks.registries import Registry

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


def push(
    repository_arns: Sequence[str], *, pull_arns: Sequence[str] = (), cache_arns: Sequence[str] = ()
) -> list[Document]:
    """The policies that let builds pull from and push to these repositories only, as many as their names need.

    From the repositories of `pull_arns`, builds may only pull. Those of `cache_arns` are ECR's pull-through caches:
    builds may let ECR create them and import the upstream's images, but push none.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html

    A registry token cannot be limited to repositories. The other statement limits what it can do.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """
    groups: list[list[tuple[str, str]]] = [[]]
    arns = {_PUSH: repository_arns, _PULL: pull_arns, _IMPORT: cache_arns}
    for right in sorted((arn, kind) for kind, listed in arns.items() for arn in dict.fromkeys(listed)):
        if _characters(_rights([*groups[-1], right])) > MAX_POLICY_CHARACTERS:
            groups.append([])
        groups[-1].append(right)
    return [_rights(group) for group in groups]


_PULL = "Pull"
_PUSH = "PullAndPush"
_IMPORT = "PullThrough"
PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
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
    _PULL: [*PULL_ACTIONS],
    _IMPORT: [*PULL_ACTIONS, "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"],
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


def lifecycle_policy(*, default_branch: str | None, registry: Registry, shared: bool) -> Document:
    """The lifecycle policy of an image's repository. No rule selects Git tags, whose images stay for ever.

    ECR applies the first rule that an image's tags match, and no other. So the first one, which never expires an image,
    keeps `latest`. An image of several architectures expires as a whole: its untagged parts stay as long as it does.
    `default_branch` is None for an image that no pipeline publishes. `shared` is whether images of merge requests and
    other branches are in this repository, too.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
    """
    versions = []
    if default_branch is not None:
        kept = _more_than(registry.keep_versions)
        versions = [_expire("Versions of the default branch", kept, tags.version_pattern(default_branch))]
    unreleased = [
        _expire("Images of merge requests and other branches", _older_than(registry.keep_review_days), pattern)
        for pattern in tags.UNRELEASED
    ]
    return _lifecycle(
        _expire("The newest image of the default branch stays", _more_than(1), tags.LATEST),
        _expire("Old caches", _older_than(registry.keep_cache_days), tags.cache_pattern()),
        *versions,
        *(unreleased if shared else ()),
        _expire("Replaced caches, and builds that were not published", _older_than(registry.keep_untagged_days)),
    )


def review_lifecycle_policy(*, keep_days: int) -> Document:
    """The lifecycle policy of the unprotected tier's repositories, by which ECR deletes everything after some days."""
    everything = _expire("Images and caches of merge requests and other unprotected refs", _older_than(keep_days))
    return _lifecycle({**everything, "selection": {**everything["selection"], "tagStatus": "any"}})


def _lifecycle(*rules: Document) -> Document:
    return {"rules": [{"rulePriority": priority, **rule} for priority, rule in enumerate(rules, start=1)]}


def _expire(description: str, count: Document, pattern: str | None = None) -> Document:
    """A rule for images with a tag that matches the pattern, or for those without a tag."""
    selected = {"tagStatus": "tagged", "tagPatternList": [pattern]} if pattern else {"tagStatus": "untagged"}
    return {"description": description, "selection": {**selected, **count}, "action": {"type": "expire"}}


def _older_than(days: int) -> Document:
    return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}


def _more_than(images: int) -> Document:
    return {"countType": "imageCountMoreThan", "countNumber": images}


def upstream_lifecycle_policy(*, keep_days: int) -> Document:
    """The lifecycle policy of pull-through caches. ECR imports an image again after it expired."""
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Images of the upstream registry that were imported some time ago",
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


def registry_trust() -> Document:
    """The trust policy that lets ECR assume the role of repository creation templates.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create-iam.html
    """
    return _document(
        {"Effect": "Allow", "Principal": {"Service": "ecr.amazonaws.com"}, "Action": "sts:AssumeRole"},
    )


def encrypted_repositories(repository_arns: Sequence[str], key: str) -> Document:
    """The policy that lets ECR create repositories that a KMS key encrypts. `key` is the ARN of a key or an alias.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html
    """
    create = {
        "Sid": "Create",
        "Effect": "Allow",
        "Action": "ecr:CreateRepository",
        "Resource": sorted(repository_arns),
    }
    return _document(create, {"Sid": "Encrypt", **use_of_key(key)})


def use_of_key(key: str) -> Document:
    """The statement, without its name, that lets somebody create repositories that a KMS key encrypts.

    `key` is the ARN of a key, or of an alias.
    Source: https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
    """
    keys, alias, name = key.partition(":alias/")
    use: Document = {
        "Effect": "Allow",
        "Action": ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"],
        "Resource": f"{keys}:key/*" if alias else key,
    }
    if alias:
        use["Condition"] = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{name}"}}
    return use


def _document(*statements: Document) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}
