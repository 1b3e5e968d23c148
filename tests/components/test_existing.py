"""Repositories that exist before the stack, and nodes that run."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.platform import deploy
from tests.components.mocks import NAME, STACK, Declared, attempt
from tests.stacks.stack_settings import project, settings

WEB = "platform/images/web"
OURS = {"buildyard:project": "buildyard", "buildyard:stack": STACK}
KEY = "arn:aws:kms:ap-east-1:123456789012:key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"


def deployed(repositories: Mapping[str, Mapping[str, Any]], **keys: Any) -> Declared:
    stack = settings(**{"projects": [project({"name": "web"})], **keys})
    declared = Declared(repositories=repositories)
    attempt(lambda: deploy(lambda: stack), declared)
    return declared


def refused(repositories: Mapping[str, Mapping[str, Any]], **keys: Any) -> str:
    with pytest.raises(pulumi.RunError) as caught:
        deployed(repositories, **keys)
    return str(caught.value)


def taken_in(declared: Declared) -> set[str]:
    return {each.taken_in for each in declared.of("ecr:Repository").values() if each.taken_in}


def test_a_repository_of_nobody_is_taken_in_only_if_the_settings_say_so() -> None:
    said = refused({WEB: {}, "elsewhere": {}})
    assert f"buildyard:projects[0].images[0].name: the repository {WEB} exists already" in said
    assert "buildyard:registry.adopt: true" in said
    assert "elsewhere" not in said
    assert taken_in(deployed({WEB: {}, "elsewhere": {}}, registry={"adopt": True})) == {WEB}


def test_the_stacks_own_repositories_are_taken_in_without_a_word() -> None:
    """Without an effect for those in the state; the others left the stack before, or the state was lost."""
    assert taken_in(deployed({WEB: {"tags": OURS}})) == {WEB}
    assert taken_in(deployed({WEB: {"tags": OURS, "listed": False}})) == {WEB}, "the list of tags may be old"


def test_another_stacks_repository_is_never_taken_in() -> None:
    theirs = {**OURS, "buildyard:stack": "staging"}
    said = refused({WEB: {"tags": theirs}}, registry={"adopt": True})
    assert "belongs to the stack 'staging'" in said
    assert "buildyard:registry.prefix" in said


def test_a_repository_with_another_encryption_is_refused_by_name() -> None:
    adopt = {"adopt": True}
    assert f"{WEB} is encrypted with {KEY}" in refused({WEB: {"kmsKey": KEY}}, registry=adopt)
    said = refused({WEB: {}}, registry={**adopt, "kms-key": KEY})
    assert f"{WEB} is encrypted with ECR's own key, which ECR cannot change to {KEY}" in said
    assert taken_in(deployed({WEB: {"kmsKey": KEY}}, registry={**adopt, "kms-key": KEY})) == {WEB}
    alias = KEY.replace("key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d", "alias/ci")
    assert taken_in(deployed({WEB: {"kmsKey": KEY}}, registry={**adopt, "kms-key": alias})) == {WEB}


def test_images_of_somebody_never_expire_as_those_of_merge_requests_do() -> None:
    said = refused({f"{WEB}/review": {}}, registry={"adopt": True}, trust="isolated")
    assert f"{WEB}/review exists already, and the images of merge requests, which expire, need it" in said


def test_all_repositories_are_reported_at_once() -> None:
    images = [{"name": "web"}, {"name": "docs", "repository": "shop/docs"}]
    said = refused({WEB: {}, "shop/docs": {}, "buildyard/builder": {}}, projects=[project(*images)])
    assert "has 3 problems" in said
    assert "buildyard:projects[0].images[1].repository: the repository shop/docs" in said
    assert "buildyard:runners.builder-image: the repository buildyard/builder" in said


@pytest.mark.parametrize(
    ("function", "key"),
    [
        ("getRepositories", "buildyard:registry"),
        ("getResources", "buildyard:registry"),
        ("getRepository", "buildyard:registry"),
        ("getNodeGroups", "buildyard:nodes"),
        ("getNodeGroup", "buildyard:nodes"),
    ],
)
def test_what_the_credentials_may_not_read_is_a_problem(function: str, key: str) -> None:
    declared = Declared(
        refusals={function: "AccessDenied"}, repositories={WEB: {}}, node_groups={f"{NAME}-arm64-0123456": 1}
    )
    with pytest.raises(pulumi.RunError, match=f"{key}: AccessDenied"):
        attempt(lambda: deploy(lambda: settings(projects=[project({"name": "web"})])), declared)


@pytest.mark.parametrize(
    ("groups", "replaced"),
    [
        ({}, False),
        ({f"{NAME}-arm64-0123456": 5}, False),
        ({f"{NAME}-arm64-0123456": 6}, True),
        ({f"{NAME}-arm64-0123456": 0, f"{NAME}-arm64-abcdef0": 6}, True),
        ({f"{NAME}-amd64-0123456": 6, f"{NAME}-unprotected-arm64-0123456": 6}, False),
        ({f"{NAME}-arm64-other-0123456": 6, "shop-0123456": 6}, False),
    ],
)
def test_a_maximum_below_the_running_nodes_comes_with_a_new_group(groups: dict[str, int], replaced: bool) -> None:
    declared = Declared(node_groups=groups)
    nodes = {"arm64": {"instance-types": ["m7g.4xlarge"], "max-size": 5}}
    attempt(lambda: deploy(lambda: settings(nodes=nodes)), declared)
    group = declared.of("eks:NodeGroup")[f"{NAME}-arm64"]
    assert ("scalingConfig.maxSize" in group.replaced_by) is replaced, "EKS refuses a maximum below the desired size"
