"""Parts of an EKS cluster that are emulated as far as their reports go: nothing runs, and no node is started.

Each report is written when somebody asks for it by its name.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

import yaml

from sandbox.services.kubernetes.errors import ApiError
from sandbox.services.kubernetes.kinds import find_kind
from sandbox.services.kubernetes.objects import Object
from sandbox.services.kubernetes.store import Store

_NAMESPACE = "kube-system"
_AUTOSCALER = "cluster-autoscaler-status"
_AGENT = "eks-pod-identity-agent"


def report(store: Store, asked_for: str, autoscaling_groups: Callable[[], Sequence[str]]) -> None:
    """Write the report with the name that somebody asks for, if it is one of these."""
    if asked_for == _AUTOSCALER:
        _write(store, ("", "configmaps"), _autoscaler(autoscaling_groups()))
    elif asked_for == _AGENT:
        _write(store, ("apps", "daemonsets"), _agent())


def _autoscaler(groups: Sequence[str]) -> Object:
    """The report that Cluster Autoscaler writes every 10 seconds.

    Source: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/clusterstate/utils/status.go
    """
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
    seen = [{"name": name, "health": {"status": "Healthy"}} for name in groups]
    status = {"time": now, "autoscalerStatus": "Running", "nodeGroups": seen}
    annotations = {"cluster-autoscaler.kubernetes.io/last-updated": now}
    return {
        "metadata": {"name": _AUTOSCALER, "namespace": _NAMESPACE, "annotations": annotations},
        "data": {"status": yaml.safe_dump(status, sort_keys=False)},
    }


def _agent() -> Object:
    """The DaemonSet of the Pod Identity agent. There are no nodes on which it could run."""
    labels = {"app.kubernetes.io/name": _AGENT}
    return {
        "metadata": {"name": _AGENT, "namespace": _NAMESPACE},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
        "status": {"desiredNumberScheduled": 0, "numberReady": 0},
    }


def _write(store: Store, kind: tuple[str, str], body: Object) -> None:
    group, plural = kind
    found = find_kind(group, "v1", plural)
    assert found is not None  # noqa: S101 (this API has it)
    name = body["metadata"]["name"]
    whole = {"apiVersion": found.api_version, "kind": found.name, **body}
    try:
        store.update(found, _NAMESPACE, name, lambda _: whole)
    except ApiError:  # it is the first report
        store.create(found, _NAMESPACE, whole)
