"""The objects that a stack deploys to Kubernetes, and their effect on an API server."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.providers.kubernetes.runner_chart import rendered_config
from sandbox.providers.kubernetes.runner_manifests import manifests
from tests.components.mocks import NAME, Declared, declare
from tests.kubernetes.api_server import ApiServer, RefusalError, wait_for
from tests.kubernetes.runner_pods import Job, Object, pod_of

REPLICA_SETS = "system:serviceaccount:kube-system:replicaset-controller"
"""Who makes the pods of a Deployment."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A stack's objects on an API server, and the pods that its runners make."""

    api: ApiServer
    stack: Declared
    namespace: str

    @property
    def manager(self) -> str:
        """The user whose rights a runner manager has."""
        return f"system:serviceaccount:{self.namespace}:{NAME}-arm64"

    def job_pod(self, job: Job | None = None) -> Object:
        """The pod of a job on arm64."""
        return job_pod(self.stack, f"{NAME}-arm64", job or Job())

    def manager_pod(self) -> Object:
        """The pod of the runner manager for arm64."""
        objects = {(each["kind"], each["metadata"]["name"]): each for each in manifests_of(self.stack)}
        deployment = objects["Deployment", f"{NAME}-arm64"]
        template = deployment["spec"]["template"]
        metadata = {**template["metadata"], "name": "manager", "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    def admitted(self, pod: Object, user: str = "") -> Object:
        """The pod as the API server would store it. By default, the manager makes it. Raises RefusalError."""
        return self.api.create(pod, user=user or self.manager, dry_run=True)


def job_pod(stack: Declared, manager: str, job: Job) -> Object:
    """The pod of a job that one of a stack's managers runs."""
    values = stack.of("helm.sh:Release")[manager].plain()["values"]
    return pod_of(rendered_config(values["runners"]["config"]), job)


def manifests_of(stack: Declared) -> Iterator[Object]:
    """Every Kubernetes object of a stack, those of the managers' charts too."""
    for resource in stack.all:
        inputs = _whole(resource.plain())
        if resource.type == "kubernetes:helm.sh/v3:Release":
            yield from manifests(inputs["name"], inputs["namespace"], inputs["version"], inputs["values"])
        elif resource.type.startswith("kubernetes:"):
            yield inputs


def _whole(value: Any) -> Any:
    """The same with whole numbers as integers: Pulumi's protocol knows floating-point numbers only."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def deploy(api: ApiServer, *, counted: bool = True, **keys: Any) -> Deployed:
    """Create a stack's objects, and wait until its policy has an effect.

    Its settings are the smallest ones with some keys replaced. `counted` is whether the quota controller has run.
    """
    stack = declare(**keys)
    create_objects(api, stack, counted=counted)
    deployed = Deployed(api=api, stack=stack, namespace=stack.only("core:Namespace").inputs["metadata"]["name"])
    doctored = deployed.job_pod()
    doctored["metadata"]["labels"] = {}
    wait_for(lambda: _is_refused(deployed, doctored), seconds=30, failing="the admission policy has no effect")
    return deployed


def create_objects(api: ApiServer, stack: Declared, *, counted: bool = True) -> None:
    """Create a stack's objects in all of its namespaces."""
    for manifest in manifests_of(stack):
        if manifest["kind"] != "Deployment":  # a controller would start it
            api.create(manifest)
        if manifest["kind"] == "Namespace":
            create_default_account(api, manifest["metadata"]["name"])
        if manifest["kind"] == "ResourceQuota" and counted:
            count(api, manifest, used="0")


def create_default_account(api: ApiServer, namespace: str) -> None:
    """Create the service account that a controller creates in every namespace."""
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})


def count(api: ApiServer, quota: Object, *, used: str) -> None:
    """Report as many objects as the quota controller would, had it found them."""
    path = f"{api.collection(quota)}/{quota['metadata']['name']}/status"
    hard = quota["spec"]["hard"]
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, used)}}
    api.request("PATCH", path, status, media_type="application/merge-patch+json")


def _is_refused(deployed: Deployed, pod: Object) -> bool:
    try:
        deployed.admitted(pod)
    except RefusalError as refusal:
        return "ValidatingAdmissionPolicy" in str(refusal)
    return False
