"""Kubernetes' scheduler over the tests' API server, and nodes that exist there alone.

No kubelet runs: a pod is bound to a node, or the scheduler says why not.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kubernetes import install
from tests.kubernetes.api_server import ApiServer, Object, running, wait_for

_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """The scheduler's decision about a pod: a node's name, or why there is none."""

    node: str | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """A running scheduler."""

    api: ApiServer

    def add_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str],
        taints: Sequence[Mapping[str, str]] = (),
        allocatable: Mapping[str, str],
    ) -> None:
        """Add a node that is ready."""
        node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels)}}
        self.api.create({**node, "spec": {"taints": list(taints)}})
        amounts = {"pods": "110", **allocatable}
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [{"type": "Ready", "status": "True"}]}
        merge = "application/merge-patch+json"
        self.api.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, media_type=merge)
        # The API server makes every new node unready, and a controller would remove that.
        self.api.request("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": list(taints)}}, media_type=merge)

    def remove_node(self, name: str) -> None:
        """Remove a node, with its pods if these were deleted before."""
        self.api.request("DELETE", f"/api/v1/nodes/{name}")

    def schedule(self, pod: Object, *, user: str | None = None) -> Scheduled:
        """Create a pod, and wait for the decision."""
        self.api.create(pod, user=user)
        return self.decision(pod)

    def decision(self, pod: Object) -> Scheduled:
        """Wait for the decision about a pod that exists."""
        path = self.path(pod)

        def found() -> Scheduled | None:
            live = self.api.request("GET", path)
            if node := live["spec"].get("nodeName"):
                return Scheduled(node=node)
            for condition in live.get("status", {}).get("conditions", ()):
                if condition["type"] == "PodScheduled" and condition["status"] == "False":
                    return Scheduled(node=None, reason=condition.get("message", ""))
            return None

        decided = wait_for(found, seconds=_SECONDS, failing=f"the scheduler did not decide about {path}")
        assert decided
        return decided

    def wait_for_node(self, pod: Object) -> str:
        """Wait until a pod has a node, for example after it has preempted another."""
        path = self.path(pod)

        def node() -> str:
            return str(self.api.request("GET", path)["spec"].get("nodeName", ""))

        return wait_for(node, seconds=_SECONDS, failing=f"{path} got no node")

    def pods(self, namespace: str) -> set[str]:
        """The names of the pods that are in a namespace and are not being deleted."""
        items = self.api.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        return {each["metadata"]["name"] for each in items if "deletionTimestamp" not in each["metadata"]}

    def delete(self, pod: Object) -> None:
        """Delete a pod at once: no kubelet has to end it."""
        self.api.request("DELETE", self.path(pod), {"gracePeriodSeconds": 0})

    def path(self, pod: Object) -> str:
        """A pod's path in the API."""
        return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


@contextmanager
def scheduler(api: ApiServer, directory: Path) -> Iterator[Scheduler]:
    """Run a scheduler of the API server's version."""
    kubeconfig = directory / "scheduler.kubeconfig"
    cluster = {"server": api.url, "certificate-authority": str(api.certificate)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "scheduler", "user": {"token": api.token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "scheduler"}}],
        "current-context": "tests",
    }
    kubeconfig.write_text(json.dumps(config))
    command = [
        str(install.program("kube-scheduler")),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",  # nobody asks it
    ]
    with running(command, directory / "kube-scheduler.log"):
        yield Scheduler(api=api)
