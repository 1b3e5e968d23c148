"""`python -m delivery doctor` on the sandbox: a healthy stack, and what is wrong with others."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gitlab
import pytest
import requests
import yaml
from rich.console import Console

from delivery.doctor.gitlab_builds import BRANCH_PREFIX
from sandbox.endpoints import Endpoints, read_endpoints
from sandbox.engine import install
from sandbox.scratch import ScratchProject
from stacks.versions import BUILDER_VERSION
from tests.deployment.conftest import Cloud
from tests.sandbox.manifests import INDEX, digest, image

BUILDER = "buildyard/builder"
PLACES = ("protected arm64", "protected amd64", "unprotected arm64", "unprotected amd64")


def doctor(project: ScratchProject, *options: str, code: int) -> dict[str, dict[str, Any]]:
    """The report's checks by title."""
    done = project.sandbox("doctor", "--json", *options)
    assert done.returncode == code, done.stdout + done.stderr
    return {check["title"]: check for check in json.loads(done.stdout)["checks"]}


def failures(checks: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The failed checks, with all that is said about them."""
    return {
        title: " ".join(f"{each['message']} {each['hint']}" for each in check["findings"])
        for title, check in checks.items()
        if check["result"] == "failed"
    }


@contextmanager
def builder_image(project: ScratchProject, *architectures: str) -> Iterator[None]:
    """The builder image in the stack's registry, for some architectures."""
    ecr = Cloud(project).aws("ecr")
    children = [
        {"digest": digest(image(size)), "size": size, "platform": {"os": "linux", "architecture": architecture}}
        for size, architecture in enumerate(architectures, start=7000)
    ]
    text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
    ecr.put_image(repositoryName=BUILDER, imageManifest=text, imageTag=BUILDER_VERSION)
    try:
        yield
    finally:
        ecr.batch_delete_image(repositoryName=BUILDER, imageIds=[{"imageTag": BUILDER_VERSION}])


def test_a_healthy_stack_is_only_read(deployed: ScratchProject) -> None:
    with builder_image(deployed, "arm64", "amd64"):
        before = _files(deployed.data / "pulumi" / "backend"), deployed.stack_file.read_bytes()
        checks = doctor(deployed, code=0)
        assert (_files(deployed.data / "pulumi" / "backend"), deployed.stack_file.read_bytes()) == before, (
            "a check changed the stack's state, history or settings"
        )
    assert not failures(checks)
    assert {f"{what} {place}" for what in ("Runner", "Node group") for place in PLACES} <= checks.keys()
    assert checks["AWS account"]["result"] == "ok", "the checks of the preview are part of it"
    assert checks["Builder image"]["found"].endswith("for arm64 and amd64")


def test_a_paused_runner_a_missing_node_group_and_a_missing_image(deployed: ScratchProject) -> None:
    cloud = Cloud(deployed)
    runners = {each["description"]: each["id"] for each in cloud.gitlab("/runners/all").json()}
    paused = runners["buildyard-sandbox-unprotected-arm64"]
    _pause(deployed, paused, paused=True)
    try:
        found = failures(doctor(deployed, "--build", code=1))
    finally:
        _pause(deployed, paused, paused=False)
    assert found.keys() == {"Runner unprotected arm64", "Builder image"}
    assert f"runner {paused} is paused" in found["Runner unprotected arm64"]
    assert "pulumi up -s sandbox" in found["Runner unprotected arm64"]
    assert "images/builder/README.md" in found["Builder image"]
    with builder_image(deployed, "arm64"):
        assert "no image for amd64" in failures(doctor(deployed, code=1))["Builder image"]


def test_a_manager_and_a_node_group_that_are_gone(scratch: ScratchProject) -> None:
    assert scratch.sandbox("up", "--skip-preview").returncode == 0
    cloud = Cloud(scratch)
    [group] = [
        name
        for name in cloud.aws("eks").list_nodegroups(clusterName="ci")["nodegroups"]
        if name.startswith("buildyard-sandbox-amd64")
    ]
    cloud.aws("eks").delete_nodegroup(clusterName="ci", nodegroupName=group)
    _delete_manager(scratch, "buildyard-sandbox", "buildyard-sandbox-arm64")
    found = failures(doctor(scratch, code=1))
    assert found.keys() == {"Node group protected amd64", "Runner protected arm64", "Builder image"}
    assert f"no node group {group}" in found["Node group protected amd64"]
    assert "kubectl -n buildyard-sandbox get pods" in found["Runner protected arm64"]


def test_a_project_that_does_not_exist_and_wrong_settings(deployed: ScratchProject) -> None:
    def add_project(config: dict[str, Any]) -> None:
        config["buildyard:projects"].append({"path": "platform/none", "images": [{"name": "a", "context": "a"}]})

    def misspell(config: dict[str, Any]) -> None:
        config["buildyard:nodes"]["arm64"]["max-sise"] = 3

    with deployed.edited(add_project):
        found = failures(doctor(deployed, code=1))
    assert any("platform/none" in title + text for title, text in found.items())
    with deployed.edited(misspell):
        checks = doctor(deployed, code=1)
    assert "Did you mean max-size?" in failures(checks)["Settings"]


def test_an_image_that_does_not_exist_is_no_failed_check(deployed: ScratchProject) -> None:
    done = deployed.sandbox("doctor", "--build", "webb")
    assert done.returncode == 2
    assert "the stack has no image webb" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def elsewhere(deployed: ScratchProject, tmp_path: Path) -> Mapping[str, str]:
    """The environment of somebody with the same AWS and GitLab, and a backend in which the stack does not exist."""
    backend = tmp_path / "backend"
    backend.mkdir()
    return {
        **_environment(deployed),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
    }


def _check(project: ScratchProject, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = _doctor_command(project)
    return subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)


def _doctor_command(project: ScratchProject, *options: str) -> list[str]:
    """The command without the sandbox's own in front of it."""
    python = str(project.root / ".venv" / "bin" / "python")
    return [python, "-m", "delivery", "doctor", "--stack", "sandbox", *options]


def _environment(project: ScratchProject) -> dict[str, str]:
    """The environment of somebody who uses the sandbox's AWS and GitLab, and its stack."""
    endpoints = read_endpoints(project.data)
    assert isinstance(endpoints, Endpoints)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
        **endpoints.environment(),
        "PATH": f"{install.pulumi(Console(stderr=True)).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(project.data / "pulumi" / "home"),
        "PULUMI_BACKEND_URL": f"file://{project.data}/pulumi/backend?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(project.data / "pulumi" / "passphrase"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def test_before_the_first_deployment_only_the_previews_checks_run(
    deployed: ScratchProject, elsewhere: Mapping[str, str], tmp_path: Path
) -> None:
    settings = deployed.stack_file.read_bytes()
    done = _check(deployed, elsewhere)
    assert done.returncode == 0, done.stderr
    assert "the stack sandbox is not deployed yet" in " ".join(done.stdout.split())
    assert "EKS cluster ci" in done.stdout
    assert "Runner protected" not in done.stdout
    assert deployed.stack_file.read_bytes() == settings
    assert not any(path.name.startswith("sandbox") for path in (tmp_path / "backend").rglob("*")), "it made the stack"
    assert not (tmp_path / "home" / "workspaces").exists(), "it selected a stack for the user"


def test_encrypted_settings_are_decrypted_by_the_stacks_own_passphrase(
    deployed: ScratchProject, elsewhere: Mapping[str, str]
) -> None:
    before = deployed.stack_file.read_bytes()
    pulumi = ["pulumi", "--non-interactive"]
    token = elsewhere["GITLAB_TOKEN"]
    without = {name: value for name, value in elsewhere.items() if name != "GITLAB_TOKEN"}
    for command in (
        ["stack", "init", "sandbox"],
        ["config", "set", "--secret", "gitlab:token", token, "-s", "sandbox"],
    ):
        subprocess.run([*pulumi, *command], cwd=deployed.root, env=elsewhere, check=True, capture_output=True)
    try:
        assert token not in deployed.stack_file.read_text()
        done = _check(deployed, without)
        assert done.returncode == 0, done.stdout + done.stderr
        wrong = _check(deployed, {**without, "PULUMI_CONFIG_PASSPHRASE": "another"})
        assert wrong.returncode == 2
        assert "incorrect passphrase" in wrong.stderr
        _without_salt(deployed.stack_file)
        cloud = _check(deployed, without)
        assert cloud.returncode == 2
        assert "has values that Pulumi Cloud has encrypted: gitlab:token" in cloud.stderr
        for each in (done, wrong, cloud):
            assert token not in each.stdout + each.stderr
            assert "Traceback" not in each.stderr
    finally:
        deployed.stack_file.write_bytes(before)


def test_without_a_cli_or_a_backend_it_says_so(deployed: ScratchProject, elsewhere: Mapping[str, str]) -> None:
    none = _check(deployed, {**elsewhere, "PATH": "/usr/bin:/bin"})
    assert none.returncode == 2
    assert "There is no pulumi CLI on PATH" in none.stderr
    gone = _check(deployed, {**elsewhere, "PULUMI_BACKEND_URL": "file:///nowhere"})
    assert gone.returncode == 2
    assert "The outputs of the stack sandbox cannot be read" in gone.stderr


def test_a_job_of_ci_that_is_cancelled_leaves_nothing_in_gitlab(deployed: ScratchProject) -> None:
    with (
        builder_image(deployed, "arm64", "amd64"),
        subprocess.Popen(
            _doctor_command(deployed, "--build"),
            cwd=deployed.root,
            env=_environment(deployed),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            if "pending" in line:
                process.terminate()
                break
        assert process.wait(120) == 143
    cloud = Cloud(deployed)
    for what in ("repository/branches", "protected_branches"):
        found = [branch["name"] for branch in cloud.gitlab(f"/projects/platform%2Fimages/{what}").json()]
        assert "master" in found
        assert not [name for name in found if name.startswith(BRANCH_PREFIX)], "a protected branch would stay for ever"


@pytest.mark.builds
@pytest.mark.usefixtures("worker")
def test_every_runner_builds_an_image_with_real_buildkit(scratch: ScratchProject) -> None:
    scratch.root.parent.chmod(0o755)  # builds never run as root: another user must be able to enter
    assert scratch.sandbox("up").returncode == 0
    with subprocess.Popen(
        scratch.command("runner"), cwd=scratch.root, env=scratch.environment, stdout=subprocess.PIPE, text=True
    ) as runner:
        try:
            assert runner.stdout is not None
            assert "stand-in for the builder image" in runner.stdout.readline()
            checks = doctor(scratch, "--build", "base", code=0)
        finally:
            runner.terminate()
    for place in PLACES:
        assert checks[f"Test build {place}"]["found"].startswith("platform/images/base was built in")
    cloud = Cloud(scratch)
    for repository in ("platform/images/base", "platform/images/base/review"):
        details = cloud.aws("ecr").describe_images(repositoryName=repository)["imageDetails"]
        tags = {tag for each in details for tag in each.get("imageTags", [])}
        assert details, "nothing was pushed, so nothing was tested"
        assert all(tag.startswith("buildcache-") for tag in tags), f"a test build published {tags}"
    branches = cloud.gitlab("/projects/platform%2Fimages/repository/branches").json()
    assert [branch["name"] for branch in branches] == ["master"]


def _files(folder: Path) -> dict[str, str]:
    """The hash of every file, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _pause(project: ScratchProject, runner: int, *, paused: bool) -> None:

    endpoints = project.endpoints()
    client = gitlab.Gitlab(endpoints["gitlab"], private_token=endpoints["gitlab_token"])
    client.runners.update(str(runner), {"paused": paused})


def _delete_manager(project: ScratchProject, namespace: str, name: str) -> None:

    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    requests.delete(project.endpoints()["kubernetes"] + path, timeout=10).raise_for_status()


def _without_salt(file: Path) -> None:
    settings = yaml.safe_load(file.read_text())
    del settings["encryptionsalt"]
    file.write_text(yaml.safe_dump(settings))
