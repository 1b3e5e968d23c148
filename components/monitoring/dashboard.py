"""The Grafana dashboard of one stack, as a pure function.

Schema: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.monitoring.alerts import Watched

SELECTOR = 'namespace=~"$namespace"'
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 12, 8
"""Of a panel, in Grafana's grid of 24 columns."""


@dataclass(frozen=True, kw_only=True)
class _Panel:
    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    """Each with its legend."""
    stacked: bool = False


def _quantile(share: float, metric: str, matchers: str = "") -> str:
    bucket = f"{metric}_bucket{{{SELECTOR}{matchers}}}[$__rate_interval]"
    return f"histogram_quantile({share}, sum by (le) (rate({bucket})))"


_QUEUE = "gitlab_runner_job_queue_duration_seconds"
_STAGES = "gitlab_runner_job_stage_duration_seconds"
# The runner creates the pod, and waits for its node and images, in the first stage that runs a script.
_POD = ', stage=~"prepare_executor|prepare_script"'

PANELS = (
    _Panel(
        title="Jobs",
        description="Running jobs by manager, and how many it may run at once.",
        unit="short",
        queries=[
            (f"sum by (pod) (gitlab_runner_jobs{{{SELECTOR}}})", "{{pod}}"),
            (f"sum by (pod) (gitlab_runner_concurrent{{{SELECTOR}}})", "limit of {{pod}}"),
        ],
    ),
    _Panel(
        title="Queue time",
        description="How long jobs waited in GitLab until a manager took them.",
        unit="s",
        queries=[(_quantile(0.5, _QUEUE), "median"), (_quantile(0.95, _QUEUE), "95 %")],
    ),
    _Panel(
        title="Wait for the pod",
        description="From the manager's taking the job until its pod runs: the node's start and the builder's pull.",
        unit="s",
        queries=[(_quantile(0.5, _STAGES, _POD), "median"), (_quantile(0.95, _STAGES, _POD), "95 %")],
    ),
    _Panel(
        title="Job time",
        description="How long jobs took, without the queue.",
        unit="s",
        queries=[
            (_quantile(0.5, "gitlab_runner_job_duration_seconds"), "median"),
            (_quantile(0.95, "gitlab_runner_job_duration_seconds"), "95 %"),
        ],
    ),
    _Panel(
        title="Failures by reason",
        description="script_failure is what a Dockerfile or a test did; the other reasons are the platform's.",
        unit="short",
        queries=[
            (
                f"sum by (failure_reason) (increase(gitlab_runner_failed_jobs_total{{{SELECTOR}}}[$__rate_interval]))",
                "{{failure_reason}}",
            )
        ],
        stacked=True,
    ),
    _Panel(
        title="Steps from the cache",
        description="The share of build steps that came from the cache, by image. Needs monitoring.pushgateway.",
        unit="percentunit",
        queries=[
            (
                'sum by (project, image) (image_build_cached_steps{project=~"$project"}) / '
                'sum by (project, image) (image_build_steps{project=~"$project"})',
                "{{project}} {{image}}",
            )
        ],
    ),
    _Panel(
        title="Nodes",
        description="Nodes that run build pods. Needs kube-state-metrics.",
        unit="short",
        queries=[
            (
                f'count by (namespace) (count by (namespace, node) (kube_pod_info{{{SELECTOR}, pod=~"runner-.+"}}))',
                "{{namespace}}",
            )
        ],
    ),
    _Panel(
        title="Pods that wait for a node",
        description="Build pods without a node. Needs kube-state-metrics.",
        unit="short",
        queries=[
            (f'sum by (namespace) (kube_pod_status_phase{{{SELECTOR}, phase="Pending"}})', "{{namespace}}"),
        ],
    ),
)


def dashboard(watched: Watched) -> dict[str, Any]:
    """The dashboard's JSON model, with variables for the data source, the trust tiers' namespaces, and the projects."""
    name = f"buildyard-{watched.stack}"
    return {
        "uid": name[:40],
        "title": f"Buildyard: {watched.stack}",
        "tags": ["buildyard"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables(watched))},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _variables(watched: Watched) -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    for name, values in (("namespace", watched.namespaces), ("project", watched.projects)):
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "custom",
            "query": ",".join(values),
            "multi": True,
            "includeAll": True,
            "current": {"text": "All", "value": "$__all"},
            "options": [],
        }


def _panel(number: int, panel: _Panel) -> dict[str, Any]:
    row, column = divmod(number, 2)
    custom = {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if panel.stacked else "none"}}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + position), "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}
            for position, (query, legend) in enumerate(panel.queries)
        ],
    }
