"""Requests beyond AWS's documented limits, which AWS refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox import server
from sandbox.endpoints import Endpoints
from tests.sandbox.conftest import AwsClient, aws_clients
from tests.sandbox.services_aws.test_eks import make_node_group

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def policy(characters: int) -> str:
    """A policy with this many characters besides white space."""
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::"]}],
    }
    written = json.dumps(document, indent=4)
    missing = characters - len("".join(written.split()))
    return written.replace("s3:::", f"s3:::{'a' * missing}")


def trust(characters: int) -> str:
    missing = characters - len("".join(TRUST.split()))
    return TRUST.replace("ec2.amazonaws.com", f"{'e' * missing}ec2.amazonaws.com")


def pairs(count: int, key: str = "key") -> list[dict[str, str]]:
    return [{"Key": f"{key}-{number}", "Value": "a"} for number in range(count)]


RESERVED = [{"Key": "aws:team", "Value": "a"}]
LONG_KEY = [{"Key": "k" * 129, "Value": "a"}]
LONG_VALUE = [{"Key": "key", "Value": "v" * 257}]
TEMPLATE = {"EbsOptimized": True}


def role(**request: Any) -> dict[str, Any]:
    return {"RoleName": "beyond", "AssumeRolePolicyDocument": TRUST, **request}


def template(**request: Any) -> dict[str, Any]:
    return {"LaunchTemplateName": "beyond", "LaunchTemplateData": TEMPLATE, **request}


def template_tags(tags: list[dict[str, str]]) -> dict[str, Any]:
    return template(TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}])


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code", "message"),
    [
        ("iam", "create_role", role(RoleName="r" * 65), "ValidationError", "at 'roleName' failed .* equal to 64"),
        ("iam", "create_role", role(RoleName="a b"), "ValidationError", "regular expression pattern"),
        ("iam", "create_role", role(Description="d" * 1001), "ValidationError", "at 'description' .* equal to 1000"),
        ("iam", "create_role", role(AssumeRolePolicyDocument=trust(2049)), "LimitExceeded", "ACLSizePerRole: 2048"),
        ("iam", "create_role", role(Tags=pairs(51)), "ValidationError", "at 'tags' .* less than or equal to 50"),
        ("iam", "create_role", role(Tags=RESERVED), "InvalidInput", "'aws:' are reserved"),
        ("iam", "create_role", role(Tags=LONG_KEY), "ValidationError", "at 'tags.1.member.key' .* equal to 128"),
        ("iam", "create_role", role(Tags=LONG_VALUE), "ValidationError", "at 'tags.1.member.value' .* equal to 256"),
        ("iam", "create_policy", {"PolicyName": "p" * 129, "PolicyDocument": policy(200)}, "ValidationError", "128"),
        ("iam", "create_policy", {"PolicyName": "p", "PolicyDocument": policy(6145)}, "LimitExceeded", "Size: 6144"),
        ("ecr", "create_repository", {"repositoryName": "a"}, "InvalidParameterException", "equal to 2'"),
        ("ecr", "create_repository", {"repositoryName": "a" * 257}, "InvalidParameterException", "equal to 256"),
        ("ecr", "create_repository", {"repositoryName": "Team/web"}, "InvalidParameterException", "regular expr"),
        ("ecr", "create_repository", {"repositoryName": "team//web"}, "InvalidParameterException", "regular expr"),
        ("ecr", "create_repository", {"repositoryName": "b51", "tags": pairs(51)}, "TooManyTagsException", "is 50"),
        (
            "ecr",
            "create_repository",
            {"repositoryName": "b0", "tags": RESERVED},
            "InvalidTagParameterException",
            "aws:",
        ),
        ("ecr", "create_repository", {"repositoryName": "b1", "tags": LONG_KEY}, "InvalidTag", "128"),
        (
            "ecr",
            "create_repository",
            {"repositoryName": "b2", "tags": LONG_VALUE},
            "InvalidTagParameterException",
            "256",
        ),
        ("ec2", "create_launch_template", template(LaunchTemplateName="ab"), "InvalidLaunchTemplateName", "3 and 128"),
        ("ec2", "create_launch_template", template(LaunchTemplateName="a" * 129), "InvalidLaunchTemplateName", "128"),
        ("ec2", "create_launch_template", template(LaunchTemplateName="a b c"), "InvalidLaunchTemplateName", "letters"),
        ("ec2", "create_launch_template", template_tags(pairs(51)), "TagLimitExceeded", "is 50"),
        ("ec2", "create_launch_template", template_tags(RESERVED), "InvalidParameterValue", "'aws:' are reserved"),
        ("ec2", "create_launch_template", template_tags(LONG_KEY), "InvalidParameterValue", "128"),
        (
            "ec2",
            "create_launch_template",
            template(LaunchTemplateData={"TagSpecifications": [{"ResourceType": "instance", "Tags": RESERVED}]}),
            "InvalidParameterValue",
            "'aws:' are reserved",
        ),
    ],
)
def test_a_request_beyond_a_limit_is_refused(
    endpoints: Endpoints, service: str, operation: str, request_: dict[str, Any], code: str, message: str
) -> None:
    client = aws_clients(endpoints, Config(parameter_validation=False))(service)
    with pytest.raises(ClientError, match=message) as refused:
        getattr(client, operation)(**request_)
    assert refused.value.response["Error"]["Code"].startswith(code)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"nodegroupName": "n" * 64}, "can't be longer than 63 characters"),
        ({"nodegroupName": "a.b"}, "contains invalid characters"),
        ({"nodegroupName": "-a"}, "contains invalid characters"),
        ({"labels": {"k" * 64: "a"}}, "at 'labels' .* equal to 63"),
        ({"labels": {"key": "v" * 64}}, "at 'labels.key' .* equal to 63"),
        ({"labels": {"key": "a b"}}, "must consist of alphanumeric characters"),
        ({"labels": {"kubernetes.io/arch": "arm64"}}, "reserved prefixes"),
        ({"taints": [{"key": "k" * 64, "value": "a", "effect": "NO_SCHEDULE"}]}, "at 'taints.1.member.key'"),
        ({"tags": {f"key-{number}": "a" for number in range(51)}}, "at 'tags' .* equal to 50"),
        ({"tags": {"AWS:team": "a"}}, "'aws:' are reserved"),
    ],
)
def test_a_node_group_beyond_a_limit_is_refused(aws: AwsClient, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        make_node_group(aws, **request_)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"


def test_labels_that_an_update_adds_are_checked_too(aws: AwsClient) -> None:
    name = make_node_group(aws)["nodegroupName"]
    with pytest.raises(ClientError, match="reserved prefixes"):
        aws("eks").update_nodegroup_config(
            clusterName="ci", nodegroupName=name, labels={"addOrUpdateLabels": {"node.k8s.io/a": "b"}}
        )


def test_what_is_just_within_the_limits_is_accepted(aws: AwsClient) -> None:
    tags = [*pairs(49), {"Key": "k" * 128, "Value": "v" * 256}]
    aws("iam").create_role(RoleName="r" * 64, AssumeRolePolicyDocument=trust(2048), Tags=tags)
    aws("iam").create_policy(PolicyName="p" * 128, PolicyDocument=policy(6144), Tags=tags)
    aws("ecr").create_repository(repositoryName="a/" * 127 + "bc", tags=tags)
    aws("ecr").create_repository(repositoryName="two--hyphens/two__underscores")
    aws("ec2").create_launch_template(LaunchTemplateName="t" * 128, LaunchTemplateData=TEMPLATE)
    make_node_group(
        aws,
        nodegroupName="n" * 63,
        labels={"l" * 63: "v" * 63},
        tags={tag["Key"]: tag["Value"] for tag in tags},
    )


def test_tags_are_counted_with_those_that_a_resource_has(aws: AwsClient) -> None:
    iam, ecr, eks, scaling = (aws(service) for service in ("iam", "ecr", "eks", "autoscaling"))
    iam.create_role(RoleName="many-tags", AssumeRolePolicyDocument=TRUST, Tags=pairs(40))
    arn = iam.create_policy(PolicyName="many-tags", PolicyDocument=policy(200), Tags=pairs(40))["Policy"]["Arn"]
    repository = ecr.create_repository(repositoryName="many-tags", tags=pairs(40))["repository"]["repositoryArn"]
    group = make_node_group(aws, tags={tag["Key"]: "a" for tag in pairs(40)})
    scaling_group = group["resources"]["autoScalingGroups"][0]["name"]
    present = len(scaling.describe_tags(Filters=[{"Name": "auto-scaling-group", "Values": [scaling_group]}])["Tags"])

    def scaling_tags(tags: list[dict[str, str]]) -> list[dict[str, Any]]:
        own = {"ResourceId": scaling_group, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
        return [{**tag, **own} for tag in tags]

    scaling.create_or_update_tags(Tags=scaling_tags(pairs(40 - present)))
    cases: list[tuple[str, Callable[[list[dict[str, str]]], Any]]] = [
        ("LimitExceeded", lambda tags: iam.tag_role(RoleName="many-tags", Tags=tags)),
        ("LimitExceeded", lambda tags: iam.tag_policy(PolicyArn=arn, Tags=tags)),
        ("TooManyTagsException", lambda tags: ecr.tag_resource(resourceArn=repository, tags=tags)),
        (
            "BadRequestException",
            lambda tags: eks.tag_resource(
                resourceArn=group["nodegroupArn"], tags={tag["Key"]: tag["Value"] for tag in tags}
            ),
        ),
        ("LimitExceeded", lambda tags: scaling.create_or_update_tags(Tags=scaling_tags(tags))),
    ]
    for code, tag in cases:
        with pytest.raises(ClientError, match=code):
            tag(pairs(11, "more"))
        tag(pairs(10, "more"))
        tag(pairs(10, "more"))  # existing keys do not count again


def test_a_roles_policies_are_counted_together(aws: AwsClient) -> None:
    iam = aws("iam")
    iam.create_role(RoleName="many-policies", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="many-policies", PolicyName="a", PolicyDocument=policy(9000))
    iam.put_role_policy(RoleName="many-policies", PolicyName="a", PolicyDocument=policy(9001))
    with pytest.raises(ClientError, match="Maximum policy size of 10240 bytes exceeded for role many-policies"):
        iam.put_role_policy(RoleName="many-policies", PolicyName="b", PolicyDocument=policy(1240))
    arns = [
        iam.create_policy(PolicyName=f"many-{number}", PolicyDocument=policy(200))["Policy"]["Arn"]
        for number in range(11)
    ]
    for arn in arns[:10]:
        iam.attach_role_policy(RoleName="many-policies", PolicyArn=arn)
    iam.attach_role_policy(RoleName="many-policies", PolicyArn=arns[0])
    with pytest.raises(ClientError, match="Cannot exceed quota for PoliciesPerRole: 10"):
        iam.attach_role_policy(RoleName="many-policies", PolicyArn=arns[10])


def test_a_later_version_of_a_policy_has_the_same_limit(aws: AwsClient) -> None:
    arn = aws("iam").create_policy(PolicyName="grows", PolicyDocument=policy(200))["Policy"]["Arn"]
    with pytest.raises(ClientError, match="Cannot exceed quota for PolicySize: 6144"):
        aws("iam").create_policy_version(PolicyArn=arn, PolicyDocument=policy(6145))


def test_a_trust_policy_that_an_update_sets_has_the_same_limit(aws: AwsClient) -> None:
    aws("iam").create_role(RoleName="trusts", AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ClientError, match="ACLSizePerRole"):
        aws("iam").update_assume_role_policy(RoleName="trusts", PolicyDocument=trust(2049))


def test_what_was_accepted_before_there_were_limits_is_still_there_after_a_restart(tmp_path: Path) -> None:
    try:
        aws = aws_clients(server.start(tmp_path))
        aws("ecr").create_repository(repositoryName="old", tags=pairs(1))
        server.stop(tmp_path)
        journal = tmp_path / "aws" / "journal.jsonl"
        *before, last = journal.read_text().splitlines()
        entry = json.loads(last)
        entry["body"] = json.dumps({**json.loads(entry["body"]), "tags": pairs(51)})
        journal.write_text("\n".join([*before, json.dumps(entry), ""]))
        aws = aws_clients(server.start(tmp_path))
        [repository] = aws("ecr").describe_repositories()["repositories"]
        assert len(aws("ecr").list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]) == 51
    finally:
        server.stop(tmp_path)
