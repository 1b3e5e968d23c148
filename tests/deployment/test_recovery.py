"""A command or the sandbox is killed in the middle: the next update finds what it left; nothing is lost or doubled."""

import re
import shlex
import shutil
import subprocess

import pytest
import requests

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud, places_of, runner_tokens
from tests.deployment.kills import Gate, inventory, kill_at, kill_sandbox_at, recover, state_of
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
    tokens = runner_tokens(scratch)
    assert tokens, "the Secrets were recorded last"
    assert places_of(tokens, scratch) == []
    done = scratch.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replac" not in done.stdout, "what the services set by themselves was taken for somebody's change"
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
        (Gate("create", ["kubernetes:core/v1:Secret"], after=True), "it is recorded now"),
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
