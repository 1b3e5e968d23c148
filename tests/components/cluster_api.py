"""The cluster's API as the program asks it, in the place of `KubernetesApi`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any


def report(
    *node_groups: str, age: timedelta = timedelta(seconds=5), namespace: str = "kube-system", **metadata: Any
) -> dict[str, Any]:
    """The report of Cluster Autoscaler, with the autoscaling groups of these node groups.

    Source: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/clusterstate/utils/status_test.yaml
    """
    updated = (datetime.now(timezone.utc) - age).strftime("%Y-%m-%d %H:%M:%S.123456789 +0000 UTC")
    groups = "".join(f"\n- name: eks-{name}-2ac5\n  health:\n    status: Healthy" for name in node_groups)
    annotations = {"cluster-autoscaler.kubernetes.io/last-updated": updated}
    return {
        "metadata": {
            "name": "cluster-autoscaler-status",
            "namespace": namespace,
            "annotations": annotations,
            **metadata,
        },
        "data": {"status": f'time: "{updated}"\nautoscalerStatus: Running\nnodeGroups:{groups}\n'},
    }


def agent(*, ready: int, wanted: int) -> dict[str, Any]:
    """The DaemonSet of the Pod Identity agent."""
    return {"status": {"desiredNumberScheduled": wanted, "numberReady": ready}}


@dataclass
class ClusterApi:
    """Answers without a server. `sees` are node groups whose nodes the autoscaler starts."""

    sees: Collection[str] = ()
    reports: list[Mapping[str, Any]] | None = None
    """Instead of one of an autoscaler that runs."""
    refusal: Exception | None = None
    agents: list[Mapping[str, Any]] = field(default_factory=lambda: [agent(ready=2, wanted=2)])
    forbidden: Collection[str] = ()
    """The kinds that the credentials may not create."""
    asked: list[str] = field(default_factory=list)

    def __call__(self, *, endpoint: str, certificate_authority: str, token: str) -> "ClusterApi":
        assert (endpoint, certificate_authority) == ("https://cluster.example.com", "Y2VydGlmaWNhdGU=")
        assert token == "a-token"
        return self

    def list(self, path: str, *, name: str) -> list[Mapping[str, Any]]:
        self.asked.append(f"{path} {name}")
        if self.refusal:
            raise self.refusal
        if name == "eks-pod-identity-agent":
            return self.agents
        return [report(*self.sees)] if self.reports is None else self.reports

    def may_create(self, resource: str, *, group: str) -> bool:
        self.asked.append(f"{resource}.{group}")
        return resource not in self.forbidden
