"""The identity that pushes: build pods, through Pod Identity or IRSA."""

from components.platform import SERVICE_ACCOUNT
from stacks.names import default_namespace
from tests.components.answers import ACCOUNT, ISSUER, REGION
from tests.components.mocks import NAME, STACK, declare
from tests.stacks.stack_settings import project


def test_pod_identity_gives_the_role_to_the_build_pods() -> None:
    declared = declare()
    association = declared.only("eks:PodIdentityAssociation").inputs
    assert association["namespace"] == default_namespace(STACK)
    assert association["serviceAccount"] == SERVICE_ACCOUNT
    assert association["roleArn"] == declared.outputs["push-role-arns"]["protected"]
    account = declared.only("core:ServiceAccount").inputs
    assert account["metadata"]["name"] == SERVICE_ACCOUNT
    assert "eks.amazonaws.com/role-arn" not in account["metadata"].get("annotations", {})


def test_irsa_gives_the_role_by_the_service_accounts_annotation() -> None:
    declared = declare(identity="irsa")
    assert not declared.of("eks:PodIdentityAssociation")
    annotations = declared.only("core:ServiceAccount").inputs["metadata"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": declared.outputs["push-role-arns"]["protected"]}
    [trust] = declared.of("iam:Role")[f"{NAME}-push"].document("assumeRolePolicy")["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert f"{ISSUER.removeprefix('https://')}:sub" in trust["Condition"]["StringEquals"]


def test_builds_may_push_exactly_the_stacks_images() -> None:
    declared = declare(projects=[project({"name": "base"}, {"name": "web"})])
    [_, push] = declared.only("iam:Policy").document("policy")["Statement"]
    repositories = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    assert push["Resource"] == [f"{repositories}/platform/images/base", f"{repositories}/platform/images/web"], (
        "the builder's repository must not be among them: a build could change the image of all other jobs"
    )


def test_pods_get_the_role_after_it_has_its_policies() -> None:
    declared = declare()
    attachments = {
        each.id for each in declared.of("iam:RolePolicyAttachment").values() if each.name.startswith(f"{NAME}-push")
    }
    assert attachments
    assert attachments <= declared.only("eks:PodIdentityAssociation").depends_on, "the first builds would fail to push"


def test_managers_start_after_builds_can_push() -> None:
    declared = declare()
    association = declared.only("eks:PodIdentityAssociation").id
    for manager in declared.of("helm.sh:Release").values():
        assert association in manager.depends_on, "the first builds would fail to push"
