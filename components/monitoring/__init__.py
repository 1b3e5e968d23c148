"""Alerts and the dashboard of one stack, for Prometheus and Grafana in the cluster."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.labels import kubernetes_labels
from components.monitoring.alerts import Watched, alert_rules
from components.monitoring.dashboard import dashboard
from stacks.monitoring import Alerts, Dashboard, Monitoring


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    watched: Watched
    settings: Monitoring
    depends_on: Sequence[pulumi.Resource] = ()
    """The namespaces in which objects are created."""


class StackMonitoring(pulumi.ComponentResource):
    """The alerts and the dashboard of one stack."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:StackMonitoring", name, {}, opts)
        self._name = name
        self._args = args
        self._options = pulumi.ResourceOptions(parent=self, depends_on=args.depends_on)
        if args.settings.alerts:
            self._create_alerts(args.settings.alerts)
        if args.settings.dashboard:
            self._create_dashboard(args.settings.dashboard)
        self.register_outputs({})

    def _create_alerts(self, alerts: Alerts) -> None:
        watched = self._args.watched
        kubernetes.apiextensions.CustomResource(
            self._name,
            api_version="monitoring.coreos.com/v1",
            kind="PrometheusRule",
            metadata={
                "name": self._name,
                "namespace": watched.namespaces[0],
                "labels": {**alerts.labels, **kubernetes_labels(watched.stack)},
            },
            spec={"groups": [{"name": self._name, "rules": alert_rules(watched)}]},
            opts=self._options,
        )

    def _create_dashboard(self, settings: Dashboard) -> None:
        watched = self._args.watched
        kubernetes.core.v1.ConfigMap(
            f"{self._name}-dashboard",
            metadata={
                "namespace": settings.namespace or watched.namespaces[0],
                "labels": {**settings.labels, **kubernetes_labels(watched.stack)},
            },
            data={f"{self._name}.json": json.dumps(dashboard(watched), indent=1)},
            opts=self._options,
        )
