"""The rights of previews in Kubernetes. `tests/kubernetes` asks a real API server what they allow."""

import pytest

from components.preview_access import cluster_rules, namespace_rules
from stacks.names import preview_group
from stacks.trust import Trust
from tests.components.mocks import NAME, STACK, declare

RBAC = "rbac.authorization.k8s.io/v1"


@pytest.mark.parametrize("trust", Trust)
def test_each_build_namespace_has_a_role_for_previews(trust: Trust) -> None:
    declared = declare(trust=str(trust))
    namespaces = {each.inputs["metadata"]["name"] for each in declared.of("core:Namespace").values()}
    roles = [each for each in declared.all if each.type == f"kubernetes:{RBAC}:Role"]
    assert {role.plain()["metadata"]["namespace"] for role in roles} == namespaces
    kinds = (f"kubernetes:{RBAC}:RoleBinding", f"kubernetes:{RBAC}:ClusterRoleBinding")
    bindings = [each for each in declared.all if each.type in kinds]
    assert len(bindings) == 2 * len(namespaces)
    for binding in bindings:
        [subject] = binding.plain()["subjects"]
        assert (subject["kind"], subject["name"]) == ("Group", preview_group(STACK))


def test_the_group_is_the_one_in_the_access_entry() -> None:
    assert preview_group(STACK) == f"{NAME}-preview"


def test_no_rule_has_a_wildcard_or_writes() -> None:
    for rule in (*namespace_rules(), *cluster_rules("builds", role="builds-preview")):
        assert set(rule["verbs"]) <= {"get", "list"}
        assert "*" not in [*rule["apiGroups"], *rule["resources"]], "it would include pods/exec"
        assert not any(each.startswith("pods") for each in rule["resources"])


def test_outside_of_namespaces_previews_read_objects_by_name_alone() -> None:
    rules = cluster_rules("builds", role="builds-preview")
    assert all(rule["resourceNames"] for rule in rules)
    assert not any("secrets" in rule["resources"] for rule in rules)


def test_previews_read_the_dashboard_in_a_namespace_of_somebody_else_and_nothing_more() -> None:
    declared = declare(monitoring={"dashboard": {"namespace": "grafana"}})
    roles = [each.plain() for each in declared.all if each.type == f"kubernetes:{RBAC}:Role"]
    [role] = [each for each in roles if each["metadata"]["namespace"] == "grafana"]
    assert all(rule["resourceNames"] for rule in role["rules"]), "it could read what is not the stack's"
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {
        "configmaps",
        "rolebindings",
        "roles",
    }
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get"}, "a preview would fail, or could write"
    assert len([each for each in roles if each["metadata"]["namespace"] == NAME]) == 1


@pytest.mark.parametrize("dashboard", [{}, {"namespace": NAME}], ids=["by default", "by setting"])
def test_a_dashboard_in_the_build_namespace_needs_no_other_role(dashboard: dict[str, str]) -> None:
    declared = declare(monitoring={"dashboard": dashboard})
    roles = [each.plain()["metadata"] for each in declared.all if each.type == f"kubernetes:{RBAC}:Role"]
    assert [each["namespace"] for each in roles] == [NAME]
