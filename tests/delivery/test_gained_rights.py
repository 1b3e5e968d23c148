"""Tests of the warnings of rights: projects on other runners, roles of a cluster, permissions boundaries."""

from typing import Any

import pytest

from delivery.danger import Concern
from tests.delivery.previews import SECRET, UNKNOWN, Step, found, only, step
from tests.delivery.test_dangers import ROLE, RUNNER

ENABLEMENT = "gitlab:index/projectRunnerEnablement:ProjectRunnerEnablement"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"


def rights(*steps: Step) -> list[str]:
    return [danger.text for danger in found(*steps) if danger.concern is Concern.RIGHTS]


def test_a_project_that_gets_runners_of_another_one_is_told_once() -> None:
    steps = [
        step("create", ENABLEMENT, f"{architecture}-{project}", new={"project": project, "runnerId": UNKNOWN})
        for project in ("platform/a", "platform/b")
        for architecture in ("amd64", "arm64")
    ]
    [text] = rights(*steps)
    assert text.startswith("The projects `platform/a`, `platform/b` can start jobs on this stack's runners")
    assert "publish all releases of this stack" in text
    assert rights(steps[0])[0].startswith("The project `platform/a` can start jobs")


def test_a_project_of_the_same_runner_anew_is_no_gain_and_another_project_is() -> None:
    def replaced(before: str, after: str) -> Step:
        return step("replace", ENABLEMENT, "arm64", {"project": before, "runnerId": 1}, {"project": after})

    assert found(replaced("platform/a", "platform/a")) == []
    assert "`platform/b` can start jobs" in only(replaced("platform/a", "platform/b")).text
    assert found(step("delete", ENABLEMENT, old={"project": "platform/a"})) == []


@pytest.mark.parametrize("project", [UNKNOWN, SECRET, None])
def test_a_project_without_a_name_is_told_too(project: str | None) -> None:
    danger = only(step("create", ENABLEMENT, new={"project": project} if project else {"project": "\n"}))
    assert danger.concern is Concern.RIGHTS


def test_a_runner_of_one_project_is_told_beside_the_projects_that_it_is_enabled_for() -> None:
    steps = (step("create", RUNNER, new={"projectId": 3}), step("create", ENABLEMENT, new={"project": "a/b"}))
    assert len(rights(*steps)) == 1


def rules(*resources: str) -> dict[str, Any]:
    return {"rules": [{"apiGroups": [""], "resources": list(resources), "verbs": ["get"]}]}


def test_a_role_of_the_whole_cluster_is_told_as_one() -> None:
    danger = only(step("update", f"{RBAC}:ClusterRole", "preview", rules("nodes"), rules("nodes", "secrets")))
    assert danger.text == "The cluster role `preview` gains rights in Kubernetes: `get` on `secrets`."
    assert found(step("update", f"{RBAC}:ClusterRole", "preview", rules("nodes", "pods"), rules("nodes"))) == []
    assert found(step("delete", f"{RBAC}:ClusterRole", "preview", rules("nodes"))) == []


def binding(*subjects: dict[str, str]) -> dict[str, Any]:
    return {"roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": list(subjects)}


GROUP = {"kind": "Group", "name": "everybody"}


@pytest.mark.parametrize(("kind", "noun"), [("RoleBinding", "role binding"), ("ClusterRoleBinding", "cluster role")])
def test_a_binding_names_the_role_and_who_gets_it(kind: str, noun: str) -> None:
    account = {"kind": "ServiceAccount", "namespace": "builds", "name": "default"}
    text = only(step("create", f"{RBAC}:{kind}", "preview", new=binding(GROUP, account))).text
    assert text.startswith(f"The {noun}")
    assert text.endswith(
        "`preview` gives the rights of the role `reader` to the group `everybody`, the service account "
        "`builds/default`."
    )


def test_only_a_binding_whose_role_or_subjects_change_is_a_gain() -> None:
    kind = f"{RBAC}:ClusterRoleBinding"
    changed = {"subjects[0].name": "update"}
    assert "everybody" in only(step("update", kind, "it", binding(), binding(GROUP), details=changed)).text
    assert found(step("update", kind, "it", binding(), binding(), details={"metadata.labels": "update"})) == []
    assert found(step("delete", kind, "it", binding(GROUP))) == []


def role(boundary: str | None) -> dict[str, Any]:
    return {"assumeRolePolicy": "{}", **({"permissionsBoundary": boundary} if boundary else {})}


def test_a_permissions_boundary_that_goes_is_told_for_all_roles_at_once() -> None:
    steps = [step("update", ROLE, name, role(BOUNDARY), role(None)) for name in ("nodes", "push")]
    [text] = rights(*steps)
    assert text.startswith(f"The IAM roles `nodes`, `push` lose the permissions boundary `{BOUNDARY}`")


@pytest.mark.parametrize("operation", ["update", "replace"])
@pytest.mark.parametrize("after", [f"{BOUNDARY}-wide", UNKNOWN, SECRET])
def test_another_permissions_boundary_must_be_compared(operation: str, after: str) -> None:
    texts = rights(step(operation, ROLE, "push", role(BOUNDARY), role(after)))
    [text] = [text for text in texts if "boundary" in text]
    assert f"changes the permissions boundary from `{BOUNDARY}` to " in text
    assert "may allow what the first did not" in text


def test_a_role_that_gets_a_boundary_or_keeps_it_or_goes_is_no_danger() -> None:
    assert found(step("update", ROLE, "push", role(None), role(BOUNDARY))) == []
    assert found(step("update", ROLE, "push", role(BOUNDARY), role(BOUNDARY))) == []
    assert found(step("delete", ROLE, "push", role(BOUNDARY))) == []
    assert not [text for text in rights(step("create", ROLE, "push", new=role(BOUNDARY))) if "boundary" in text]
