"""What GitLab Runner is told about every job: the `config.toml` of one architecture, as a pure function.

Keys: https://docs.gitlab.com/runner/executors/kubernetes/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from components.labels import BUILDS, DO_NOT_EVICT, TAINT_VALUE, node_selector
from stacks.architecture import Architecture
from stacks.settings import Ceilings, Resources, Runners

BUILD_USER = 1000
"""The one user for whom `moby/buildkit:rootless` has sub-uids; its group has the same number."""

BUILDKIT_STATE = "/home/user/.local/share/buildkit"
"""Where rootless BuildKit keeps its snapshots. On a volume, since an overlay cannot lie on the container's own."""

FEATURE_FLAGS = {
    # Files are cloned with the usual modes, not writable for all: COPY takes modes over, and they are part of a cache's
    # key, so that a build on a laptop and one in a job share caches only when modes agree.
    "FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR": True,
    # The job's token stays out of .git/config, which a careless `COPY . .` puts into an image.
    "FF_GIT_URLS_WITHOUT_TOKENS": True,
    # Whoever waits for a node to start reads so in the job's log.
    "FF_PRINT_POD_EVENTS": True,
}


@dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """`image` is what a job runs in that names none; `service_account` is the build pods'."""

    stack: str
    architecture: Architecture
    runners: Runners
    node_group: str
    namespace: str
    service_account: str
    image: str


def config_toml(config: RunnerConfig) -> str:
    """The runner's section of `config.toml`; what concerns the manager as a whole is set by the chart's values."""
    return tomli_w.dumps(
        {
            "runners": [
                {
                    "executor": "kubernetes",
                    # By default a manager asks for one job at a time, and GitLab lets each question wait for a job.
                    "request_concurrency": config.runners.concurrent,
                    "feature_flags": FEATURE_FLAGS,
                    "kubernetes": _kubernetes(config),
                }
            ]
        }
    )


def _kubernetes(config: RunnerConfig) -> dict[str, Any]:
    # Overwrites of namespace, service account, bearer token, labels and tolerations are off unless they are named
    # here: each of them would let a job become somebody else.
    return {
        "namespace": config.namespace,
        "service_account": config.service_account,
        "image": config.image,
        # Asks the registry whether the tag still means the image on the node, and whether the pod may have it.
        "pull_policy": ["always"],
        "poll_timeout": config.runners.node_wait_minutes * 60,
        "privileged": False,
        "pod_disruption_budget": True,
        **_containers("", config.runners.defaults),
        **_overwrites(config.runners.ceilings),
        **_containers("helper_", config.runners.helper),
        "node_selector": node_selector(config.stack, config.architecture, config.node_group),
        "node_tolerations": {f"{BUILDS}={TAINT_VALUE}": "NoSchedule"},
        "pod_annotations": DO_NOT_EVICT,
        "volumes": {"empty_dir": [{"name": "buildkit", "mount_path": BUILDKIT_STATE}]},
        **_security_contexts(),
    }


def _containers(prefix: str, resources: Resources) -> dict[str, str]:
    return {
        f"{prefix}{resource}_{bound}": str(quantity)
        for resource, bounds in resources
        for bound, quantity in bounds
        if quantity is not None
    }


def _overwrites(ceilings: Ceilings) -> dict[str, str]:
    """How far a job may go with its `KUBERNETES_*` variables, which are ignored without a word where this is missing.

    The helper's resources have no ceiling and so cannot be overwritten: the sizes of nodes are reckoned with them.
    """
    return {
        f"{resource}_{bound}_overwrite_max_allowed": str(ceiling)
        for resource, ceiling in ceilings
        for bound in ("request", "limit")
    }


def _security_contexts() -> Mapping[str, Any]:
    """Rootless BuildKit's needs, and no more.

    It makes user namespaces and mounts in them, which the default seccomp and AppArmor profiles forbid; `newuidmap`
    gains privileges by its file mode, so that escalation must not be forbidden nor every capability be dropped. The
    helper container, which needs none of it, stays under the default profiles.
    Source: https://github.com/moby/buildkit/blob/master/docs/rootless.md
    """
    return {
        "pod_security_context": {
            "run_as_non_root": True,
            "run_as_user": BUILD_USER,
            "run_as_group": BUILD_USER,
            "fs_group": BUILD_USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "build_container_security_context": {
            "run_as_user": BUILD_USER,
            "run_as_group": BUILD_USER,
            "seccomp_profile": {"type": "Unconfined"},
            "app_armor_profile": {"type": "Unconfined"},
        },
    }
