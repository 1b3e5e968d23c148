"""Tests of rights in words."""

import json

import pytest

from components import policy_documents
from delivery.rights import Grant, iam_grants
from delivery.rights_in_words import granted, principals

ARN = "arn:aws:ecr:ap-east-1:123456789012:repository/"
HERE = "(ECR of the account `123456789012` in `ap-east-1`)"


def words(*names: str, pull: tuple[str, ...] = (), cache: tuple[str, ...] = ()) -> str:
    """The words for the policy that the program gives to builds."""
    [document] = policy_documents.push(
        [ARN + name for name in names],
        pull_arns=[ARN + name for name in pull],
        cache_arns=[ARN + name for name in cache],
    )
    return granted(iam_grants(json.dumps(document)))


def test_the_rights_of_builds_are_pulling_pushing_and_importing() -> None:
    assert words("a", "b") == f"log in to ECR; pull from and push to `a`, `b` {HERE}"
    assert words("a", pull=("shared/*",)).endswith(f"; pull from `shared/*` {HERE}")
    assert words("a", cache=("hub/*",)).endswith(
        f"; pull from, import images of the upstream into and create `hub/*` {HERE}"
    )


def test_an_action_alone_is_named() -> None:
    assert granted([Grant(action="ecr:PutImage", target=f"{ARN}a")]) == f"use `ecr:PutImage` on `a` {HERE}"
    assert granted([Grant(action="ecr:*", target="*")]) == "use `ecr:*`"


def test_a_part_of_the_actions_is_no_right_to_push() -> None:
    grants = [Grant(action=action, target=f"{ARN}a") for action in ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart")]
    assert granted(grants) == f"use `ecr:InitiateLayerUpload`, `ecr:UploadLayerPart` on `a` {HERE}"


def test_repositories_of_another_account_are_told_apart() -> None:
    other = "arn:aws-cn:ecr:cn-north-1:999999999999:repository/a"
    text = granted([Grant(action="ecr:PutImage", target=target) for target in (f"{ARN}a", other)])
    assert text == f"use `ecr:PutImage` on `a` {HERE}, `a` (ECR of the account `999999999999` in `cn-north-1`)"


def test_who_can_assume_the_role_of_builds_is_one_service_account() -> None:
    document = policy_documents.pod_identity_trust(cluster_arn="arn:c", namespace="ns", service_account="builds")
    assert principals(iam_grants(json.dumps(document))) == (
        "`pods.eks.amazonaws.com` if `aws:RequestTag/eks-cluster-arn` is `arn:c` and "
        "`aws:RequestTag/kubernetes-namespace` is `ns` and `aws:RequestTag/kubernetes-service-account` is `builds`"
    )


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"StringLike": {"sub": ["a*", "b*"]}}, " if `sub` is like `a*` or `b*`"),
        ({"ArnEquals": {"k": "a, b"}, "StringEquals": {"l": "c"}}, " if `k` is like `a, b` and `l` is `c`"),
        ({"Bool": {"k": "true"}}, ', given `{"Bool": {"k": "true"}}`'),
        ({"StringEqualsIfExists": {"k": "v"}}, ', given `{"StringEqualsIfExists": {"k": "v"}}`'),
        ({"StringEquals": []}, ', given `{"StringEquals": []}`'),
    ],
)
def test_a_condition_is_a_sentence_or_stays_as_it_is(condition: object, words: str) -> None:
    grant = Grant(action="sts:AssumeRole", target="*", who="*", condition=json.dumps(condition))
    assert principals([grant]) == f"**anybody**{words}"
