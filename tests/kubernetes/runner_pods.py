"""The pod that GitLab Runner makes of a job, by a `config.toml`.

It follows `preparePodConfig` and what that calls in the runner's `executors/kubernetes/kubernetes.go` (19.4), for the
keys that our configuration uses.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Object = dict[str, Any]
RESOURCES = ("cpu", "memory", "ephemeral_storage")


@dataclass(frozen=True, kw_only=True)
class Job:
    """The parts of a job's YAML that concern its pod."""

    image: str = ""
    services: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def pod_of(config: str, job: Job = Job()) -> Object:
    """A job's pod, as the runner sends it to the API server."""
    [runner] = tomllib.loads(config)["runners"]
    kubernetes = runner["kubernetes"]
    builds = runner.get("builds_dir", "/builds")
    environment = [
        dict(zip(("name", "value"), each.split("=", 1), strict=True)) for each in runner.get("environment", ())
    ]
    volumes = _volumes(kubernetes, builds)
    mounts = [
        {"name": volume["name"], "mountPath": path, **({"readOnly": True} if "configMap" in volume else {})}
        for volume, path in volumes
    ]
    image = job.image or kubernetes["image"]
    helper_image = kubernetes.get(
        "helper_image", "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:arm64-v19.2.3"
    )

    def container(name: str, image: str, context: str, prefix: str, **more: Any) -> Object:
        return {
            "name": name,
            "image": image,
            "imagePullPolicy": {"always": "Always"}[kubernetes["pull_policy"][0]],
            "resources": _resources(kubernetes, prefix, job.variables),
            "volumeMounts": mounts,
            "securityContext": _container_context(kubernetes, context),
            "env": [{"name": "CI", "value": "true"}, *environment],
            **more,
        }

    shell = {"command": ["sh", "-c", "exec sh"], "stdin": True}
    initial = [container("init-permissions", helper_image, "init_permissions_container", "helper_")]
    if runner["feature_flags"].get("FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR"):
        initial.insert(0, container("init-build-uid-gid-collector", image, "build_container", ""))
    spec = {
        "volumes": [volume for volume, _ in volumes],
        "serviceAccountName": kubernetes["service_account"],
        "restartPolicy": "Never",
        "nodeSelector": kubernetes["node_selector"],
        "tolerations": [_toleration(*each) for each in kubernetes["node_tolerations"].items()],
        "initContainers": initial,
        "containers": [
            container("build", image, "build_container", "", **shell),
            container("helper", helper_image, "helper_container", "helper_", **shell),
            *(
                container(f"svc-{position}", service, "service_container", "service_", stdin=True)
                for position, service in enumerate(job.services)
            ),
        ],
        "imagePullSecrets": [{"name": "runner-abc-project-7-concurrent-0-credentials"}],
        "securityContext": _pod_context(kubernetes["pod_security_context"]),
        "activeDeadlineSeconds": 3601,
    }
    if runner["feature_flags"].get("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION"):
        for patch in kubernetes["pod_spec"]:
            spec |= _patch(patch)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "runner-abc-project-7-concurrent-0-xyz",
            "namespace": kubernetes["namespace"],
            "labels": _LABELS,
            "annotations": {**_ANNOTATIONS, **kubernetes["pod_annotations"]},
        },
        "spec": spec,
    }


def pause_deployment_of(config: str, replicas: int) -> Object:
    """The Deployment of pause pods, as the runner sends it to the API server.

    It follows `buildDeployment` in the runner's `executors/kubernetes/autoscaler/pause_pod_manager.go` (19.4).
    """
    [runner] = tomllib.loads(config)["runners"]
    kubernetes = runner["kubernetes"]
    labels = {
        "runner.gitlab.com/pause-pod": "true",
        "manager.runner.gitlab.com/id-short": "abc",
        "manager.runner.gitlab.com/system-id": "r_abc",
    }
    requests = {name: kubernetes[f"{name}_request"] for name in ("cpu", "memory")}
    spec = {
        "containers": [
            {
                "name": "pause",
                "image": kubernetes["autoscaler"]["pause_pod_image"],
                "resources": {"requests": requests},
            }
        ],
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": kubernetes["node_selector"],
        "tolerations": [_toleration(*each) for each in kubernetes["node_tolerations"].items()],
        "serviceAccountName": kubernetes["service_account"],
        "priorityClassName": kubernetes["autoscaler"]["pause_pod_priority_class_name"],
    }
    metadata = {"name": "runner-pause-abc-r-abc", "namespace": kubernetes["namespace"], "labels": labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": spec},
        },
    }


_LABELS = {
    "pod": "runner-abc-project-7-concurrent-0",
    "job.runner.gitlab.com/pod": "runner-abc-project-7-concurrent-0",
    "manager.runner.gitlab.com/id-short": "abc",
    "manager.runner.gitlab.com/name": "buildyard-test-arm64",
    "project.runner.gitlab.com/id": "7",
    "project.runner.gitlab.com/name": "images",
    "project.runner.gitlab.com/namespace": "platform",
    "project.runner.gitlab.com/namespace-id": "3",
    "project.runner.gitlab.com/root-namespace": "platform",
    "project.runner.gitlab.com/root-namespace-id": "3",
}
_ANNOTATIONS = {
    "job.runner.gitlab.com/id": "99",
    "job.runner.gitlab.com/url": "https://gitlab.example.com/platform/images/-/jobs/99",
    "job.runner.gitlab.com/sha": "8a6f6b5",
    "job.runner.gitlab.com/before_sha": "0000000",
    "job.runner.gitlab.com/ref": "main",
    "job.runner.gitlab.com/name": "build-base:arm64",
    "job.runner.gitlab.com/timeout": "1h0m0s",
    "project.runner.gitlab.com/id": "7",
}


def _volumes(kubernetes: Mapping[str, Any], builds: str) -> list[tuple[Object, str]]:
    configured = [
        ({"name": each["name"], "emptyDir": _size_limit(each)}, each["mount_path"])
        for each in kubernetes["volumes"]["empty_dir"]
    ]
    folders = [
        ({"name": each["name"], "hostPath": {"path": each["host_path"]}}, each["mount_path"])
        for each in kubernetes["volumes"].get("host_path", ())
    ]
    maps = [
        ({"name": each["name"], "configMap": {"name": each["name"]}}, each["mount_path"])
        for each in kubernetes["volumes"].get("config_map", ())
    ]
    scripts, logs = (
        f"{kubernetes.get(f'{name}_base_dir', '')}/{name}-7-99"  # of project 7, job 99
        for name in ("scripts", "logs")
    )
    own = (("repo", builds), ("scripts", scripts), ("logs", logs))
    return [*folders, *maps, *configured, *(({"name": name, "emptyDir": {}}, path) for name, path in own)]


def _size_limit(volume: Mapping[str, str]) -> Object:
    return {"sizeLimit": volume["size_limit"]} if "size_limit" in volume else {}


def _resources(kubernetes: Mapping[str, Any], prefix: str, variables: Mapping[str, str]) -> Object:
    chosen = {"request": {}, "limit": {}}  # type: dict[str, dict[str, str]]
    for resource in RESOURCES:
        for bound, quantities in chosen.items():
            key = f"{prefix}{resource}_{bound}"
            allowed = f"{key}_overwrite_max_allowed" in kubernetes
            quantity = (allowed and variables.get(f"KUBERNETES_{key.upper()}")) or kubernetes.get(key)
            if quantity:
                quantities[resource.replace("_", "-")] = quantity
    return {f"{bound}s": quantities for bound, quantities in chosen.items()}


def _container_context(kubernetes: Mapping[str, Any], key: str) -> Object:
    configured = kubernetes.get(f"{key}_security_context", {})
    # Of the fields that a container has not, the runner takes the pod's user and group.
    pod = kubernetes["pod_security_context"]
    context = {
        "capabilities": {"drop": ["NET_RAW"]},
        "privileged": kubernetes["privileged"],
        "runAsUser": configured.get("run_as_user", pod["run_as_user"]),
        "runAsGroup": configured.get("run_as_group", pod["run_as_group"]),
    }
    return {**context, **_profiles(configured)}


def _pod_context(configured: Mapping[str, Any]) -> Object:
    return {
        "runAsNonRoot": configured["run_as_non_root"],
        "runAsUser": configured["run_as_user"],
        "runAsGroup": configured["run_as_group"],
        **_profiles(configured),
    }


def _profiles(configured: Mapping[str, Any]) -> Object:
    names = {"seccomp_profile": "seccompProfile", "app_armor_profile": "appArmorProfile"}
    return {field: {"type": configured[key]["type"]} for key, field in names.items() if key in configured}


def _toleration(key: str, effect: str) -> Object:
    name, equals, value = key.partition("=")
    operator = {"operator": "Equal", "value": value} if equals else {"operator": "Exists"}
    return {"key": name, "effect": effect, **operator}


def _patch(configured: Mapping[str, str]) -> Object:
    """The fields that a JSON patch adds to the pod's specification."""
    assert configured["patch_type"] == "json"
    operations = json.loads(configured["patch"])
    assert {each["op"] for each in operations} == {"add"}
    return {each["path"].removeprefix("/"): each["value"] for each in operations}
