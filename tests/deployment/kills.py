"""Kills of a command or of the sandbox in the middle of a step, and what the services have afterwards."""

import dataclasses
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import hosting, server
from sandbox.endpoints import read_endpoints, write_endpoints
from sandbox.providers import providers
from sandbox.providers.framework import serve
from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud


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
