"""The names that a stack makes from its own: all of them are checked before the first resource."""

from typing import Any

import pytest

from components.preflight.checks import Check
from components.preflight.names import check_names, names
from stacks.names import stack_name
from tests.components.mocks import STACK, declare
from tests.stacks.stack_settings import settings

EVERYTHING: dict[str, Any] = {
    "trust": "isolated",
    "registry": {
        "kms-key": "arn:aws:kms:ap-east-1:123456789012:key/0b4e3c3a-4b8e-4f1d-9a54-3f1f1a1b2c3d",
        "pull-through": {
            "docker-hub": {
                "credentials": "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
            }
        },
    },
}


def checked(stack: str, **keys: Any) -> Check:
    return check_names(settings(**keys), stack)


def test_a_usual_name_is_no_problem() -> None:
    assert not checked("prod", **EVERYTHING).problems


@pytest.mark.parametrize(("trust", "longest"), [("isolated", 25), ("protected-only", 37), ("shared", 37)])
def test_the_longest_name_of_a_stack_is_what_helm_accepts(trust: str, longest: int) -> None:
    assert not checked("s" * longest, trust=trust).problems
    [problem] = checked("s" * 45, trust=trust).problems
    assert problem.path == f"stack {'s' * 45}"
    assert "the Helm release" in problem.message
    assert "53 are allowed" in problem.message
    assert f"at most {longest} characters" in problem.hint


@pytest.mark.parametrize(
    ("stack", "refusing"),
    [
        ("Prod", ["Kubernetes namespace", "Helm release"]),
        ("eu_prod", ["Kubernetes namespace", "Helm release"]),
        ("eu.prod", ["Kubernetes namespace", "EKS node group"]),
        ("prod-", ["Kubernetes namespace", "Kubernetes label's value"]),
    ],
)
def test_characters_that_an_owner_refuses(stack: str, refusing: list[str]) -> None:
    said = [problem.message for problem in checked(stack).problems]
    assert len(said) == len(refusing), said
    for owner in refusing:
        assert any(owner in message for message in said), f"the first update would fail at the {owner}"


def test_a_namespace_of_the_settings_takes_no_part_in_the_stacks_name() -> None:
    assert all("namespace" not in each.message for each in checked("Prod", runners={"namespace": "builds"}).problems)


def test_every_name_that_resources_get_is_checked() -> None:
    stack = settings(**EVERYTHING)
    known = {name for _, name in names(stack, STACK)}
    for resource in declare(stack).all:
        inputs = resource.plain()
        named = {
            "aws:iam/role:Role": inputs.get("name"),
            "kubernetes:helm.sh/v3:Release": inputs.get("name"),
            "kubernetes:core/v1:Namespace": inputs.get("metadata", {}).get("name"),
            "aws:eks/nodeGroup:NodeGroup": resource.name,
            "aws:ec2/launchTemplate:LaunchTemplate": resource.name,
        }.get(resource.type)
        assert named is None or named in known, f"nobody checks the name {named}, made from {stack_name(STACK)}"
