"""A deployment from its beginning to its end, and what stays out of its reach."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.scratch import ScratchProject
from sandbox.services.aws.seed import SYSTEM_NODES
from tests.deployment.conftest import Cloud, places_of, runner_tokens

Config = dict[str, Any]


def add_image(config: Config) -> None:
    config["buildyard:projects"][0]["images"].append({"name": "docs", "context": "images/docs"})


def move_pipeline(config: Config) -> None:
    config["buildyard:projects"][0]["pipeline-path"] = ".gitlab/buildyard.yml"


def enlarge_disk(config: Config) -> None:
    config["buildyard:nodes"]["arm64"]["disk"] = "300Gi"


def tag_everything(config: Config) -> None:
    config["buildyard:tags"] = {"team": "platform"}


def narrow_runners(config: Config) -> None:
    del config["buildyard:runners"]["group"]
    config["buildyard:runners"]["project"] = "platform/images"


def drop_architecture(config: Config) -> None:
    del config["buildyard:nodes"]["amd64"]


EDITS: tuple[Callable[[Config], object], ...] = (
    lambda config: config,
    add_image,
    move_pipeline,
    enlarge_disk,
    tag_everything,
    narrow_runners,
    drop_architecture,
)


@pytest.mark.timeout(600)
def test_a_stack_lives_from_up_to_down_and_a_second_update_never_has_anything_to_do(scratch: ScratchProject) -> None:
    for edit in EDITS:
        config = scratch.read_config()
        edit(config)
        scratch.write_config(config)
        done = scratch.sandbox("up", "--skip-preview")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "git clone" in done.stdout, "people are told where to find the pipeline"
        again = scratch.sandbox("preview", "--expect-no-changes")
        assert again.returncode == 0, again.stdout + again.stderr
    cloud = Cloud(scratch)
    repositories = {each["repositoryName"] for each in cloud.aws("ecr").describe_repositories()["repositories"]}
    assert "platform/images/docs" in repositories
    groups = set(cloud.aws("eks").list_nodegroups(clusterName="ci")["nodegroups"]) - {SYSTEM_NODES}
    assert len(groups) == 2, f"amd64 is gone: {groups}"
    assert all("-arm64-" in group for group in groups)
    assert len(cloud.gitlab("/runners/all").json()) == 2, "one per tier"

    down = scratch.sandbox("destroy")
    assert down.returncode == 0, down.stdout + down.stderr
    kept = [each["repositoryName"] for each in cloud.aws("ecr").describe_repositories()["repositories"]]
    assert kept == ["platform/images/docs"], "the settings do not allow the deletion of its images"
    assert cloud.aws("eks").list_nodegroups(clusterName="ci")["nodegroups"] == [SYSTEM_NODES]
    templates = [each["LaunchTemplateName"] for each in cloud.aws("ec2").describe_launch_templates()["LaunchTemplates"]]
    assert not [name for name in templates if name.startswith("buildyard-")]
    roles = [role["RoleName"] for role in cloud.aws("iam").list_roles()["Roles"]]
    assert not [role for role in roles if role.startswith("buildyard-")]
    assert cloud.aws("eks").list_pod_identity_associations(clusterName="ci")["associations"] == []
    namespaces = [each["metadata"]["name"] for each in cloud.kubernetes("/api/v1/namespaces")]
    assert not [name for name in namespaces if name.startswith("buildyard-sandbox")]
    assert cloud.kubernetes("/api/v1/secrets") == []
    assert cloud.gitlab("/runners/all").json() == []
    assert cloud.gitlab("/projects/platform%2Fimages/variables").json() == []
    file = cloud.gitlab("/projects/platform%2Fimages/repository/files/.gitlab%2Fbuildyard.yml?ref=master")
    assert file.status_code == 404, "the published pipeline is gone from the project"


def test_a_second_update_says_that_nothing_changed(deployed: ScratchProject) -> None:
    again = deployed.sandbox("up")
    assert again.returncode == 0, again.stdout + again.stderr
    resources = again.stdout.rpartition("Resources:")[2]
    assert re.match(r"\n    \d+ unchanged\n\n", resources), again.stdout
    assert "registry-host " in resources, "the outputs come last"


def test_the_runner_token_is_nowhere_in_clear_text(scratch: ScratchProject) -> None:
    up = scratch.sandbox("up")
    assert up.returncode == 0, up.stdout + up.stderr
    preview = scratch.sandbox("preview", "--json").stdout
    tokens = runner_tokens(scratch)
    assert len(tokens) == 4, "one per runner"
    assert places_of(tokens, scratch, up=up.stdout + up.stderr, preview=preview) == []


def test_a_sandbox_that_was_killed_comes_back_on_other_ports_with_all_that_was_deployed(
    scratch: ScratchProject,
) -> None:
    assert scratch.sandbox("up", "--skip-preview").returncode == 0
    ports = json.loads((scratch.data / "ports.json").read_text())
    os.kill(scratch.endpoints()["pid"], signal.SIGKILL)
    taken = [_take(port) for port in ports.values()]
    try:
        again = scratch.sandbox("up", "--skip-preview")
    finally:
        for each in taken:
            each.close()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "~ 4 updated" in again.stdout, "the four managers learn GitLab's new address, and nothing else changes"
    assert not set(json.loads((scratch.data / "ports.json").read_text()).values()) & set(ports.values())

    for damaged in ("[]", '{"aws": "http", "gitlab": -1, "kubernetes": 700000, "aws provider": null}', "{"):
        assert scratch.sandbox("stop").returncode == 0
        (scratch.data / "ports.json").write_text(damaged)
        start = scratch.sandbox("start")
        assert start.returncode == 0, start.stderr
    repaired = scratch.sandbox("up", "--skip-preview")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr


def test_a_reset_sandbox_is_a_new_one(own_stack: ScratchProject) -> None:
    (own_stack.data / "kubernetes" / "objects.json").write_text("not JSON")
    reset = own_stack.sandbox("reset")
    assert reset.returncode == 0, reset.stdout + reset.stderr
    again = own_stack.sandbox("up", "--skip-preview")
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(Cloud(own_stack).aws("ecr").describe_repositories()["repositories"]) == 7


def test_nothing_of_the_users_own_is_read_or_written(scratch: ScratchProject, tmp_path: Path) -> None:
    home, backend = tmp_path / "home", tmp_path / "backend"
    home.mkdir()
    backend.mkdir()
    before = _files(scratch.root)
    environment = {
        **scratch.environment,
        "HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "mine",
        "PULUMI_STACK": "prod",
        "AWS_PROFILE": "mine",
        "GITLAB_TOKEN": "glpat-mine",
    }
    for command in ("up", "destroy"):
        done = subprocess.run(
            scratch.command(command), cwd=scratch.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert not list(home.rglob("*pulumi*")), "the CLI's own home is the user's"
    assert not list(backend.iterdir()), "the user's backend got a stack"
    assert _files(scratch.root) == before, "the work tree was written to"


def _take(port: int) -> socket.socket:
    """A listening socket on the port of a process that was killed."""
    for _ in range(100):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:  # it is not dead yet
            time.sleep(0.1)
    raise AssertionError(f"port {port} is still taken")


def _files(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.parts[-2] != ".tools"}
