"""The objects that a stack creates for Prometheus and Grafana, and their settings."""

import json

import pytest

from components.runner_chart import LIVENESS, READY, chart_values
from sandbox.providers.kubernetes.runner_chart import problems_in_values
from stacks.monitoring import ServiceMonitor
from tests.components.mocks import NAME, Declared, declare
from tests.components.test_runner_chart import MANAGER
from tests.stacks.stack_settings import problems

LABELS = {"release": "kube-prometheus-stack"}
RULE = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"


def of_kind(declared: Declared, kind: str) -> list[object]:
    return [each for each in declared.all if each.type == kind]


def test_a_stack_without_monitoring_has_no_such_objects() -> None:
    declared = declare()
    assert not of_kind(declared, RULE), "a cluster without the Prometheus Operator would refuse it"
    assert not of_kind(declared, "kubernetes:core/v1:ConfigMap")


def test_alerts_watch_every_tier_and_manager() -> None:
    declared = declare(trust="isolated", monitoring={"alerts": {"labels": LABELS}})
    [rule] = [each for each in declared.all if each.type == RULE]
    assert rule.inputs["metadata"]["labels"].items() >= LABELS.items(), "Prometheus would not select it"
    assert rule.inputs["metadata"]["namespace"] == NAME
    [group] = rule.inputs["spec"]["groups"]
    down = [each["labels"]["manager"] for each in group["rules"] if each["alert"] == "BuildyardManagerDown"]
    releases = [each.inputs["name"] for each in declared.all if each.type == "kubernetes:helm.sh/v3:Release"]
    assert sorted(down) == sorted(releases), "a manager could go away unseen"
    assert f"{NAME}-unprotected" in str(group["rules"][-1]["expr"])


def test_grafana_finds_the_dashboard() -> None:
    declared = declare(monitoring={"dashboard": {"namespace": "monitoring"}})
    [found] = [each for each in declared.all if each.type == "kubernetes:core/v1:ConfigMap"]
    assert found.inputs["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found.inputs["metadata"]["namespace"] == "monitoring"
    [(name, text)] = found.inputs["data"].items()
    assert name.endswith(".json"), "Grafana's sidecar skips other files"
    assert json.loads(text)["title"] == "Buildyard: test"


def test_prometheus_selects_the_managers_by_the_settings_labels() -> None:
    values = chart_values(MANAGER)
    assert values["service"] == {"enabled": False}
    assert "serviceMonitor" not in values["metrics"], "a cluster without the operator would refuse the release"
    watched = MANAGER.__class__(**{**vars(MANAGER), "service_monitor": ServiceMonitor(labels=LABELS)})
    values = chart_values(watched)
    assert values["metrics"]["serviceMonitor"] == {"enabled": True, "labels": LABELS}
    assert values["service"] == {"enabled": True}, "a ServiceMonitor without a Service finds nothing"
    assert not list(problems_in_values(values)), "Helm would silently ignore the value"


def test_a_manager_is_ready_when_gitlab_accepts_it() -> None:
    [shell, option, script] = chart_values(MANAGER)["deploymentLifecycle"]["postStart"]["exec"]["command"]
    assert (shell, option, script) == ("/bin/bash", "-c", READY)


def test_a_day_without_gitlab_stops_no_manager() -> None:
    assert LIVENESS["periodSeconds"] * LIVENESS["failureThreshold"] >= 24 * 3600
    assert chart_values(MANAGER)["livenessProbe"]["terminationGracePeriodSeconds"] <= 60, (
        "a manager that GitLab refuses for a day would be kept for as long as a job may take"
    )


def test_hostile_values_are_refused_by_key() -> None:
    found = problems(
        monitoring={
            "alerts": {"labels": {"a b": "x"}},
            "service-monitor": {"labels": {"release": "x y"}},
            "dashboard": {"labels": {}},
            "pushgateway": "http://user:hunter2@push.example.com",
        }
    )
    assert sorted(found) == [
        "buildyard:monitoring.alerts.labels.'a b'",
        "buildyard:monitoring.dashboard.labels",
        "buildyard:monitoring.pushgateway",
        "buildyard:monitoring.service-monitor.labels.release",
    ]
    assert "hunter2" not in str(found["buildyard:monitoring.pushgateway"]), "a secret would be in the log"


@pytest.mark.parametrize("address", ["push.example.com", "ftp://push.example.com", "http://push.example.com/?a=b", ""])
def test_metrics_are_pushed_to_a_web_address(address: str) -> None:
    assert problems(monitoring={"pushgateway": address}).keys() == {"buildyard:monitoring.pushgateway"}
