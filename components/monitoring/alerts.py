"""The alerts of one stack, as pure functions: what they watch, and when somebody must act.

Metrics of GitLab Runner: https://docs.gitlab.com/runner/monitoring/
Metrics of pods: https://github.com/kubernetes/kube-state-metrics/tree/main/docs
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RUNBOOK = "docs/operations.md#find-the-cause-by-the-symptom"
"""The section that says what to do."""

PAUSE_PODS = "runner-pause-.+"
"""The pods that hold warm capacity, which may wait: nobody else waits for them."""

FAULTS = "runner_system_failure|runner_interrupted|image_pull_failure|runner_configuration_error|unknown_failure"
"""The reasons of failed jobs that the authors of an image cannot change.

Source: https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/common/network.go
"""


_REQUESTS = "gitlab_runner_api_request_statuses_total"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The subject of the alerts and the dashboard of a stack."""

    stack: str
    namespaces: Sequence[str]
    """The namespaces of the trust tiers' managers and build pods."""
    managers: Sequence[str]
    """The names of the managers' releases, which begin the names of their pods."""
    projects: Sequence[str]
    """The paths of the GitLab projects."""
    node_wait_minutes: int

    @property
    def selector(self) -> str:
        """The label matcher of all metrics of the stack's pods."""
        return f'namespace=~"{"|".join(self.namespaces)}"'


def alert_rules(watched: Watched) -> list[dict[str, Any]]:
    """The alerting rules, as Prometheus has them."""
    selector = watched.selector
    asked = f'{selector}, endpoint="request_job"'
    jobs = f"sum by (namespace) (increase(gitlab_runner_jobs_total{{{selector}}}[1h]))"
    waiting = 2 * watched.node_wait_minutes
    return [
        *(_manager_down(watched, manager) for manager in watched.managers),
        _rule(
            "BuildyardGitLabRefusesRunner",
            # A revoked token is 403, an outage of GitLab 5xx. `for` is longer than an upgrade of GitLab.
            f'sum by (namespace, pod) (rate({_REQUESTS}{{{asked}, status=~"4..|5.."}}[10m])) > '
            f"0.5 * sum by (namespace, pod) (rate({_REQUESTS}{{{asked}}}[10m]))",
            wait="20m",
            severity="critical",
            summary="GitLab refuses the requests of the runner manager {{ $labels.pod }}",
            description="No job starts there. Either GitLab is down, or the runner's token is revoked or expired.",
        ),
        _rule(
            "BuildyardJobsQueue",
            f"histogram_quantile(0.95, sum by (le, namespace) (rate(gitlab_runner_job_queue_duration_seconds_bucket"
            f"{{{selector}}}[30m]))) > 900",
            wait="30m",
            severity="warning",
            summary="Build jobs of {{ $labels.namespace }} wait for a runner for more than 15 minutes",
            description="Raise runners.concurrent, or look for managers that are down.",
        ),
        _rule(
            "BuildyardPodsPending",
            f"count by (namespace) (kube_pod_status_phase"
            f'{{{selector}, phase="Pending", pod!~"{PAUSE_PODS}"}} == 1) > 0',
            wait=f"{waiting}m",
            severity="warning",
            summary=f"Build pods of {{{{ $labels.namespace }}}} have waited for a node for {waiting} minutes",
            description="No node starts: look at the autoscaler's log, max-size, the EC2 quota and spot capacity.",
        ),
        _rule(
            "BuildyardManyFaults",
            f'sum by (namespace) (increase(gitlab_runner_failed_jobs_total{{{selector}, failure_reason=~"{FAULTS}"}}'
            f"[1h])) > 0.1 * {jobs} and {jobs} > 10",
            wait="15m",
            severity="warning",
            summary="More than a tenth of the jobs of {{ $labels.namespace }} fail for faults of the platform",
            description="The dashboard has the failures by reason.",
        ),
        _rule(
            "BuildyardAtItsLimit",
            f"sum by (namespace, pod) (gitlab_runner_jobs{{{selector}}}) >= "
            f"sum by (namespace, pod) (gitlab_runner_concurrent{{{selector}}})",
            wait="1h",
            severity="info",
            summary="The runner manager {{ $labels.pod }} has run as many jobs as it may for an hour",
            description="Others wait. Raise runners.concurrent and the nodes' max-size.",
        ),
    ]


def _manager_down(watched: Watched, manager: str) -> dict[str, Any]:
    return _rule(
        "BuildyardManagerDown",
        f'absent(gitlab_runner_version_info{{{watched.selector}, pod=~"{manager}-.+"}})',
        wait="10m",
        severity="critical",
        summary=f"The runner manager {manager} is down",
        description="Its jobs are stuck in GitLab.",
        manager=manager,
    )


def _rule(
    name: str, expression: str, *, wait: str, severity: str, summary: str, description: str, **labels: str
) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity, **labels},
        "annotations": {"summary": summary, "description": description, "runbook": RUNBOOK},
    }
