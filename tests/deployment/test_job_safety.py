"""No change kills a running job: seen in the order of the calls that the services received."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import requests

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud

Config = dict[str, Any]
DEPLOYMENTS = "kubernetes {} /apis/apps/v1/namespaces/buildyard-sandbox/deployments/buildyard-sandbox-{}"
SECRET = "kubernetes POST /api/v1/namespaces/buildyard-sandbox/secrets"


class DeployedStack:
    """A stack that is deployed and whose runners are at work: those of the protected tier, by architecture."""

    def __init__(self, project: ScratchProject) -> None:
        self.project = project
        self.cloud = Cloud(project)
        self.runners = {each["description"].rpartition("-")[2]: each["id"] for each in self._runners()}
        self.groups = {name.rsplit("-", 2)[1]: name for name in self.present_groups()}
        self._seen = len(self._log())

    def take_job(self, runner: int) -> requests.Response:
        """GitLab's answer when a runner asks for work, of which there is always some."""
        return requests.post(f"{self.project.endpoints()['gitlab']}/-/sandbox/runners/{runner}/jobs", timeout=10)

    def end_job(self, job: requests.Response) -> None:
        address = f"{self.project.endpoints()['gitlab']}/-/sandbox/jobs/{job.json()['id']}"
        requests.put(address, timeout=10).raise_for_status()

    def edit(self, change: Callable[[Config], object]) -> None:
        config = self.project.read_config()
        change(config)
        self.project.write_config(config)

    def start(self, command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.project.command(command),
            cwd=self.project.root,
            env=self.project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, call: str, process: "subprocess.Popen[str]") -> None:
        """Return when a service has received a call."""
        deadline = time.monotonic() + 120
        while call not in self.calls():
            assert process.poll() is None, f"it did not wait for the job:\n{process.communicate()[0]}"
            assert time.monotonic() < deadline, f"no {call} in {self.calls()}"
            time.sleep(0.1)

    def calls(self) -> list[str]:
        """The changes asked for since the beginning, as `SERVICE METHOD PATH`."""
        return [line.split(" ", 1)[1].rpartition(" ")[0] for line in self._log()[self._seen :]]

    def position(self, call: str) -> int:
        assert self.calls().count(call) == 1, f"{call} once in {self.calls()}"
        return self.calls().index(call)

    def present_groups(self) -> list[str]:
        names: list[str] = self.cloud.aws("eks").list_nodegroups(clusterName="ci")["nodegroups"]
        return [name for name in names if name.startswith("buildyard-") and "-unprotected-" not in name]

    def _log(self) -> list[str]:
        return (self.project.data / "log" / "requests.log").read_text().splitlines()

    def _runners(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cloud.gitlab("/runners/all").json()
        return [runner for runner in found if "-unprotected-" not in runner["description"]]


def pausing(runner: int) -> str:
    return f"gitlab PUT /api/v4/runners/{runner}"


def deleting(runner: int) -> str:
    return f"gitlab DELETE /api/v4/runners/{runner}"


def deleting_group(name: str) -> str:
    return f"aws DELETE /clusters/ci/node-groups/{name}"


def test_a_replaced_node_group_goes_when_its_last_build_has_ended(scratch: ScratchProject) -> None:
    done = scratch.sandbox("up")  # not `own_stack`, whose first update changes all managers
    assert done.returncode == 0, done.stdout + done.stderr
    stack = DeployedStack(scratch)
    runner, group = stack.runners["arm64"], stack.groups["arm64"]
    job = stack.take_job(runner)
    stack.edit(lambda config: config["buildyard:nodes"]["arm64"].update({"instance-types": ["m6g.4xlarge"]}))
    up = stack.start("up")
    stack.wait_for(pausing(runner), up)

    [new] = set(stack.present_groups()) - set(stack.groups.values())
    assert stack.cloud.aws("eks").describe_nodegroup(clusterName="ci", nodegroupName=new)["nodegroup"]["status"] == (
        "ACTIVE"
    )
    [config] = [
        each["data"]["config.template.toml"]
        for each in stack.cloud.kubernetes("/api/v1/namespaces/buildyard-sandbox/configmaps")
        if each["metadata"]["name"] == "buildyard-sandbox-arm64"
    ]
    assert new in config, "the next builds would still start on the old nodes"
    assert group not in config
    assert stack.take_job(runner).status_code == 409, "the old runner would never be without a job"
    assert deleting_group(group) not in stack.calls(), "EKS ends the build with its node after five minutes"
    assert up.stdout is not None
    assert any(job.json()["web_url"] in line for line in up.stdout), "nobody is told what the deployment waits for"

    stack.end_job(job)
    output, _ = up.communicate(timeout=120)
    assert up.returncode == 0, output
    order = [
        "aws POST /clusters/ci/node-groups",
        "gitlab POST /api/v4/user/runners",
        SECRET,
        DEPLOYMENTS.format("PUT", "arm64"),
        pausing(runner),
        deleting(runner),
        deleting_group(group),
    ]
    positions = [stack.calls().index(call) for call in order]
    assert positions == sorted(positions), stack.calls()
    assert not [call for call in stack.calls() if "amd64" in call], "the other architecture is left alone"


def test_a_dropped_architecture_keeps_its_manager_until_its_jobs_have_ended(own_stack: ScratchProject) -> None:
    stack = DeployedStack(own_stack)
    runner, group = stack.runners["amd64"], stack.groups["amd64"]
    job = stack.take_job(runner)
    stack.edit(lambda config: config["buildyard:nodes"].pop("amd64"))
    up = stack.start("up")
    stack.wait_for(pausing(runner), up)
    manager = "buildyard-sandbox-amd64"
    rights = stack.cloud.kubernetes("/apis/rbac.authorization.k8s.io/v1/namespaces/buildyard-sandbox/roles")
    assert manager in {each["metadata"]["name"] for each in rights}, "without rights the manager loses its jobs' pods"

    stack.end_job(job)
    output, _ = up.communicate(timeout=120)
    assert up.returncode == 0, output
    order = [DEPLOYMENTS.format("DELETE", "amd64"), deleting(runner), deleting_group(group)]
    positions = [stack.calls().index(pausing(runner)), *map(stack.position, order)]
    assert positions == sorted(positions), stack.calls()


def test_runners_of_another_scope_take_over_before_the_old_ones_are_paused(own_stack: ScratchProject) -> None:
    stack = DeployedStack(own_stack)
    job = stack.take_job(stack.runners["arm64"])

    def narrow(config: Config) -> None:
        del config["buildyard:runners"]["group"]
        config["buildyard:runners"]["project"] = "platform/images"

    stack.edit(narrow)
    up = stack.start("up")
    stack.wait_for(pausing(stack.runners["arm64"]), up)
    stack.end_job(job)
    output, _ = up.communicate(timeout=120)
    assert up.returncode == 0, output
    calls = stack.calls()
    for architecture, runner in stack.runners.items():
        rolled = stack.position(DEPLOYMENTS.format("PUT", architecture))
        assert calls.index("gitlab POST /api/v4/user/runners") < calls.index(SECRET) < rolled
        assert rolled < calls.index(pausing(runner)) < stack.position(deleting(runner)), calls
    assert not [call for call in calls if call.startswith("aws")], "the nodes stay"


def test_a_destroyed_stack_starts_no_more_jobs_and_keeps_what_waiting_ones_need(own_stack: ScratchProject) -> None:
    stack = DeployedStack(own_stack)
    runner = stack.runners["arm64"]
    job = stack.take_job(runner)
    destroy = stack.start("destroy")
    stack.wait_for(pausing(runner), destroy)
    project = "/api/v4/projects/platform/images"
    unpublished = f"gitlab DELETE {project}/repository/files/.gitlab-ci.yml"
    assert stack.position(unpublished) < stack.calls().index(pausing(runner)), (
        "pushes would start jobs that nobody runs"
    )
    kept = {each["key"] for each in stack.cloud.gitlab("/projects/platform%2Fimages/variables").json()}
    assert kept == {"BUILDYARD_BUILDER_IMAGE", "BUILDYARD_TIER"}, "a job that starts now would have no image"

    stack.end_job(job)
    output, _ = destroy.communicate(timeout=120)
    assert destroy.returncode == 0, output
    for key in kept:
        deleted = stack.position(f"gitlab DELETE {project}/variables/{key}")
        assert stack.position(DEPLOYMENTS.format("DELETE", "arm64")) < deleted


def test_an_interrupted_wait_changes_nothing_and_the_next_update_ends_the_pause(own_stack: ScratchProject) -> None:
    stack = DeployedStack(own_stack)
    runner = stack.runners["arm64"]
    job = stack.take_job(runner)
    destroy = stack.start("destroy")
    stack.wait_for(pausing(runner), destroy)
    os.killpg(destroy.pid, signal.SIGINT)  # as a terminal does: to the whole group
    time.sleep(2)
    assert destroy.poll() is None, "the first one waits for what is under way: here, for the job"
    os.killpg(destroy.pid, signal.SIGINT)
    output, _ = destroy.communicate(timeout=60)
    assert destroy.returncode == 130, output
    assert "Traceback" not in output
    assert deleting(runner) not in stack.calls()
    assert DEPLOYMENTS.format("DELETE", "arm64") not in stack.calls()

    up = own_stack.sandbox("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert stack.take_job(runner).status_code == 201, "nobody would build any more"
    stack.end_job(job)


def test_an_upgraded_cluster_gets_nodes_of_its_version(own_stack: ScratchProject) -> None:
    stack = DeployedStack(own_stack)
    eks = stack.cloud.aws("eks")
    eks.update_cluster_version(name="ci", version="1.35")
    up = own_stack.sandbox("up")
    assert up.returncode == 0, up.stdout + up.stderr
    groups = stack.present_groups()
    described = [eks.describe_nodegroup(clusterName="ci", nodegroupName=name)["nodegroup"] for name in groups]
    assert {each["version"] for each in described} == {"1.35"}
    assert len(groups) == len(stack.groups)
    assert not set(groups) & set(stack.groups.values()), "EKS would have evicted the builds"
    assert own_stack.sandbox("preview", "--expect-no-changes").returncode == 0
