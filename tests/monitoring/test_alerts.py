"""The alerts, judged by promtool: their syntax, and when each fires."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring.alerts import RUNBOOK, Watched, alert_rules
from tests.monitoring.conftest import MANAGER, NAMESPACES, Promtool

PROTECTED, UNPROTECTED = NAMESPACES
OF_MANAGER = f'namespace="{PROTECTED}", pod="{MANAGER}-7c9-x2x"'
UP = {
    f"gitlab_runner_version_info{{{OF_MANAGER}}}": "1x120",
    f'gitlab_runner_version_info{{namespace="{UNPROTECTED}", pod="buildyard-prod-unprotected-arm64-5d-k8k"}}': "1x120",
}
"""Two managers that run for two hours."""

REQUESTS = f'gitlab_runner_api_request_statuses_total{{{OF_MANAGER}, endpoint="request_job", status='
QUEUE = f"gitlab_runner_job_queue_duration_seconds_bucket{{{OF_MANAGER}, le="
FAILED = f"gitlab_runner_failed_jobs_total{{{OF_MANAGER}, failure_reason="
JOBS = f"gitlab_runner_jobs_total{{{OF_MANAGER}}}"
RUNNING = f'gitlab_runner_jobs{{{OF_MANAGER}, state="running"}}'
LIMIT = f"gitlab_runner_concurrent{{{OF_MANAGER}}}"
PENDING = f'kube_pod_status_phase{{namespace="{PROTECTED}", pod="runner-x", phase="Pending"}}'

LONG_QUEUE = {QUEUE + '"900"}': "0+1x120", QUEUE + '"1800"}': "0+9x120", QUEUE + '"+Inf"}': "0+9x120"}

FIRES: list[tuple[str, dict[str, str], str]] = [
    ("BuildyardManagerDown", dict([list(UP.items())[1]]), "15m"),
    ("BuildyardGitLabRefusesRunner", {**UP, REQUESTS + '"403"}': "0+20x120", REQUESTS + '"204"}': "0+10x120"}, "40m"),
    ("BuildyardGitLabRefusesRunner", {**UP, REQUESTS + '"502"}': "0+20x120"}, "40m"),
    (
        "BuildyardJobsQueue",
        {**UP, QUEUE + '"900"}': "0+1x120", QUEUE + '"1800"}': "0+9x120", QUEUE + '"+Inf"}': "0+9x120"},
        "90m",
    ),
    ("BuildyardPodsPending", {**UP, PENDING: "1x120"}, "25m"),
    ("BuildyardManyFaults", {**UP, FAILED + '"runner_system_failure"}': "0+1x120", JOBS: "0+5x120"}, "90m"),
    ("BuildyardAtItsLimit", {**UP, RUNNING: "20x120", LIMIT: "20x120"}, "90m"),
]
SILENT: list[tuple[str, dict[str, str]]] = [
    ("all is well", {**UP, REQUESTS + '"204"}': "0+20x120", JOBS: "0+5x120", RUNNING: "3x120", LIMIT: "20x120"}),
    ("GitLab restarts", {**UP, REQUESTS + '"502"}': "0x30 0+20x10 200x80", REQUESTS + '"204"}': "0+20x120"}),
    ("a Dockerfile is wrong", {**UP, FAILED + '"script_failure"}': "0+5x120", JOBS: "0+5x120"}),
    (
        "the only job of an hour loses its node",
        {**UP, FAILED + '"runner_interrupted"}': "0x60 1x60", JOBS: "0x60 1x60"},
    ),
    ("a node starts", {**UP, PENDING: "0x30 1x8 0x80"}),
    ("jobs are queued for ten minutes", {**UP, QUEUE + '"900"}': "0+9x120", QUEUE + '"+Inf"}': "0+9x120"}),
    ("another namespace has pending pods", {**UP, 'kube_pod_status_phase{namespace="shop", phase="Pending"}': "1x120"}),
]


def test_promtool_takes_the_rules(promtool: Promtool, alerts_file: Path) -> None:
    done = promtool("check", "rules", alerts_file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "series", "when"), FIRES, ids=[f"{alert}-{i}" for i, (alert, *_) in enumerate(FIRES)]
)
def test_an_alert_fires(promtool: Promtool, alerts_file: Path, alert: str, series: dict[str, str], when: str) -> None:
    assert fired(promtool, alerts_file, series, when, alert), "nobody would hear of it"


@pytest.mark.parametrize(("why", "series"), SILENT, ids=[why for why, _ in SILENT])
def test_no_alert_fires(
    promtool: Promtool, alerts_file: Path, watched: Watched, why: str, series: dict[str, str]
) -> None:
    for when in ("20m", "45m", "110m"):
        for alert in sorted({rule["alert"] for rule in alert_rules(watched)}):
            assert not fired(promtool, alerts_file, series, when, alert), f"{alert} would wake somebody when {why}"


def fired(promtool: Promtool, alerts_file: Path, series: dict[str, str], when: str, alert: str) -> bool:
    """Whether an alert fires: promtool's test expects none, and its report has those that fired."""
    test: dict[str, Any] = {
        "rule_files": [str(alerts_file)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": when, "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    path = alerts_file.with_name("test.yaml")
    path.write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", path)
    report = done.stdout + done.stderr
    assert "SUCCESS" in report or f'alertname="{alert}"' in report, report
    return done.returncode != 0


def test_every_alert_is_tried(watched: Watched) -> None:
    assert {alert for alert, *_ in FIRES} == {rule["alert"] for rule in alert_rules(watched)}


def test_every_alert_says_what_to_do() -> None:
    anchor = RUNBOOK.partition("#")[2]
    lines = Path("docs/operations.md").read_text().splitlines()
    titles = [line.removeprefix("## ").lower().replace(" ", "-") for line in lines if line.startswith("## ")]
    assert anchor in titles, "the alerts would lead nowhere"
