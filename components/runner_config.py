"""GitLab Runner's `config.toml` for the jobs of one architecture, as a pure function.

Keys: https://docs.gitlab.com/runner/executors/kubernetes/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from components import node_cache
from components.company_network import ca_volume
from components.labels import BUILDS, DO_NOT_EVICT, TAINT_VALUE, node_selector
from pipeline.scripts.faults import STOP_SECONDS
from stacks.architecture import Architecture
from stacks.runner_extras import merged, own_config
from stacks.runners import Ceilings, Resources, Runners
from stacks.versions import RUNNER_VERSION
from stacks.warm import Warm, When

BUILD_USER = 1000
"""The only user for whom `moby/buildkit:rootless` has sub-uids. Its group has the same id."""

BUILDKIT_STATE = "/home/user/.local/share/buildkit"
"""The folder of rootless BuildKit's snapshots. It needs a volume, since an overlay cannot be on another overlay."""

FEATURE_FLAGS = {
    # Files are cloned with the usual modes, not world-writable. COPY keeps modes, and they are part of the cache key,
    # so a build on a laptop and one in a job can share a cache only if the modes are the same.
    "FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR": True,
    # The job's token is not in .git/config, which a careless `COPY . .` would put into an image.
    "FF_GIT_URLS_WITHOUT_TOKENS": True,
    # The job's log says that the job waits for a node.
    "FF_PRINT_POD_EVENTS": True,
}


WRITABLE = "/tmp"  # noqa: S108 (a folder of the job's container)
"""Where the runner keeps its volumes in a pod with a user namespace, in which nobody may write to `/`."""

RETRIES = {"exceeded quota": 60}
"""How often the runner tries again to create a pod, every two seconds, while the namespace has too many."""


CLEANUP_SECONDS = STOP_SECONDS + 2
"""How long a job that has ended still holds its place on the node. Kubernetes' default is 30, and the shells in the pod
ignore SIGTERM; a job that was cancelled needs the time to stop BuildKit."""

STOP_BUILD = "pkill -TERM -f '[p]ython3 - +buildctl' || :"
"""Tells a job's `faults.py` that its pod is being deleted, as on a reclaimed spot node. The pod's own SIGTERM does not
reach it: the container's first process is a shell, which ignores that. Containers without such a process do nothing.

Source: https://docs.gitlab.com/runner/executors/kubernetes/#container-lifecycle-hooks
"""


@dataclass(frozen=True, kw_only=True)
class WarmPods:
    """The pods that hold warm capacity until a job needs their place."""

    warm: Warm
    image: str
    priority_class: str


@dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """`image` is for jobs that name no image, and `service_account` is that of the build pods."""

    stack: str
    architecture: Architecture
    runners: Runners
    node_group: str
    namespace: str
    service_account: str
    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables of every container of a job."""
    ca_bundle: bool = False
    """Whether jobs mount the company's certificate authorities."""
    cache: bool = False
    """Whether the nodes have a disk that keeps BuildKit's state."""
    helper_image: str | None = None
    """A mirror of the helper's image, without a tag."""
    warm: WarmPods | None = None
    """The pause pods, if capacity is kept warm."""


def config_toml(config: RunnerConfig) -> str:
    """The runner's section of `config.toml`. The chart's values set the manager's global options."""
    environment = {**config.environment, **(node_cache.VARIABLES if config.cache else {})}
    section = {
        "executor": "kubernetes",
        # By default a manager requests one job at a time, and GitLab holds each request for a while.
        "request_concurrency": config.runners.concurrent,
        **({"environment": _assignments(environment)} if environment else {}),
        "feature_flags": {
            **FEATURE_FLAGS,
            **({"FF_USE_ADVANCED_POD_SPEC_CONFIGURATION": True} if config.runners.user_namespaces else {}),
        },
        **({"builds_dir": f"{WRITABLE}/builds"} if config.runners.user_namespaces else {}),
        "kubernetes": _kubernetes(config),
    }
    return tomli_w.dumps({"runners": [merged(section, own_config(config.runners))]})


def _kubernetes(config: RunnerConfig) -> dict[str, Any]:
    # Without keys for them here, jobs cannot overwrite namespace, service account, bearer token, labels and
    # tolerations. Each of these would let a job take another identity.
    return {
        "namespace": config.namespace,
        "service_account": config.service_account,
        "image": config.image,
        # The node asks the registry whether the tag still has this image, and whether the pod may pull it.
        "pull_policy": ["always"],
        "poll_timeout": config.runners.node_wait_minutes * 60,
        "cleanup_grace_period_seconds": CLEANUP_SECONDS,
        "privileged": False,
        "pod_disruption_budget": True,
        "retry_limits": RETRIES,
        **_containers("", config.runners.defaults),
        **_overwrites(config.runners.ceilings),
        **_containers("helper_", config.runners.helper),
        **_containers("service_", config.runners.services),
        "node_selector": node_selector(config.stack, config.architecture, config.node_group),
        "node_tolerations": {f"{BUILDS}={TAINT_VALUE}": "NoSchedule"},
        "pod_annotations": DO_NOT_EVICT,
        "container_lifecycle": {"pre_stop": {"exec": {"command": ["sh", "-c", STOP_BUILD]}}},
        **({"helper_image": _helper_image(config.helper_image, config.architecture)} if config.helper_image else {}),
        "volumes": {
            "empty_dir": [_buildkit_state(config.runners.ceilings)],
            **({"config_map": [ca_volume()]} if config.ca_bundle else {}),
            **({"host_path": [node_cache.host_path()]} if config.cache else {}),
        },
        **({"autoscaler": _autoscaler(config.warm)} if config.warm else {}),
        **(_user_namespaces() if config.runners.user_namespaces else {}),
        **_security_contexts(),
    }


def _assignments(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


def _helper_image(repository: str, architecture: Architecture) -> str:
    # With the runner's own variable for its version, jobs could choose another tag.
    return f"{repository}:{architecture.runner_helper}-v{RUNNER_VERSION}"


def _buildkit_state(ceilings: Ceilings) -> dict[str, str]:
    # A job's own limit counts the pod's volumes too. This one holds for whatever other containers leave of it.
    return {"name": "buildkit", "mount_path": BUILDKIT_STATE, "size_limit": str(ceilings.ephemeral_storage)}


def _autoscaler(pods: WarmPods) -> dict[str, Any]:
    """Pause pods, each with the requests of a job with the default resources.

    Source: https://docs.gitlab.com/runner/executors/kubernetes/#pre-warm-cluster-capacity-with-pause-pods
    """
    warm = pods.warm
    hours = {"periods": [warm.hours.period], "timezone": warm.hours.time_zone} if warm.when is When.HOURS else {}
    return {
        "max_pause_pods": warm.jobs,
        "pause_pod_image": pods.image,
        "pause_pod_priority_class_name": pods.priority_class,
        "policy": [{"idle_count": warm.jobs, **hours}],
    }


def _user_namespaces() -> dict[str, Any]:
    """A pod whose users are not the node's, which `config.toml` has no key for.

    Source: https://docs.gitlab.com/runner/executors/kubernetes/#user-namespaces
    """
    patch = json.dumps([{"op": "add", "path": "/hostUsers", "value": False}])
    return {
        "logs_base_dir": WRITABLE,
        "scripts_base_dir": WRITABLE,
        "pod_spec": [{"name": "user namespace", "patch_type": "json", "patch": patch}],
    }


def _containers(prefix: str, resources: Resources) -> dict[str, str]:
    return {
        f"{prefix}{resource}_{bound}": str(quantity)
        for resource, bounds in resources
        for bound, quantity in bounds
        if quantity is not None
    }


def _overwrites(ceilings: Ceilings) -> dict[str, str]:
    """The limits of a job's `KUBERNETES_*` variables. Without a limit, the runner silently ignores the variable.

    Those of the helper and of services have no limit, so jobs cannot overwrite them: the check that jobs fit nodes
    relies on the helper's.
    """
    return {
        f"{resource}_{bound}_overwrite_max_allowed": str(ceiling)
        for resource, ceiling in ceilings
        for bound in ("request", "limit")
    }


def _security_contexts() -> Mapping[str, Any]:
    """The least that rootless BuildKit needs.

    It creates user namespaces and mounts in them, which the default seccomp and AppArmor profiles forbid. `newuidmap`
    gains privileges by its file mode, so privilege escalation must be allowed, and not all capabilities can be
    dropped. The helper container needs none of this, and keeps the default profiles.
    Source: https://github.com/moby/buildkit/blob/master/docs/rootless.md

    There is no `fs_group`: it sets the setgid bit on the folders of the clone and of BuildKit's state, and from there
    COPY and RUN would take it into images. Everybody may write to an emptyDir, and the pod's one user owns its tokens.
    Sources: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#security-context,
    https://kubernetes.io/docs/concepts/storage/projected-volumes/#securitycontext-interactions
    """
    return {
        "pod_security_context": {
            "run_as_non_root": True,
            "run_as_user": BUILD_USER,
            "run_as_group": BUILD_USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "build_container_security_context": {
            "run_as_user": BUILD_USER,
            "run_as_group": BUILD_USER,
            "seccomp_profile": {"type": "Unconfined"},
            "app_armor_profile": {"type": "Unconfined"},
        },
    }
