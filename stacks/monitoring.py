"""The settings of metrics, alerts and the dashboard."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from stacks.fields import LABEL_NAME, KubernetesName
from stacks.model import Model, pattern_text
from stacks.problems import refusal

_DNS_NAME = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"

LabelKey = Annotated[
    str,
    pattern_text(rf"^(?:{_DNS_NAME}/)?{LABEL_NAME}$", "Use a Kubernetes label's key, such as release.", max_length=317),
]
LabelValue = Annotated[
    str, pattern_text(rf"^(?:{LABEL_NAME})?$", "Use at most 63 letters, digits, '-', '_' and '.'.", max_length=63)
]
"""Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""

Labels = dict[LabelKey, LabelValue]


def _no_user(address: object) -> object:
    if isinstance(address, str) and "@" in address:  # the message must not contain what may be a password
        raise refusal("the address has a user or a password", "Use a Pushgateway that needs none.")
    return address


Pushgateway = Annotated[
    str,
    pattern_text(
        r"^https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?$",
        "Use the Pushgateway's address, such as http://pushgateway.monitoring.svc:9091.",
        max_length=512,
    ),
    BeforeValidator(_no_user),  # not between the text and its pattern: the schema would lack it, and with it the hint
]


class ServiceMonitor(Model):
    """The Prometheus Operator's ServiceMonitor of each runner manager."""

    labels: Labels = {}
    """The labels by which Prometheus selects it, such as `release: kube-prometheus-stack`."""


class Alerts(Model):
    """A PrometheusRule with the alerts of the stack."""

    labels: Labels = {}
    """The labels by which Prometheus selects it, such as `release: kube-prometheus-stack`."""


class Dashboard(Model):
    """A ConfigMap with the Grafana dashboard of the stack."""

    namespace: KubernetesName | None = None
    """An existing namespace for it. Default: the runners' namespace."""
    labels: Annotated[Labels, Field(min_length=1)] = {"grafana_dashboard": "1"}
    """The labels by which Grafana's sidecar finds it. The default is that of Grafana's Helm chart."""


class Monitoring(Model):
    """Metrics of the runner managers and builds. Without any of these keys, the managers' pods have the annotations
    `prometheus.io/scrape` and `prometheus.io/port`."""

    service_monitor: ServiceMonitor | None = None
    """Creates a ServiceMonitor for each runner manager. The cluster must have the Prometheus Operator."""
    alerts: Alerts | None = None
    """Creates a PrometheusRule with alerts. The cluster must have the Prometheus Operator."""
    dashboard: Dashboard | None = None
    """Creates a ConfigMap with a Grafana dashboard."""
    pushgateway: Pushgateway | None = None
    """The Prometheus Pushgateway to which build jobs push the image's size and how many steps came from the cache.
    Build pods must be able to connect to it: see `network.allow`."""
