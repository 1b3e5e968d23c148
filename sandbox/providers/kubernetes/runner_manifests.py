"""The objects of the chart `gitlab-runner`: the manager's Deployment, its settings and its rights.

An approximation of the chart's templates, to show what was deployed with which settings. Nothing is started.
"""

from typing import Any

from sandbox.providers.kubernetes.runner_chart import app_version, rendered_config

Object = dict[str, Any]
_REGISTRY = "registry.gitlab.com"
_IMAGE = "gitlab-org/gitlab-runner"


def manifests(release: str, namespace: str, chart_version: str, values: Object) -> list[Object]:
    """Every object of a release, in the order in which Helm makes them."""
    name = full_name(release, values)
    labels = {"app": name, "chart": f"gitlab-runner-{chart_version}", "release": release, "heritage": "Helm"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    service_account = values.get("serviceAccount") or {}
    rbac = values.get("rbac") or {}
    account_name = service_account.get("name") or name
    objects: list[Object] = []
    if service_account.get("create", bool(rbac.get("create"))):
        annotations = {"annotations": service_account["annotations"]} if service_account.get("annotations") else {}
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {**metadata, "name": account_name, **annotations},
            }
        )
    if values.get("runnerToken"):
        token = {"runner-token": values["runnerToken"], "runner-registration-token": ""}
        objects.append(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": token}
        )
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": _settings(values)})
    if rbac.get("create"):
        group = "rbac.authorization.k8s.io"
        objects.append(
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rbac.get("rules") or []}
        )
        objects.append(
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": account_name, "namespace": namespace}],
            }
        )
    objects.append(_deployment(metadata, account_name, values))
    objects += _metrics(metadata, values)
    return objects


def full_name(release: str, values: Object) -> str:
    """The name of the chart's objects, at most 63 characters long."""
    name = values.get("fullnameOverride")
    if not name:
        chart = values.get("nameOverride") or "gitlab-runner"
        name = release if chart in release else f"{release}-{chart}"
    return str(name)[:63].rstrip("-")


def token_secret(release: str, values: Object) -> str:
    """The Secret that the manager's pod mounts."""
    named = (values.get("runners") or {}).get("secret")
    return str(named or full_name(release, values))


def _settings(values: Object) -> Object:
    settings = {"concurrent": values.get("concurrent", 10), "check_interval": values.get("checkInterval", 3)}
    template = (values.get("runners") or {}).get("config") or ""
    return {
        "config.toml": "".join(f"{key} = {value}\n" for key, value in settings.items()),
        "config.template.toml": rendered_config(template),
    }


def _image(image: Object) -> str:
    tag = image.get("tag") or f"alpine-v{app_version()}"
    return f"{image.get('registry') or _REGISTRY}/{image.get('image') or _IMAGE}:{tag}"


def _metrics(metadata: Object, values: Object) -> list[Object]:
    metrics, name = values.get("metrics") or {}, metadata["name"]
    if not metrics.get("enabled") or not (values.get("service") or {}).get("enabled"):
        return []
    port = {"name": metrics.get("portName", "metrics"), "port": metrics.get("port", 9252)}
    spec = {"selector": {"app": name}, "ports": [port]}
    objects: list[Object] = [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}]
    monitor = metrics.get("serviceMonitor") or {}
    if monitor.get("enabled"):
        labels = {**metadata["labels"], **(monitor.get("labels") or {})}
        spec = {"endpoints": [{"port": port["name"]}], "selector": {"matchLabels": {"app": name}}}
        objects.append(
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": "ServiceMonitor",
                "metadata": {**metadata, "labels": labels},
                "spec": spec,
            }
        )
    return objects


def _deployment(metadata: Object, service_account: str, values: Object) -> Object:
    name = metadata["name"]
    container = {
        "name": name,
        "image": _image(values.get("image") or {}),
        "env": [
            {"name": "CI_SERVER_URL", "value": str(values.get("gitlabUrl", ""))},
            {"name": "RUNNER_EXECUTOR", "value": (values.get("runners") or {}).get("executor", "kubernetes")},
        ],
        "securityContext": values.get("securityContext") or {},
        "resources": values.get("resources") or {},
        "lifecycle": values.get("deploymentLifecycle") or {},
        "livenessProbe": {
            "exec": {"command": ["/bin/bash", "/configmaps/check-live"]},
            **(values.get("livenessProbe") or {}),
        },
        "volumeMounts": [
            {"name": "projected-secrets", "mountPath": "/secrets"},
            {"name": "configmaps", "mountPath": "/configmaps"},
        ],
    }
    sources = [{"secret": {"name": token_secret(metadata["labels"]["release"], values)}}]
    pod = {
        "serviceAccountName": service_account,
        "securityContext": values.get("podSecurityContext") or {},
        "terminationGracePeriodSeconds": values.get("terminationGracePeriodSeconds", 3600),
        "nodeSelector": values.get("nodeSelector") or {},
        "tolerations": values.get("tolerations") or [],
        "affinity": values.get("affinity") or {},
        "priorityClassName": values.get("priorityClassName", ""),
        "containers": [container],
        "volumes": [
            {"name": "projected-secrets", "projected": {"sources": sources}},
            {"name": "configmaps", "configMap": {"name": name}},
        ],
    }
    labels = {**metadata["labels"], **(values.get("podLabels") or {})}
    template = {"metadata": {"labels": labels, "annotations": values.get("podAnnotations") or {}}, "spec": pod}
    spec = {"replicas": values.get("replicas", 1), "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
