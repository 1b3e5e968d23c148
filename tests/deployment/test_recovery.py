"""A command or the sandbox is killed in the middle: the next update finds what it left; nothing is lost or doubled."""

import dataclasses
import json
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import hosting, server
from sandbox.endpoints import read_endpoints, write_endpoints
from sandbox.providers import providers
from sandbox.providers.framework import serve
from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud
from tests.deployment.test_life import enlarge_disk

pytestmark = pytest.mark.timeout(900)

# Each layer is created when the one before it is there.
LAYERS = (
    (
        "aws:ecr/repository:Repository",
        "aws:iam/policy:Policy",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:iam/role:Role",
        "gitlab:index/projectVariable:ProjectVariable",
        "kubernetes:core/v1:Namespace",
    ),
    (
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "kubernetes:core/v1:ServiceAccount",
        "kubernetes:core/v1:LimitRange",
        "kubernetes:core/v1:ResourceQuota",
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    ),
    ("aws:eks/nodeGroup:NodeGroup", "aws:eks/podIdentityAssociation:PodIdentityAssociation"),
    ("aws:autoscaling/tag:Tag",),
    ("gitlab:index/userRunner:UserRunner",),
    ("kubernetes:core/v1:Secret",),
    ("kubernetes:helm.sh/v3:Release",),
    ("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy",),
    ("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding",),
    ("gitlab:index/repositoryFile:RepositoryFile",),
)


class Gate:
    """A point in the providers' work at which it stops: before or after one step of each of some types."""

    def __init__(self, step: str, types: Sequence[str], *, after: bool) -> None:
        self._step = step
        self._after = after
        self._awaited = set(types)
        self._types = frozenset(types)
        self._lock = threading.Lock()
        self._open = threading.Event()
        self.reached = threading.Event()
        self.under_way: list[str] = []

    def guard(self, kind: Any) -> None:
        """Let this kind of resource stop here."""
        if kind.type in self._types:
            setattr(kind, self._step, self._guarded(kind.type, getattr(kind, self._step)))
        for step in ("create", "update", "delete"):
            setattr(kind, step, self._counted(f"{step} {kind.type}", getattr(kind, step)))

    def release(self) -> None:
        self._open.set()

    def _counted(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.under_way.append(name)
            try:
                return step(*arguments)
            finally:
                self.under_way.remove(name)

        return counted

    def _guarded(self, type_: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            done = step(*arguments) if self._after else None
            with self._lock:
                self._awaited.discard(type_)
                if not self._awaited:
                    self.reached.set()
            self._open.wait(120)
            if not self._after:
                raise RuntimeError("the sandbox was killed before this")
            return done

        return guarded


@contextmanager
def guarded(project: ScratchProject, gate: Gate) -> Iterator[None]:
    """Let the CLI reach the services through providers that stop at the gate."""
    assert project.sandbox("start").returncode == 0
    endpoints = read_endpoints(project.data)
    assert endpoints is not None
    os.environ.update(GITLAB_BASE_URL=f"{endpoints.gitlab}/api/v4/", GITLAB_TOKEN=endpoints.gitlab_token)
    servers, ports = [], {}
    for provider in providers(aws_url=endpoints.aws, kubernetes_url=endpoints.kubernetes):
        for kind in provider.kinds:
            gate.guard(kind)
        server, ports[provider.name] = serve(provider)
        servers.append(server)
    write_endpoints(project.data, dataclasses.replace(endpoints, providers=ports))
    try:
        yield
    finally:
        gate.release()
        for server in servers:
            server.stop(grace=0).wait()
        # A step that was under way goes on after its server is stopped.
        deadline = time.monotonic() + 120
        while gate.under_way:
            assert time.monotonic() < deadline, f"these do not end: {gate.under_way}"
            time.sleep(0.05)
        if read_endpoints(project.data) is not None:
            write_endpoints(project.data, endpoints)


def kill_at(project: ScratchProject, gate: Gate, command: str = "up") -> None:
    """Run the command until all of the gate's types have reached it, then kill it and the CLI."""
    with guarded(project, gate):
        process = subprocess.Popen(
            project.command(command, "--skip-preview", "--parallel=64"),
            cwd=project.root,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while not gate.reached.wait(0.1):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "the command never came to the gate"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def kill_sandbox_at(project: ScratchProject, gate_types: Sequence[str]) -> None:
    """Run an update until these types are created, and kill the sandbox before the CLI is told; the CLI lives on."""
    assert project.sandbox("stop").returncode == 0
    processes = multiprocessing.get_context("spawn")
    reached = processes.Event()
    sandbox = processes.Process(target=_be_gated_sandbox, args=(project.data, gate_types, reached))
    sandbox.start()
    try:
        deadline = time.monotonic() + 120
        while server.running(project.data) is None:
            assert sandbox.is_alive(), "the sandbox did not start"
            assert time.monotonic() < deadline, "the sandbox does not get ready"
            time.sleep(0.05)
        with subprocess.Popen(
            project.command("up", "--skip-preview", "--parallel=64"),
            cwd=project.root,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as command:
            came = reached.wait(120)
            sandbox.kill()
            said = command.communicate(timeout=120)[0]
        assert came, f"the command never came to the gate: {said}"
        assert command.returncode == 1, said
    finally:
        sandbox.kill()
        sandbox.join()


def _be_gated_sandbox(data: Path, gate_types: Sequence[str], reached: Any) -> None:
    """Be the sandbox's process, with providers that stop at a gate."""
    gate = Gate("create", gate_types, after=True)

    def gated(**urls: str) -> Sequence[Any]:
        made = providers(**urls)
        for provider in made:
            for kind in provider.kinds:
                gate.guard(kind)
        return made

    vars(hosting)["providers"] = gated
    threading.Thread(target=lambda: gate.reached.wait() and reached.set(), daemon=True).start()
    sys.argv[1:] = [str(data)]
    server.main()


def recover(project: ScratchProject) -> list[str]:
    """Let an update find what was left, and deploy nothing since its settings are wrong: what it said of each."""
    with project.edited(lambda config: config["buildyard:runners"].update({"concurent": 1})):
        done = project.sandbox("up", "--skip-preview")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "there is no such key" in done.stdout, done.stdout + done.stderr
    return [line for line in done.stderr.splitlines() if re.match(r"\S+:\S+:\S+ ", line)]


def state_of(project: ScratchProject) -> dict[str, Any]:
    """The stack's state."""
    state: dict[str, Any] = json.loads(project.sandbox("pulumi", "stack", "export").stdout)["deployment"]
    return state


def inventory(project: ScratchProject) -> Mapping[str, int]:
    """How many of each thing the services have."""
    cloud = Cloud(project)
    iam, eks = cloud.aws("iam"), cloud.aws("eks")
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("buildyard-")]
    secrets = cloud.kubernetes("/api/v1/namespaces/buildyard-sandbox/secrets")
    return {
        "repositories": len(cloud.aws("ecr").describe_repositories()["repositories"]),
        "roles": len(roles),
        "policies": len(iam.list_policies(Scope="Local")["Policies"]),
        "attachments": sum(len(iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]) for role in roles),
        "templates": len(cloud.aws("ec2").describe_launch_templates()["LaunchTemplates"]),
        "node groups": len(eks.list_nodegroups(clusterName="ci")["nodegroups"]),
        "associations": len(eks.list_pod_identity_associations(clusterName="ci")["associations"]),
        "runners": len(cloud.gitlab("/runners/all").json()),
        "variables": len(cloud.gitlab("/projects/platform%2Fimages/variables").json()),
        "secrets": sum(secret["type"] != "helm.sh/release.v1" for secret in secrets),
        "managers": len(cloud.kubernetes("/apis/apps/v1/namespaces/buildyard-sandbox/deployments")),
    }


def test_what_a_killed_creation_made_is_recorded_or_made_again(
    scratch: ScratchProject, deployed: ScratchProject
) -> None:
    for types in LAYERS:
        kill_at(scratch, Gate("create", types, after=True))
        said = recover(scratch)
        for type_ in types:
            lines = [line for line in said if line.startswith(f"{type_} ")]
            word = "its secret is lost" if type_.endswith(":UserRunner") else "without a record: it is recorded now."
            assert [line for line in lines if word in line], f"{type_} is not reported in {said}"
        assert not [line for line in said if "another" in line], said
    done = scratch.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    again = scratch.sandbox("preview", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert inventory(scratch) == inventory(deployed), "something is there twice, or not at all"
    commits = Cloud(scratch).gitlab("/projects/platform%2Fimages/repository/commits?path=.gitlab-ci.yml").json()
    assert len(commits) == 1, "the pipeline was published twice"


def test_what_a_killed_sandbox_made_is_recorded_or_made_again(
    scratch: ScratchProject, deployed: ScratchProject
) -> None:
    """The CLI lives on, and takes each step as failed."""
    for types in (LAYERS[0], LAYERS[2], LAYERS[4], LAYERS[5]):
        kill_sandbox_at(scratch, types)
        assert not state_of(scratch).get("pending_operations"), "this is what a killed command leaves"
        said = recover(scratch)
        for type_ in types:
            lines = [line for line in said if line.startswith(f"{type_} ")]
            word = "its secret is lost" if type_.endswith(":UserRunner") else "without a record: it is recorded now."
            assert [line for line in lines if word in line], f"{type_} is not reported in {said}"
        assert len(said) == len(set(said)), "a resource is reported twice"
        assert not [line for line in said if "another" in line], said
        assert not list((scratch.data / "creating").iterdir()), "the next command would look for them again"
    done = scratch.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    again = scratch.sandbox("preview", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert inventory(scratch) == inventory(deployed), "something is there twice, or not at all"
    assert not list((scratch.data / "creating").iterdir()), "a note of a resource that was recorded is left"


def test_what_a_killed_creation_did_not_make_is_made(scratch: ScratchProject, deployed: ScratchProject) -> None:
    kill_at(scratch, Gate("create", LAYERS[0], after=False))
    said = recover(scratch)
    for type_ in LAYERS[0]:
        assert [line for line in said if line.startswith(type_) and "was not created" in line], said
    done = scratch.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert inventory(scratch) == inventory(deployed)


def test_a_killed_replacement_or_update_ends_as_the_settings_say(
    own_stack: ScratchProject, deployed: ScratchProject
) -> None:
    config = own_stack.read_config()
    enlarge_disk(config)
    config["buildyard:tags"] = {"team": "platform"}
    config["buildyard:projects"][0]["time-zone"] = "Europe/Berlin"
    own_stack.write_config(config)
    commits = "/projects/platform%2Fimages/repository/commits?path=.gitlab-ci.yml"
    before = len(Cloud(own_stack).gitlab(commits).json())
    for gate, said in (
        (Gate("update", ["aws:ecr/repository:Repository"], after=True), "interrupted while updating"),
        (Gate("create", ["aws:ec2/launchTemplate:LaunchTemplate"], after=True), "it is recorded now"),
        (Gate("create", ["aws:eks/nodeGroup:NodeGroup"], after=True), "it is recorded now"),
        (Gate("delete", ["kubernetes:core/v1:Secret"], after=False), "interrupted while deleting"),
        (Gate("update", ["gitlab:index/repositoryFile:RepositoryFile"], after=True), "interrupted while updating"),
        (Gate("delete", ["aws:eks/nodeGroup:NodeGroup"], after=True), "interrupted while deleting"),
    ):
        kill_at(own_stack, gate)
        lines = recover(own_stack)
        assert [line for line in lines if said in line], lines
    done = own_stack.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    again = own_stack.sandbox("preview", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr
    cloud = Cloud(own_stack)
    assert inventory(own_stack) == inventory(deployed)
    assert len(cloud.gitlab(commits).json()) == before + 1, "the pipeline was published twice, or not at all"
    ecr = cloud.aws("ecr")
    for repository in ecr.describe_repositories()["repositories"]:
        tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        assert {"Key": "team", "Value": "platform"} in tags, repository["repositoryName"]


def test_a_killed_destroy_goes_on(own_stack: ScratchProject) -> None:
    kill_at(own_stack, Gate("delete", ["aws:eks/podIdentityAssociation:PodIdentityAssociation"], after=True), "destroy")
    done = own_stack.sandbox("destroy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Cloud(own_stack).aws("ecr").describe_repositories()["repositories"] == []
    assert Cloud(own_stack).gitlab("/runners/all").json() == []


def test_what_somebody_else_made_meanwhile_is_taken_in_by_the_command_that_is_named(scratch: ScratchProject) -> None:
    kind = "gitlab:index/projectVariable:ProjectVariable"
    kill_at(scratch, Gate("create", [kind], after=False))
    begun = [each["resource"] for each in state_of(scratch)["pending_operations"]]
    keys = [resource["inputs"]["key"] for resource in begun if resource["type"] == kind]
    address = f"{scratch.endpoints()['gitlab']}/api/v4/projects/platform%2Fimages/variables"
    token = {"PRIVATE-TOKEN": (scratch.data / "gitlab" / "token").read_text().strip()}
    for key in keys:
        requests.post(address, json={"key": key, "value": "mine"}, headers=token, timeout=10).raise_for_status()

    lines = [line for line in recover(scratch) if line.startswith(kind)]
    assert len(lines) == len(keys) > 0, lines
    for line in lines:
        assert "was not created, since there is another platform/images:" in line
        command = re.search(r"let the stack own it: (.+)", line)
        assert command is not None, line
        taken_in = subprocess.run(
            shlex.split(command[1] + " --yes"),
            cwd=scratch.root,
            env=scratch.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert taken_in.returncode == 0, taken_in.stdout + taken_in.stderr
    done = scratch.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    for key in keys:
        kept = requests.get(f"{address}/{key}", headers=token, timeout=10).json()
        assert kept["value"] != "mine", "it is the stack's now"


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux's unshare for a small disk")
def test_a_full_disk_loses_nothing(scratch: ScratchProject, deployed: ScratchProject) -> None:
    """The first update runs out of space in the middle; the second one has enough."""
    script = r"""
        set -e
        mkdir -p "$BUILDYARD_SANDBOX_DIR"
        mount -t tmpfs -o size=64m tmpfs "$BUILDYARD_SANDBOX_DIR"
        "$@" start >/dev/null
        dd if=/dev/zero of="$BUILDYARD_SANDBOX_DIR/filler" bs=4k status=none || "$@" up && exit 8  # refused at once
        rm "$BUILDYARD_SANDBOX_DIR/filler"
        journal=$BUILDYARD_SANDBOX_DIR/aws/journal.jsonl
        ( until grep -q Action=CreateLaunchTemplate "$journal"; do sleep 0.05; done
          dd if=/dev/zero of="$BUILDYARD_SANDBOX_DIR/filler" bs=4k ) >/dev/null 2>&1 &
        "$@" up --skip-preview && { echo "the disk was not full"; kill %1; exit 9; }
        wait
        rm "$BUILDYARD_SANDBOX_DIR/filler"
        "$@" up --skip-preview
        "$@" preview --expect-no-changes
        "$@" stop
        cp -a "$BUILDYARD_SANDBOX_DIR" "$KEPT"
    """
    kept = scratch.data.with_name("kept")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script, "bash", *scratch.command()],
        cwd=scratch.root,
        env={**scratch.environment, "KEPT": str(kept)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "is full: stopping" in said or "no space left" in said, "people cannot know what to do"
    assert "Traceback" not in done.stdout + done.stderr, "people cannot read what to do"
    scratch.data.rmdir()
    kept.rename(scratch.data)
    assert scratch.sandbox("start").returncode == 0
    assert inventory(scratch) == inventory(deployed)
