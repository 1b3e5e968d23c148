"""Checks of Kubernetes before the first resource: who is let in, what they may create, and the autoscaler."""

from datetime import timedelta
from typing import Any

import pytest

from components.preflight.inspection import Inspection
from components.preflight.kubernetes_api import KubernetesRefusalError, UnreachableError
from tests.components.cluster_api import ClusterApi, agent, report
from tests.components.mocks import NAME
from tests.components.preflight import check, inspected, notices, problems

CLUSTER = "buildyard:cluster.name"
API = "Kubernetes API"
AUTOSCALER = "Autoscaler"
AGENT = "Pod Identity agent"
OURS = {f"{NAME}-amd64-abc1234": 0, f"{NAME}-arm64-abc1234": 2}


def asked(**answers: Any) -> Inspection:
    return inspected(cluster_api=ClusterApi(**answers), node_groups=OURS)


def test_a_cluster_with_an_autoscaler_that_sees_our_node_groups() -> None:
    found = asked(sees=OURS)
    assert not problems(found)
    assert not notices(found)
    assert check(found, API).found == "answers"
    assert check(found, AUTOSCALER).found == "Cluster Autoscaler in kube-system"


def test_a_cluster_that_cannot_be_reached_is_a_problem_of_its_key() -> None:
    said = problems(asked(refusal=UnreachableError("no answer within 10 seconds")))
    assert said == {
        CLUSTER: "the Kubernetes API of ci cannot be reached from here: no answer within 10 seconds "
        "(https://cluster.example.com)"
    }


def test_a_role_without_access_is_told_how_to_get_it() -> None:
    [problem] = asked(refusal=KubernetesRefusalError(401, "Unauthorized")).problems
    assert (problem.path, "does not know the AWS credentials" in problem.message) == (CLUSTER, True)
    assert "create-access-entry --cluster-name ci" in problem.hint
    assert "aws-auth" in problem.hint


def test_an_ill_api_server_is_told() -> None:
    found = asked(refusal=KubernetesRefusalError(500, "etcdserver: leader changed"))
    assert not problems(found)
    assert any("etcdserver: leader changed" in each for each in notices(found))


def test_an_update_needs_the_rights_of_an_administrator() -> None:
    [problem] = asked(sees=OURS, forbidden=("namespaces", "clusterroles")).problems
    assert problem.path == CLUSTER
    assert "may not create namespaces, clusterroles in the cluster ci" in problem.message
    assert "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy" in problem.hint


def test_a_preview_needs_no_right_to_create() -> None:
    api = ClusterApi(forbidden=("namespaces", "clusterroles", "validatingadmissionpolicies"))
    assert not problems(inspected(cluster_api=api, preview=True))
    assert [each.partition(" ")[0] for each in api.asked] == ["/api/v1/configmaps", "/apis/apps/v1/daemonsets"]


def test_credentials_that_may_not_read_the_autoscalers_report_leave_it_to_people() -> None:
    """Such as those of a preview before the first deployment, which gives it the right."""
    found = asked(refusal=KubernetesRefusalError(403, "configmaps is forbidden"))
    assert not problems(found)
    assert not notices(found), "previews would always warn"
    assert "describe-addon" in check(found, AGENT).manual[0].hint
    [left] = check(found, AUTOSCALER).manual
    assert "kubectl get deployments -A | grep autoscaler" in left.hint
    assert check(found, API).found == "answers"


def test_a_cluster_without_an_autoscaler_is_told_before_the_first_deployment() -> None:
    [said] = notices(inspected(cluster_api=ClusterApi(reports=[])))
    assert said.startswith("No Cluster Autoscaler reports in the cluster,")
    deployed = asked(reports=[])
    assert not notices(deployed), "who has another autoscaler would read it in each preview"
    assert "No Cluster Autoscaler" in str(check(deployed, AUTOSCALER).manual[0]), "the doctor still says it"


def test_an_autoscaler_that_does_not_run_any_more_is_told() -> None:
    [said] = notices(asked(reports=[report(*OURS, age=timedelta(hours=3))]))
    assert said.startswith("Cluster Autoscaler has not reported since 20")


@pytest.mark.parametrize("updated", ["", "yesterday", "2026-02-31 10:00:00 +0000 UTC", 3, None])
def test_a_report_that_does_not_say_when_is_of_no_running_autoscaler(updated: Any) -> None:
    written = report(*OURS, annotations={"cluster-autoscaler.kubernetes.io/last-updated": updated})
    [said] = notices(asked(reports=[written]))
    assert said.startswith("Cluster Autoscaler has not reported, so")


def test_of_several_autoscalers_those_that_run_count_together() -> None:
    amd64, arm64 = OURS
    old, one, other = report(*OURS, age=timedelta(days=30)), report(amd64, namespace="a"), report(arm64, namespace="b")
    found = asked(reports=[old, other, one])
    assert not notices(found)
    assert check(found, AUTOSCALER).found == "Cluster Autoscaler in a, b, kube-system"
    [said] = notices(asked(reports=[old, one]))
    assert f"does not see {arm64}, so" in said


def test_a_node_group_that_the_autoscaler_does_not_see_is_named() -> None:
    amd64, arm64 = OURS
    [said] = notices(asked(sees=[amd64]))
    assert f"Cluster Autoscaler does not see {arm64}, so no node of them starts" in said


@pytest.mark.parametrize("broken", [{}, {"metadata": None, "data": []}, {"metadata": {"annotations": "x"}}])
def test_a_report_in_no_form_is_told_and_breaks_nothing(broken: dict[str, Any]) -> None:
    assert notices(asked(reports=[broken]))


@pytest.mark.parametrize(
    ("ready", "wanted", "told"),
    [(2, 2, False), (1, 9, False), (0, 0, False), (0, 2, True)],
    ids=["all", "nodes that start", "no nodes", "none"],
)
def test_an_agent_that_is_ready_nowhere_is_told(ready: int, wanted: int, told: bool) -> None:
    found = asked(sees=OURS, agents=[agent(ready=ready, wanted=wanted)])
    assert check(found, AGENT).found == f"ready on {ready} of {wanted} nodes"
    assert any("is ready on none of 2 nodes" in each for each in notices(found)) is told


@pytest.mark.parametrize("agents", [[], [{}], [{"status": {"desiredNumberScheduled": "x", "numberReady": None}}]])
def test_an_agent_that_is_not_there_is_told(agents: list[dict[str, Any]]) -> None:
    told = any("has no DaemonSet eks-pod-identity-agent" in each for each in notices(asked(sees=OURS, agents=agents)))
    assert told is (agents == [])


def test_nobody_asks_for_the_agent_with_irsa() -> None:
    api = ClusterApi(agents=[])
    found = inspected(cluster_api=api, identity="irsa")
    assert not notices(found)
    assert AGENT not in [each.title for each in found.checks]
