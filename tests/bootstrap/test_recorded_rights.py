"""The roles have the rights that deployments need, and no others."""

import json
from collections.abc import Iterator

import pytest

from bootstrap.targets import Purpose
from components.policy_documents import Document
from sandbox.scratch import ScratchProject, scratch_project
from sandbox.services.aws.rights import allows
from tests.bootstrap import recorded

PROVIDER = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service"
ECR_KEYS = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html"
LINKED_ROLES = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html"

NOT_RECORDED = {
    "autoscaling:DescribeAutoScalingGroups": f"the real provider reads the group of a tag: {PROVIDER}/autoscaling",
    "ecr:DescribeImages": f"repositories that exist already: {PROVIDER}/ecr/repository_data_source.go",
    "ecr:PutImageScanningConfiguration": "an update undoes a manual change",
    "eks:DescribeUpdate": f"the real provider waits for the updates of node groups: {PROVIDER}/eks/node_group.go",
    "eks:UpdatePodIdentityAssociation": "a role that is replaced, such as by one with another path",
    "iam:CreateServiceLinkedRole": f"the first use of a service in the account: {LINKED_ROLES}",
    "iam:ListInstanceProfilesForRole": f"the real provider, before it deletes a role: {PROVIDER}/iam/role.go",
    "iam:GetRolePolicy": f"the real provider reads a role's inline policies: {PROVIDER}/iam/role.go",
    "iam:PutRolePermissionsBoundary": "roles from before iam.permissions-boundary",
    "iam:UpdateRole": "a newer Buildyard with another session time of a role",
    "iam:UpdateRoleDescription": f"a newer Buildyard with another description: {PROVIDER}/iam/role.go",
    "kms:CreateGrant": f"repositories with registry.kms-key: {ECR_KEYS}",
    "kms:DescribeKey": f"repositories with registry.kms-key: {ECR_KEYS}",
    "kms:GenerateDataKey": "S3 encrypts the state's objects: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
    "kms:RetireGrant": f"repositories with registry.kms-key: {ECR_KEYS}",
}
"""Rights that no request on the sandbox needs, and who needs them."""


@pytest.fixture(scope="module")
def project() -> Iterator[ScratchProject]:
    with scratch_project() as made:
        recorded.deploy_everything(made)
        yield made


@pytest.fixture(scope="module")
def with_state(project: ScratchProject, tmp_path_factory: pytest.TempPathFactory) -> ScratchProject:
    recorded.keep_state_in_the_bucket(project, tmp_path_factory.mktemp("state"))
    return project


@pytest.mark.timeout(900)
def test_a_run_of_everything_needs_no_right_that_a_role_lacks(with_state: ScratchProject) -> None:
    rows = recorded.used(with_state)
    assert {row.role for row in rows} == {recorded.PREVIEW, recorded.DEPLOY}
    assert len({row.action for row in rows if row.role == recorded.DEPLOY}) > 60, "the run was not one of everything"
    assert not [row for row in rows if not row.allowed]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("purpose", [Purpose.PREVIEW, Purpose.DEPLOY])
def test_every_right_is_needed(with_state: ScratchProject, purpose: Purpose) -> None:
    needed = {row.action for row in recorded.used(with_state) if row.role == purpose.role("sandbox")}
    given = _given(with_state, purpose)
    assert needed <= given
    assert given - needed - NOT_RECORDED.keys() == set(), "nothing needs these"


@pytest.mark.timeout(900)
def test_each_statement_of_the_deploy_role_is_needed_for_its_resources(with_state: ScratchProject) -> None:
    rows = {(row.action, row.resource) for row in recorded.used(with_state) if row.role == recorded.DEPLOY}
    for document in recorded.deployed_policies(with_state, recorded.DEPLOY):
        for statement in document["Statement"]:
            alone = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": {}}]}
            is_used = any(allows([alone], action, resource, {}) for action, resource in rows)
            assert is_used or set(statement["Action"]) <= NOT_RECORDED.keys(), statement["Sid"]


@pytest.mark.timeout(900)
def test_the_table_of_rights_that_are_not_recorded_is_not_too_long(with_state: ScratchProject) -> None:
    needed = {row.action for row in recorded.used(with_state)}
    assert needed & NOT_RECORDED.keys() == set(), "these are recorded"
    assert NOT_RECORDED.keys() <= _given(with_state, Purpose.DEPLOY), "no role has these"


@pytest.mark.timeout(900)
def test_the_state_in_the_bucket_holds_no_secret_in_clear_text(with_state: ScratchProject) -> None:
    found = dict(recorded.objects(with_state))
    assert ".pulumi/stacks/buildyard/sandbox.json" in found
    state = json.loads(found[".pulumi/stacks/buildyard/sandbox.json"])
    assert state["checkpoint"]["latest"]["secrets_providers"]["type"] == "cloud"
    assert not [key for key, text in found.items() if "a-secret-of-the-state" in text]


def _given(project: ScratchProject, purpose: Purpose) -> set[str]:
    """The actions that the policies of a role name."""
    documents = recorded.deployed_policies(project, purpose.role("sandbox"))
    return {action for document in documents for action in _allowed(document)}


def _allowed(document: Document) -> Iterator[str]:
    for statement in document["Statement"]:
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            yield from [actions] if isinstance(actions, str) else actions
