"""The keys of the runner's chart and of `config.toml` that Buildyard relies on, each with the reason, as one table.

A stack may add every other key: `runner_extras` checks that.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, kw_only=True)
class Owned:
    """Keys of Buildyard's, as patterns of paths: why they are, and what to do instead."""

    patterns: tuple[str, ...]
    why: str
    instead: str

    def has(self, path: str) -> bool:
        """Whether a path is one of these. Names of keys in Go are compared without case, so these are, too."""
        return any(fnmatchcase(path.casefold(), pattern.casefold()) for pattern in self.patterns)


_LEAVE = "Remove it."
_MANAGER = "one manager serves one runner, which Pulumi registers"
_ADMISSION = "the admission policy refuses such pods"
_IDENTITY = "it would let a build pod be somebody else"

OWNED_CONFIG = (
    Owned(patterns=("name", "url", "token", "executor", "shell"), why=_MANAGER, instead=_LEAVE),
    Owned(
        patterns=("limit", "request_concurrency"), why="the number of jobs", instead="Use buildyard:runners.concurrent."
    ),
    Owned(
        patterns=("builds_dir", "kubernetes.logs_base_dir", "kubernetes.scripts_base_dir"),
        why="a pod with a user namespace has few folders to write to",
        instead=_LEAVE,
    ),
    Owned(
        patterns=(
            "feature_flags.FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR",
            "feature_flags.FF_GIT_URLS_WITHOUT_TOKENS",
            "feature_flags.FF_PRINT_POD_EVENTS",
            "feature_flags.FF_USE_ADVANCED_POD_SPEC_CONFIGURATION",
        ),
        why="builds rely on its value",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("cache.*key", "cache.*token"),
        why="it would be in clear text in the stack's state and in the cluster",
        instead="Give the manager a role, by serviceAccount.annotations of the chart's values.",
    ),
    Owned(
        patterns=(
            *("kubernetes.host", "kubernetes.context", "kubernetes.cert_file", "kubernetes.key_file"),
            *("kubernetes.ca_file", "kubernetes.bearer_token*"),
        ),
        why="the manager uses its own service account",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("kubernetes.namespace*",), why="its rights are for one", instead="Use buildyard:runners.namespace."
    ),
    Owned(
        patterns=(
            *("kubernetes.service_account", "kubernetes.automount_service_account_token"),
            *("kubernetes.*_overwrite_allowed", "kubernetes.allowed_users", "kubernetes.allowed_groups"),
        ),
        why=_IDENTITY,
        instead=_LEAVE,
    ),
    Owned(
        patterns=("kubernetes.image",), why="the published jobs need it", instead="Use buildyard:runners.builder-image."
    ),
    Owned(
        patterns=("kubernetes.helper_image*",),
        why="its version is the runner's",
        instead="Use buildyard:network.mirrors.helper-image.",
    ),
    Owned(
        patterns=("kubernetes.pull_policy", "kubernetes.allowed_pull_policies"),
        why="a node must ask whether a pod may use an image that it has",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("kubernetes.poll_timeout",),
        why="the wait for a node",
        instead="Use buildyard:runners.node-wait-minutes.",
    ),
    Owned(
        patterns=(
            *("kubernetes.privileged", "kubernetes.allow_privilege_escalation", "kubernetes.runtime_class_name"),
            *("kubernetes.cap_add", "kubernetes.cap_drop", "kubernetes.*security_context"),
        ),
        why="rootless builds need exactly these rights",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("kubernetes.node_selector", "kubernetes.node_tolerations", "kubernetes.affinity"),
        why="jobs run on the stack's build nodes alone",
        instead="Use buildyard:nodes.",
    ),
    Owned(
        patterns=(
            *("kubernetes.*cpu_limit*", "kubernetes.*cpu_request*", "kubernetes.*memory_limit*"),
            *("kubernetes.*memory_request*", "kubernetes.*ephemeral_storage_*"),
        ),
        why="the check that jobs fit their nodes reads it elsewhere",
        instead="Use defaults, ceilings, helper and services of buildyard:runners.",
    ),
    Owned(patterns=("kubernetes.autoscaler",), why="it has a key", instead="Use buildyard:runners.warm."),
    Owned(patterns=("kubernetes.pod_spec",), why="a patch could change anything in a pod", instead=_LEAVE),
    Owned(
        patterns=("kubernetes.pod_labels.job.runner.gitlab.com/*",),
        why="the network policy knows build pods by it",
        instead=_LEAVE,
    ),
    Owned(
        patterns=(
            "kubernetes.pod_annotations.cluster-autoscaler.kubernetes.io/safe-to-evict",
            "kubernetes.pod_annotations.karpenter.sh/do-not-disrupt",
            "kubernetes.cleanup_grace_period_seconds",
            "kubernetes.pod_disruption_budget",
            "kubernetes.container_lifecycle",
            "kubernetes.retry_limits.exceeded quota",
        ),
        why="a job ends well by it",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("kubernetes.pod_annotations.*apparmor*", "kubernetes.pod_annotations.*seccomp*"),
        why="it would take a container's profile away",
        instead=_LEAVE,
    ),
    Owned(
        patterns=(
            *(f"kubernetes.volumes.{kind}" for kind in ("host_path", "pvc", "secret", "config_map", "csi", "nfs")),
            *("kubernetes.suspend_pvc*",),
        ),
        why=_ADMISSION,
        instead="Use an empty_dir, or put the files into an image.",
    ),
)
"""In paths below `[[runners]]`."""

OWNED_VALUES = (
    Owned(
        patterns=("fullnameOverride", "nameOverride", "namespace"),
        why="the admission policy knows managers by their names",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("image.registry", "image.image"),
        why="a mirror has a key",
        instead="Use buildyard:network.mirrors.runner-image.",
    ),
    Owned(patterns=("image.tag",), why="the helper has the same version", instead="Change stacks/versions.py."),
    Owned(patterns=("gitlabUrl",), why="the runner is registered there", instead="Use gitlab:baseUrl."),
    Owned(
        patterns=("runnerToken", "runnerRegistrationToken"),
        why="it would be in clear text in Helm's records",
        instead="Remove it: Pulumi stores the token in a Secret.",
    ),
    Owned(patterns=("concurrent",), why="the number of jobs", instead="Use buildyard:runners.concurrent."),
    Owned(
        patterns=("terminationGracePeriodSeconds",),
        why="a manager finishes its jobs",
        instead="Use buildyard:runners.maximum-timeout-minutes.",
    ),
    Owned(patterns=("strategy",), why="a new manager takes jobs while the old one finishes its own", instead=_LEAVE),
    Owned(patterns=("checkInterval", "unregisterRunners", "replicas", "hpa"), why=_MANAGER, instead=_LEAVE),
    Owned(patterns=("runners.config",), why="Buildyard writes it", instead="Use buildyard:runners.config."),
    Owned(
        patterns=(
            *("runners.configPath", "runners.executor", "runners.secret", "runners.name", "runners.namespace"),
            *("runners.jobNamespace", "runners.locked", "runners.tags", "runners.maximumTimeout"),
            *("runners.runUntagged", "runners.protected"),
        ),
        why=_MANAGER,
        instead=_LEAVE,
    ),
    Owned(
        patterns=("rbac", "serviceAccount.create", "serviceAccount.name", "automountServiceAccountToken"),
        why="a manager may do what it needs, in its namespace alone",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("metrics.enabled", "metrics.port", "metrics.portName"),
        why="whoever reads the metrics relies on it",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("metrics.serviceMonitor.enabled", "metrics.serviceMonitor.labels", "service.enabled"),
        why="it has a key",
        instead="Use buildyard:monitoring.service-monitor.",
    ),
    Owned(
        patterns=("deploymentLifecycle", "livenessProbe"),
        why="Helm keeps the old manager until GitLab accepts the new one, and managers outlive outages of GitLab",
        instead=_LEAVE,
    ),
    Owned(
        patterns=("securityContext", "podSecurityContext"),
        why="the admission policy and the read-only file system rely on it",
        instead=_LEAVE,
    ),
    Owned(patterns=("resources",), why="the namespace's limits are made for it", instead=_LEAVE),
    Owned(
        patterns=(
            *("podAnnotations.buildyard.dev/*", "podAnnotations.cluster-autoscaler.kubernetes.io/safe-to-evict"),
            *("podAnnotations.karpenter.sh/do-not-disrupt", "podLabels.job.runner.gitlab.com/*"),
            *("nodeSelector.buildyard.dev/*",),
        ),
        why="managers and build pods are told apart by it",
        instead=_LEAVE,
    ),
    Owned(patterns=("certsSecretName",), why="it has a key", instead="Use buildyard:network.ca-bundle."),
    Owned(
        patterns=("configMaps", "preEntrypointScript", "extraEnvFromRefs"),
        why="it could replace the configuration that is checked here",
        instead="Use buildyard:runners.config, or extraEnv with single variables.",
    ),
)

PROXIES = Owned(
    patterns=("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    why="the network policy and RUN steps need the proxy, too",
    instead="Use buildyard:network.proxy.",
)
CONFIGURES = Owned(
    patterns=(
        "CI_SERVER_*",
        "RUNNER_*",
        "REGISTER_*",
        "KUBERNETES_*",
        "CACHE_*",
        "CONFIG_FILE",
        "TEMPLATE_CONFIG_FILE",
    ),
    why="the runner prefers it to the configuration that is checked here",
    instead="Use buildyard:runners.config.",
)
JOBS = Owned(patterns=("BUILDYARD_*",), why="jobs know their stack by it", instead=_LEAVE)

RESERVED_VOLUMES = ("buildkit", "buildkit-cache", "ca-bundle", "repo", "scripts", "logs", "tmp")
"""The names of volumes in the pods of jobs and managers."""
