"""IAM and ECR policies, as dictionaries."""

import json

from components import policy_documents

REPOSITORIES = [f"arn:aws:ecr:ap-east-1:123456789012:repository/platform/{name}" for name in ("web", "base")]
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-east-1.amazonaws.com/id/ABC"


def test_builds_push_to_the_given_repositories_and_no_others() -> None:
    [document] = policy_documents.push(REPOSITORIES)
    log_in, push = document["Statement"]
    assert push["Resource"] == sorted(REPOSITORIES), "a build could overwrite images of another stack"
    assert log_in == {"Sid": "LogIn", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}, (
        "only the registry's token needs access to all resources"
    )


def test_the_push_policy_is_complete() -> None:
    assert policy_documents.push(REPOSITORIES[:1]) == [
        {
            "Version": "2012-10-17",
            "Statement": [
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
                    "Resource": REPOSITORIES[:1],
                },
            ],
        }
    ], "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html lists what a push needs"


def test_a_policy_may_have_exactly_the_largest_size() -> None:
    def arns(last: int) -> list[str]:
        return [*(f"arn:aws:ecr:ap-east-1:123456789012:repository/{n:03}" for n in range(100)), "z" * last]

    length = len(json.dumps(policy_documents.push(arns(1))[0], separators=(",", ":")))
    fits = arns(1 + policy_documents.MAX_POLICY_CHARACTERS - length)
    assert len(policy_documents.push(fits)) == 1
    assert len(policy_documents.push([*fits[:-1], fits[-1] + "z"])) == 2


def test_ec2_assumes_the_role_of_build_nodes() -> None:
    assert policy_documents.node_trust() == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }


def test_builds_cannot_delete_images_or_change_repositories() -> None:
    [document] = policy_documents.push(REPOSITORIES)
    _, push = document["Statement"]
    forbidden = [action for action in push["Action"] if "*" in action or "Delete" in action or "Policy" in action]
    assert not forbidden, "a build could delete its repositories, or give others access to them"


def test_more_repositories_than_fit_into_a_policy_get_more_policies() -> None:
    arns = [f"arn:aws:ecr:ap-east-1:123456789012:repository/platform/images/service-{n:04}" for n in range(500)]
    documents = policy_documents.push(arns)
    assert [arn for each in documents for arn in each["Statement"][1]["Resource"]] == arns, (
        "each repository exactly once"
    )
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144, "IAM would refuse it"
    assert len(documents) <= policy_documents.MAX_ROLE_POLICIES


def test_pod_identity_gives_the_role_to_one_service_account_of_one_cluster() -> None:
    [trust] = policy_documents.pod_identity_trust(cluster_arn="arn:cluster", namespace="ns", service_account="builds")[
        "Statement"
    ]
    assert trust["Effect"] == "Allow"
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"], "EKS tags the session when it assumes the role"
    assert trust["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-arn": "arn:cluster",
        "aws:RequestTag/kubernetes-namespace": "ns",
        "aws:RequestTag/kubernetes-service-account": "builds",
    }, "another association in the account could give the role to other pods"


def test_irsa_gives_the_role_to_one_service_account_and_audience() -> None:
    [trust] = policy_documents.irsa_trust(oidc_provider_arn=PROVIDER, namespace="ns", service_account="builds")[
        "Statement"
    ]
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRoleWithWebIdentity")
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Condition"] == {
        "StringEquals": {
            "oidc.eks.ap-east-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
            "oidc.eks.ap-east-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:ns:builds",
        }
    }, "any service account of the cluster could assume the role"
