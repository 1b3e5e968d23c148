"""The values of the `gitlab-runner` Helm chart for the manager of one architecture, as a pure function.

Values: https://docs.gitlab.com/runner/install/kubernetes_helm_chart_configuration/
"""

from dataclasses import dataclass
from typing import Any

from components.labels import DO_NOT_EVICT
from stacks.monitoring import ServiceMonitor
from stacks.runners import Resources
from stacks.versions import RUNNER_VERSION

CHART = "gitlab-runner"
REPOSITORY = "https://charts.gitlab.io"

RUNNER_ANNOTATION = "buildyard.dev/runner"
"""The annotation of a manager's pod whose value is the id of its runner in GitLab."""

MANAGER_RESOURCES = Resources.model_validate(
    {
        "cpu": {"request": "100m", "limit": "1"},
        "memory": {"request": "256Mi", "limit": "512Mi"},
        "ephemeral-storage": {"request": "100Mi", "limit": "10Gi"},
    }
)

RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete", "get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/attach", "pods/exec"], "verbs": ["create", "delete", "get", "patch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete", "get", "update"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["services"], "verbs": ["create", "get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["create", "get"]},
]
"""The permissions that the Kubernetes executor needs. The chart binds them only in the release's namespace.

Source: https://docs.gitlab.com/runner/executors/kubernetes/#configure-runner-api-permissions
"""

PAUSE_RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "delete", "get", "list", "update"]},
]
"""The permissions for pause pods. The admission policies allow no other Deployment, and no other pods in it.

Source: https://docs.gitlab.com/runner/executors/kubernetes/#required-rbac-permissions
"""


@dataclass(frozen=True, kw_only=True)
class Manager:
    """`token_secret` is the name of the Secret with the runner's token, and `runner` the runner's id in GitLab."""

    name: str
    gitlab_url: str
    token_secret: Any
    runner: Any
    config: Any
    """`config.toml`, escaped by `escape_template`."""
    concurrent: int
    longest_job_seconds: int
    service_monitor: ServiceMonitor | None = None
    warm: bool = False
    """Whether it keeps capacity warm."""


READY = """for attempt in $(seq 30); do
  if gitlab-runner verify --url= 2>&1 | grep -qE 'is (alive|valid)'; then exit 0; fi
  sleep 2
done
echo 'GitLab does not accept this runner: see the log of the container.' >&2
exit 1"""
"""Waits until GitLab accepts the runner. Until it ends, the container is not ready, and Helm keeps the old manager.

The chart's own readiness is that a process of this name runs, which an attempt to register is, too.
Source: https://gitlab.com/gitlab-org/charts/gitlab-runner/-/blob/main/templates/deployment.yaml
"""

LIVENESS = {"periodSeconds": 60, "failureThreshold": 24 * 60, "terminationGracePeriodSeconds": 60}
"""Tolerates a day without GitLab.

The chart's probe is `gitlab-runner verify`, which fails when GitLab is down. With the chart's own thresholds, that
would stop a manager after half a minute: it would take no more jobs, for as long as its last one runs.
"""


def chart_values(manager: Manager) -> dict[str, Any]:
    """The chart's values, without tags, timeout and scope, which belong to the runner in GitLab.

    Without a node selector and tolerations, the manager runs on any node of any architecture except the build nodes,
    so that these can be removed after their last build.
    """
    return {
        "fullnameOverride": manager.name,
        "image": {"tag": f"alpine-v{RUNNER_VERSION}"},
        "gitlabUrl": manager.gitlab_url,
        "concurrent": manager.concurrent,
        "checkInterval": 3,
        # The image's stop signal is SIGQUIT: a replaced manager takes no more jobs, and exits after its last job.
        "terminationGracePeriodSeconds": manager.longest_job_seconds,
        # The chart would unregister it before the pod stops, while jobs still run. Pulumi deletes the runner anyway.
        "unregisterRunners": False,
        "runners": {
            "executor": "kubernetes",
            "secret": manager.token_secret,
            "config": manager.config,
        },
        "rbac": {"create": True, "clusterWideAccess": False, "rules": RULES + (PAUSE_RULES if manager.warm else [])},
        "serviceAccount": {"create": True, "name": manager.name},
        "metrics": {"enabled": True, "portName": "metrics", "port": 9252, **_service_monitor(manager)},
        "service": {"enabled": manager.service_monitor is not None},
        "deploymentLifecycle": {"postStart": {"exec": {"command": ["/bin/bash", "-c", READY]}}},
        "livenessProbe": LIVENESS,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            # It writes config.toml and .runner_system_id, for which the chart has a volume, and temporary files:
            # https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/commands/internal/configfile/configfile.go
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # The manager keeps each running job's log, of up to 4 MiB, in a temporary file:
        # https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/helpers/trace/buffer.go
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 (the pod's own volume)
        "resources": {"requests": _bounds("request"), "limits": _bounds("limit")},
        # Helm restarts the manager when the config changes, but not when a Secret of somebody else changes. A new
        # token always comes with a new runner, whose id changes this annotation.
        "podAnnotations": {**DO_NOT_EVICT, RUNNER_ANNOTATION: manager.runner},
    }


def _service_monitor(manager: Manager) -> dict[str, Any]:
    if manager.service_monitor is None:
        return {}
    return {"serviceMonitor": {"enabled": True, "labels": manager.service_monitor.labels}}


def _bounds(bound: str) -> dict[str, str]:
    return {resource.replace("_", "-"): str(getattr(bounds, bound)) for resource, bounds in MANAGER_RESOURCES}


def escape_template(text: str) -> str:
    """Escape a text for Helm's `tpl`, which the chart applies to the config."""
    return text.replace("{{", '{{ "{{" }}')
