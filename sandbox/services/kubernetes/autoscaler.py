"""An emulated Cluster Autoscaler: it reports that it runs and what it sees, and starts nothing."""

from collections.abc import Sequence
from datetime import datetime, timezone

import yaml

from sandbox.services.kubernetes.errors import ApiError
from sandbox.services.kubernetes.kinds import find_kind
from sandbox.services.kubernetes.store import Store

REPORT = "cluster-autoscaler-status"
_NAMESPACE = "kube-system"


def report(store: Store, autoscaling_groups: Sequence[str]) -> None:
    """Write the report, as the real one does every 10 seconds.

    Source: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/clusterstate/utils/status.go
    """
    kind = find_kind("", "v1", "configmaps")
    assert kind is not None  # noqa: S101 (this API has it)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
    groups = [{"name": name, "health": {"status": "Healthy"}} for name in autoscaling_groups]
    status = {"time": now, "autoscalerStatus": "Running", "nodeGroups": groups}
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": REPORT,
            "namespace": _NAMESPACE,
            "annotations": {"cluster-autoscaler.kubernetes.io/last-updated": now},
        },
        "data": {"status": yaml.safe_dump(status, sort_keys=False)},
    }
    try:
        store.update(kind, _NAMESPACE, REPORT, lambda _: body)
    except ApiError:  # it is the first report
        store.create(kind, _NAMESPACE, body)
