"""What the `gitlab-runner` Helm chart is told: the manager of one architecture, as a pure function.

Values: https://docs.gitlab.com/runner/install/kubernetes_helm_chart_configuration/
"""

from dataclasses import dataclass
from typing import Any

from components.labels import DO_NOT_EVICT
from stacks.versions import RUNNER_VERSION

CHART = "gitlab-runner"
REPOSITORY = "https://charts.gitlab.io"

RUNNER_ANNOTATION = "buildyard.dev/runner"
"""On a manager's pod: the runner in GitLab that it takes jobs for."""

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
"""What the Kubernetes executor does, and nothing else; the chart binds it in the release's namespace alone.

Source: https://docs.gitlab.com/runner/executors/kubernetes/#configure-runner-api-permissions
"""


@dataclass(frozen=True, kw_only=True)
class Manager:
    """`token_secret` names the Secret with the runner's token, `runner` the runner in GitLab that it belongs to."""

    name: str
    gitlab_url: str
    token_secret: Any
    runner: Any
    config: Any
    """`config.toml`, escaped by `escape_template`."""
    concurrent: int
    longest_job_seconds: int


def chart_values(manager: Manager) -> dict[str, Any]:
    """The chart's values. Tags, timeout and scope are not among them: they belong to the runner in GitLab.

    No node selector and no toleration: the manager runs wherever there is room, whatever the processor, and keeps off
    the build nodes, so that those can go when the last build has.
    """
    return {
        "fullnameOverride": manager.name,
        "image": {"tag": f"alpine-v{RUNNER_VERSION}"},
        "gitlabUrl": manager.gitlab_url,
        "concurrent": manager.concurrent,
        "checkInterval": 3,
        # The image stops by SIGQUIT: a manager that is replaced takes no more jobs, and goes when its last one has.
        "terminationGracePeriodSeconds": manager.longest_job_seconds,
        # It would be done before the pod is asked to stop, while jobs still run; the runner goes with the stack anyway.
        "unregisterRunners": False,
        "runners": {
            "executor": "kubernetes",
            "secret": manager.token_secret,
            "config": manager.config,
        },
        "rbac": {"create": True, "clusterWideAccess": False, "rules": RULES},
        "serviceAccount": {"create": True, "name": manager.name},
        "metrics": {"enabled": True, "portName": "metrics", "port": 9252},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "512Mi"},
        },
        # Helm rolls the manager when the config changes, but cannot see into a Secret that is not its own. A runner and
        # its token are made together, so a new token comes with a new runner.
        "podAnnotations": {**DO_NOT_EVICT, RUNNER_ANNOTATION: manager.runner},
    }


def escape_template(text: str) -> str:
    """A text that Helm's `tpl`, through which the chart puts the config, gives back as it was."""
    return text.replace("{{", '{{ "{{" }}')
