"""Checks of Kubernetes: it answers from here, lets the credentials deploy, and has an autoscaler for our nodes."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pulumi_aws as aws

from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.cluster import Cluster
from components.preflight.kubernetes_api import KubernetesApi, KubernetesRefusalError, UnreachableError
from stacks.names import AUTOSCALER_STATUS, POD_IDENTITY_AGENT
from stacks.settings import Identity, Settings

_UPDATED = "cluster-autoscaler.kubernetes.io/last-updated"
_SILENT_AFTER = timedelta(minutes=10)  # it reports every 10 seconds
_DEPLOYED = (
    ("namespaces", ""),
    ("clusterroles", "rbac.authorization.k8s.io"),
    ("validatingadmissionpolicies", "admissionregistration.k8s.io"),
)
"""Kinds that only an administrator of the cluster may create, each with its group."""

_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_FIND_AUTOSCALER = "kubectl get deployments -A | grep autoscaler"


def check_kubernetes(
    settings: Settings, cluster: Cluster, own_node_groups: Collection[str], *, deploying: bool
) -> list[Check]:
    """The outcome of the checks. `own_node_groups` are the names of the stack's node groups that exist.

    Whoever previews may have fewer rights than whoever deploys, so only with `deploying` are rights to create checked.
    """
    access = Check(title="Kubernetes API")
    checks = [access]
    auth = attempt(lambda: aws.eks.get_cluster_auth(name=cluster.name))
    if isinstance(auth, RefusalError):
        access.unknown(f"whether the Kubernetes API of {cluster.name} answers", auth, "Log in to AWS.")
        return checks
    api = KubernetesApi(
        endpoint=cluster.endpoint, certificate_authority=cluster.certificate_authority, token=auth.token
    )
    try:
        # The first question also shows whether Kubernetes answers, and knows whoever asks.
        checks.append(_check_autoscaler(api, own_node_groups))
        if settings.identity is Identity.POD_IDENTITY:
            checks.append(_check_agent(api, cluster))
        access.found = "answers"
        if deploying:
            _check_rights(access, api, cluster)
    except UnreachableError as error:
        access.problem(
            "buildyard:cluster.name",
            f"the Kubernetes API of {cluster.name} cannot be reached from here: {error} ({cluster.endpoint})",
            "Run this where the cluster's endpoint can be reached, such as a runner in its VPC, or let this machine's "
            f"address in: aws eks describe-cluster --name {cluster.name} --query cluster.resourcesVpcConfig",
        )
    except KubernetesRefusalError as error:
        if error.code == 401:
            access.problem(
                "buildyard:cluster.name",
                f"the Kubernetes API of {cluster.name} does not know the AWS credentials",
                f"Give their role an access entry: aws eks create-access-entry --cluster-name {cluster.name} "
                "--principal-arn ROLE, as bootstrap/ does for CI. With the authentication mode CONFIG_MAP, add it to "
                "the ConfigMap aws-auth in kube-system.",
            )
        else:
            access.unknown(f"the Kubernetes API of {cluster.name}", error, "See whether the cluster is healthy.")
    return checks


def _check_rights(check: Check, api: KubernetesApi, cluster: Cluster) -> None:
    missing = [resource for resource, group in _DEPLOYED if not api.may_create(resource, group=group)]
    if missing:
        partition = cluster.arn.split(":")[1]
        check.problem(
            "buildyard:cluster.name",
            f"the AWS credentials may not create {', '.join(missing)} in the cluster {cluster.name}",
            f"Let their role deploy: aws eks associate-access-policy --cluster-name {cluster.name} "
            "--principal-arn ROLE --access-scope type=cluster "
            f"--policy-arn arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        )


def _check_autoscaler(api: KubernetesApi, own_node_groups: Collection[str]) -> Check:
    """Look for the status of Cluster Autoscaler, which it writes into a ConfigMap.

    Source: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/clusterstate/utils/status.go
    """
    check = Check(title="Autoscaler")
    reports = _list(api, "/api/v1/configmaps", AUTOSCALER_STATUS)
    if reports is None:
        check.look(
            "Build nodes need an autoscaler for managed node groups, and the credentials may not read its status",
            f"Run {_FIND_AUTOSCALER}, and read its log: it must find the node groups.",
        )
        return check
    if not reports:
        tell = check.look if own_node_groups else check.notice  # once deployed, people know which other one they have
        tell(
            "No Cluster Autoscaler reports in the cluster, and no node starts without an autoscaler for node groups",
            f"Install it, or look whether another one runs: {_FIND_AUTOSCALER}",
        )
        return check
    check.found = "Cluster Autoscaler in " + ", ".join(
        sorted({_text(each, "metadata", "namespace") for each in reports})
    )
    now = datetime.now(timezone.utc)
    running = [each for each in reports if now - _updated(each) <= _SILENT_AFTER]
    if not running:
        last = max(map(_updated, reports))
        since = "" if last == _NEVER else f" since {last:%Y-%m-%d %H:%M} UTC"
        check.notice(
            f"Cluster Autoscaler has not reported{since}, so no build node starts",
            "Look whether it runs: kubectl get pods -A | grep autoscaler",
        )
        return check
    # EKS names a group's autoscaling group after it: eks-NAME-ID. A cluster can have several autoscalers.
    status = "\n".join(_text(each, "data", "status") for each in running)
    unseen = [name for name in sorted(own_node_groups) if f"eks-{name}-" not in status]
    if unseen:
        check.notice(
            f"Cluster Autoscaler does not see {', '.join(unseen)}, so no node of them starts",
            "It must find node groups by their tags (--node-group-auto-discovery), and its role must be allowed "
            f"autoscaling:Describe* and eks:DescribeNodegroup. Its log says more: {_FIND_AUTOSCALER}",
        )
    return check


def _check_agent(api: KubernetesApi, cluster: Cluster) -> Check:
    """Look whether the Pod Identity agent runs on every node, which Pulumi's function for add-ons does not tell."""
    check = Check(title="Pod Identity agent")
    agents = _list(api, "/apis/apps/v1/daemonsets", POD_IDENTITY_AGENT)
    describe = f"aws eks describe-addon --cluster-name {cluster.name} --addon-name {POD_IDENTITY_AGENT} --query addon"
    if agents is None:
        check.look(
            f"{POD_IDENTITY_AGENT} must be active, and the credentials may not read its DaemonSet",
            f"Run {describe}.status.",
        )
        return check
    if not agents:
        check.notice(
            f"{cluster.name} has no DaemonSet {POD_IDENTITY_AGENT}, so build pods get no role",
            f"Run {describe}.health.",
        )
        return check
    wanted, ready = (_number(agents[0].get("status"), key) for key in ("desiredNumberScheduled", "numberReady"))
    check.found = f"ready on {ready} of {wanted} nodes"
    if wanted and not ready:  # while nodes start, it is not ready on some
        check.notice(
            f"{POD_IDENTITY_AGENT} is ready on none of {wanted} nodes, so build pods get no role",
            f"Run {describe}.health, and kubectl describe daemonset {POD_IDENTITY_AGENT} -n kube-system",
        )
    return check


def _list(api: KubernetesApi, path: str, name: str) -> list[Mapping[str, Any]] | None:
    """The objects with a name. None if the credentials may not list them.

    So it is in the first previews of CI: the deployment gives them the right.
    """
    try:
        return api.list(path, name=name)
    except KubernetesRefusalError as error:
        if error.code == 403:
            return None
        raise


def _number(value: Any, key: str) -> int:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, int) else 0


def _updated(report: Mapping[str, Any]) -> datetime:
    """When a report was written, in Go's form: `2026-01-31 23:59:59.123456789 +0000 UTC`."""
    found = re.match(
        r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8})(?:\.[0-9]+)? ([+-][0-9]{4})\b",
        _text(report, "metadata", "annotations", _UPDATED),
    )
    try:
        return datetime.strptime(" ".join(found.groups()), "%Y-%m-%d %H:%M:%S %z") if found else _NEVER
    except ValueError:
        return _NEVER


def _text(value: Any, *keys: str) -> str:
    """The text under these keys; empty if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
