"""The runner's `config.toml`, read back as the runner reads it."""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from components.labels import BUILDS
from components.runner_config import RunnerConfig, config_toml
from pipeline import scripts
from sandbox.providers.kubernetes.runner_chart import problems_in_config
from stacks.architecture import Architecture
from stacks.owned_keys import OWNED_CONFIG, RESERVED_VOLUMES
from stacks.runners import Runners

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EACH = pytest.mark.parametrize("architecture", list(Architecture))


def text(architecture: Architecture = Architecture.ARM64, /, **runners: Any) -> str:
    return config_toml(
        RunnerConfig(
            stack="test",
            architecture=architecture,
            runners=Runners.model_validate(runners),
            node_group="nodes-1",
            namespace="builds-here",
            service_account="builds",
            image="registry.example.com/builder:1",
        )
    )


def runner(architecture: Architecture = Architecture.ARM64, /, **runners: Any) -> dict[str, Any]:
    [section] = tomllib.loads(text(architecture, **runners))["runners"]
    return dict(section)


def kubernetes(architecture: Architecture = Architecture.ARM64, /, **runners: Any) -> dict[str, Any]:
    return dict(runner(architecture, **runners)["kubernetes"])


@EACH
def test_gitlab_runner_knows_every_key_and_its_type(architecture: Architecture) -> None:
    bounds = {"request": "1", "limit": "2"}
    everything = {"cpu": bounds, "memory": bounds, "ephemeral-storage": bounds}
    config = text(
        architecture, defaults=everything, helper=everything, services=everything, **{"user-namespaces": True}
    )
    assert not list(problems_in_config(config)), "the runner would silently ignore the key"


def test_the_template_holds_one_runner_and_nothing_global() -> None:
    config = tomllib.loads(text())
    assert config.keys() == {"runners"}, "the chart's values alone decide about the manager"
    assert "token" not in config["runners"][0]


@EACH
def test_builds_run_on_build_nodes_of_their_architecture_and_stack(architecture: Architecture) -> None:
    config = kubernetes(architecture)
    assert config["node_selector"] == {
        "kubernetes.io/arch": architecture.value,
        BUILDS: "test",
        "eks.amazonaws.com/nodegroup": "nodes-1",
    }, "an image would be built on the wrong processor"
    assert config["node_tolerations"] == {f"{BUILDS}=true": "NoSchedule"}, "no build would ever be scheduled"


def test_every_resource_of_a_job_can_be_overwritten_up_to_its_ceiling() -> None:
    config = kubernetes(ceilings={"cpu": "12", "memory": "48Gi", "ephemeral-storage": "100Gi"})
    ceilings = {"cpu": "12", "memory": "48Gi", "ephemeral_storage": "100Gi"}
    for resource, ceiling in ceilings.items():
        for bound in ("request", "limit"):
            assert config[f"{resource}_{bound}_overwrite_max_allowed"] == ceiling, (
                "the runner ignores the job's variable, and the build runs with the defaults"
            )


def test_jobs_that_ask_for_nothing_get_the_defaults() -> None:
    config = kubernetes()
    got = {key: config.get(key) for key in ("cpu_request", "cpu_limit", "memory_request", "memory_limit")}
    assert got == {"cpu_request": "2", "cpu_limit": "4", "memory_request": "4Gi", "memory_limit": "8Gi"}
    assert config["ephemeral_storage_request"] == "20Gi"
    assert "ephemeral_storage_limit" not in config, "a job could not request more than this without a limit of its own"


def test_the_helper_keeps_its_size() -> None:
    config = kubernetes()
    assert config["helper_memory_limit"] == "512Mi"
    open_to_jobs = [key for key in config if key.startswith(("helper_", "service_", "pod_")) and "overwrite" in key]
    assert not open_to_jobs, "a job could outgrow the node that its size was checked against"


def test_services_have_a_size_of_their_own() -> None:
    config = kubernetes(services={"cpu": {"limit": "3"}, "ephemeral-storage": {"request": "1Gi", "limit": "5Gi"}})
    assert {key: value for key, value in config.items() if key.startswith("service_") and key != "service_account"} == {
        "service_cpu_limit": "3",
        "service_ephemeral_storage_request": "1Gi",
        "service_ephemeral_storage_limit": "5Gi",
    }
    assert {"service_cpu_limit", "service_memory_limit", "service_ephemeral_storage_limit"} <= kubernetes().keys()


def test_jobs_wait_while_the_namespace_is_full() -> None:
    assert kubernetes()["retry_limits"] == {"exceeded quota": 60}, "jobs would fail"


def test_pods_have_user_namespaces_only_where_the_settings_say_so() -> None:
    assert "pod_spec" not in kubernetes()
    assert "builds_dir" not in runner()
    setting: dict[str, Any] = {"user-namespaces": True}
    section = runner(**setting)
    [patch] = section["kubernetes"]["pod_spec"]
    assert json.loads(patch["patch"]) == [{"op": "add", "path": "/hostUsers", "value": False}]
    assert section["feature_flags"]["FF_USE_ADVANCED_POD_SPEC_CONFIGURATION"], "the runner would ignore the patch"
    folders = (section["builds_dir"], section["kubernetes"]["logs_base_dir"], section["kubernetes"]["scripts_base_dir"])
    assert folders == ("/tmp/builds", "/tmp", "/tmp"), "nobody may write to the root of such a pod's containers"


def test_jobs_cannot_become_somebody_else() -> None:
    config = kubernetes()
    allowed = [key for key in config if key.endswith("overwrite_allowed")]
    assert not allowed, "a job could choose its namespace, service account, token, node or labels"
    assert config["privileged"] is False
    assert config["service_account"] == "builds"


def test_buildkit_may_make_user_namespaces_and_nothing_more() -> None:
    build = kubernetes()["build_container_security_context"]
    assert (build["run_as_user"], build["run_as_group"]) == (1000, 1000), (
        "rootless BuildKit has sub-uids for 1000 alone"
    )
    assert build["seccomp_profile"]["type"] == build["app_armor_profile"]["type"] == "Unconfined"
    assert "allow_privilege_escalation" not in build, "newuidmap fails when escalation is forbidden"
    assert "capabilities" not in build, "newuidmap fails without its capabilities"


def test_the_helper_stays_confined_and_no_container_is_root() -> None:
    config = kubernetes()
    pod = config["pod_security_context"]
    assert pod["run_as_non_root"] is True
    assert pod["run_as_user"] == pod["run_as_group"] == 1000, "the helper's clone would belong to another user"
    assert "fs_group" not in pod, "images would get the setgid bit of the folders that they are built in"
    assert pod["seccomp_profile"]["type"] == "RuntimeDefault"
    assert "helper_container_security_context" not in config


def test_a_jobs_image_is_pulled_again_for_every_job() -> None:
    assert kubernetes()["pull_policy"] == ["always"], "a job could run an old image, or one that it may not read"


def test_buildkits_state_is_on_a_volume() -> None:
    ceilings = {"ephemeral-storage": "70Gi"}
    [volume] = kubernetes(ceilings=ceilings)["volumes"]["empty_dir"]
    assert volume["mount_path"] == "/home/user/.local/share/buildkit"
    assert volume["size_limit"] == "70Gi", "a build could fill the disk of its node"


def test_jobs_wait_for_a_node_to_start() -> None:
    waiting: dict[str, Any] = {"node-wait-minutes": 12}
    assert kubernetes(**waiting)["poll_timeout"] == 720, "jobs fail while their node still boots"


def test_nobody_moves_a_running_build() -> None:
    config = kubernetes()
    assert config["pod_annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }
    assert config["pod_disruption_budget"] is True


def test_a_build_learns_that_its_pod_is_being_deleted() -> None:
    shell, option, script = kubernetes()["container_lifecycle"]["pre_stop"]["exec"]["command"]
    program, signal, by_command, pattern, *otherwise = shlex.split(script)
    assert (shell, option, program, signal, by_command) == ("sh", "-c", "pkill", "-TERM", "-f")
    assert "run_build buildctl-daemonless.sh " in scripts.shell("build.sh")
    call = next(line for line in scripts.function("run_build", "faults.py").splitlines() if "python3" in line)
    in_the_job = " ".join(shlex.split(call.partition("<<")[0])).replace("$@", "buildctl-daemonless.sh build")
    assert re.search(pattern, in_the_job), "a job on a reclaimed node would end without a word"
    assert not re.search(pattern, f"{shell} {option} {script}"), "the hook would kill itself"
    assert otherwise == ["||", ":"], "each pod without a build would report a failed hook"


def test_the_manager_asks_for_as_many_jobs_as_it_may_run() -> None:
    assert runner(concurrent=33)["request_concurrency"] == 33, "jobs would start one after the other"


def test_files_are_cloned_with_the_usual_modes_and_without_the_jobs_token() -> None:
    flags = runner()["feature_flags"]
    assert flags["FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR"], "modes are part of BuildKit's cache keys"
    assert flags["FF_GIT_URLS_WITHOUT_TOKENS"], "COPY . . would put the token into the image"


def leaves(value: Any, here: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*here, key))
    else:
        yield here


def test_a_stacks_own_text_cannot_have_a_key_of_ours() -> None:
    bounds = {"request": "1", "limit": "2"}
    everything = {"cpu": bounds, "memory": bounds, "ephemeral-storage": bounds}
    ours = runner(defaults=everything, helper=everything, services=everything, **{"user-namespaces": True})
    joined = {("kubernetes", "volumes", "empty_dir")}  # whose names are checked instead
    for path in {*leaves(ours)} - joined:
        assert any(
            owned.has(".".join(path[:length])) for owned in OWNED_CONFIG for length in range(1, len(path) + 1)
        ), f"a stack could replace {'.'.join(path)}"
    for volume in ours["kubernetes"]["volumes"]["empty_dir"]:
        assert volume["name"] in RESERVED_VOLUMES


def test_a_stacks_own_text_is_merged_with_ours() -> None:
    added = """
        [[runners]]
        output_limit = 8192
        [runners.feature_flags]
        FF_TIMESTAMPS = true
        [[runners.kubernetes.volumes.empty_dir]]
        name = "scratch"
        mount_path = "/scratch"
    """
    section = runner(config=added)
    assert section["output_limit"] == 8192
    assert section["feature_flags"] == {**runner()["feature_flags"], "FF_TIMESTAMPS": True}
    names = [volume["name"] for volume in section["kubernetes"]["volumes"]["empty_dir"]]
    assert names == ["buildkit", "scratch"]
    assert section["kubernetes"]["privileged"] is False
    assert not list(problems_in_config(text(config=added)))
