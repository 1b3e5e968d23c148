"""A preview shows exactly what follows from an edit of the stack's file, and changes nothing."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import requests

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud

Config = dict[str, Any]
PIPELINE = ("gitlab:index/repositoryFile:RepositoryFile", "buildyard-sandbox-platform/images-.gitlab-ci.yml")
RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACES = ("buildyard-sandbox", "buildyard-sandbox-unprotected")


def previewed(project: ScratchProject, edit: Callable[[Config], object]) -> dict[tuple[str, str], str]:
    """The changes that a preview of the edited stack shows, by type and name."""
    with project.edited(edit):
        done = project.sandbox("preview", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads(done.stdout)["steps"]
    return {
        (step["urn"].split("::")[2].split("$")[-1], step["urn"].split("::")[3]): step["op"]
        for step in steps
        if step["op"] not in ("same", "refresh")
    }


def test_an_unchanged_stack_has_nothing_to_do(deployed: ScratchProject) -> None:
    assert previewed(deployed, lambda config: config) == {}


def test_another_image_brings_its_repository_its_rights_and_its_jobs(deployed: ScratchProject) -> None:
    def add_image(config: Config) -> None:
        config["buildyard:projects"][0]["images"].append({"name": "docs", "context": "images/docs"})

    changes = previewed(deployed, add_image)
    for repository in ("buildyard-sandbox-platform/images/docs", "buildyard-sandbox-platform/images/docs/review"):
        assert changes.pop(("aws:ecr/repository:Repository", repository)) == "create"
        assert changes.pop(("aws:ecr/lifecyclePolicy:LifecyclePolicy", repository)) == "create"
    assert changes.pop(PIPELINE) == "update"
    assert all(kind.startswith("aws:iam/") for kind, _ in changes), f"only the identity's rights remain: {changes}"
    assert changes, "builds of the new image could not push it"


def test_a_bigger_disk_comes_with_new_nodes_and_leaves_the_old_ones_to_their_builds(deployed: ScratchProject) -> None:
    def enlarge(config: Config) -> None:
        config["buildyard:nodes"]["arm64"]["disk"] = "300Gi"

    changes = previewed(deployed, enlarge)
    for name in ("buildyard-sandbox-arm64", "buildyard-sandbox-unprotected-arm64"):
        assert changes.pop(("aws:ec2/launchTemplate:LaunchTemplate", name)) == "replace"
        assert changes.pop(("aws:eks/nodeGroup:NodeGroup", name)) == "replace", (
            "EKS updates nodes in place within 15 minutes, or gives up"
        )
        assert changes.pop(("gitlab:index/userRunner:UserRunner", name)) == "replace"
        assert changes.pop((RELEASE, name)) == "update"
    assert {kind for kind, _ in changes} == {"aws:autoscaling/tag:Tag", "kubernetes:core/v1:Secret"}
    assert all("arm64" in name for _, name in changes), changes


def test_a_new_ceiling_reaches_the_runners_alone(deployed: ScratchProject) -> None:
    def raise_ceiling(config: Config) -> None:
        config["buildyard:runners"]["ceilings"]["cpu"] = "10"

    changes = previewed(deployed, raise_ceiling)
    for namespace in NAMESPACES:
        assert changes.pop(("kubernetes:core/v1:LimitRange", namespace)) == "update"
        for architecture in ("arm64", "amd64"):
            assert changes.pop((RELEASE, f"{namespace}-{architecture}")) == "update"
    assert changes == {}


def test_a_dropped_architecture_takes_its_own_resources_with_it(deployed: ScratchProject) -> None:
    def drop(config: Config) -> None:
        del config["buildyard:nodes"]["amd64"]

    changes = previewed(deployed, drop)
    assert changes.pop(PIPELINE) == "update"
    for rules in ("core/v1:ResourceQuota", "admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"):
        for namespace in NAMESPACES:
            assert changes.pop((f"kubernetes:{rules}", namespace)) == "update", "there is a manager less"
    assert set(changes.values()) == {"delete"}
    assert all("amd64" in name for _, name in changes), changes
    assert {(RELEASE, f"{namespace}-amd64") for namespace in NAMESPACES} <= changes.keys()


def test_wrong_settings_fail_the_preview_with_every_mistake(deployed: ScratchProject) -> None:
    def choose_small_nodes(config: Config) -> None:
        config["buildyard:nodes"]["arm64"]["instance-types"] = ["m7g.large"]

    def misspell(config: Config) -> None:
        config["buildyard:runners"]["concurent"] = 3
        config["buildyard:projects"][0]["time-zone"] = "Asia/Hongkong"

    with deployed.edited(choose_small_nodes):
        unfit = deployed.sandbox("preview")
    with deployed.edited(misspell):
        misspelled = deployed.sandbox("preview")
    assert unfit.returncode == 1
    said = unfit.stdout + unfit.stderr
    assert "buildyard:projects[0].images[2].resources" in said, "the seed's job fits no m7g.large"
    assert "Traceback" not in said
    said = misspelled.stdout + misspelled.stderr
    assert "Did you mean concurrent?" in said
    assert "Did you mean Asia/Hong_Kong?" in said
    assert "Traceback" not in said
    assert said.count("Did you mean concurrent?") == 1, "people read the same problem twice"


def test_what_aws_and_gitlab_would_refuse_fails_the_preview_all_at_once(deployed: ScratchProject) -> None:
    cloud = Cloud(deployed)
    project = f"{deployed.endpoints()['gitlab']}/api/v4/projects/platform%2Fimages"
    token = {"PRIVATE-TOKEN": (deployed.data / "gitlab" / "token").read_text().strip()}
    agent = {"clusterName": "ci", "addonName": "eks-pod-identity-agent"}
    requests.post(f"{project}/archive", headers=token, timeout=10).raise_for_status()
    cloud.aws("eks").delete_addon(**agent)
    try:
        done = deployed.sandbox("preview")
    finally:
        requests.post(f"{project}/unarchive", headers=token, timeout=10).raise_for_status()
        cloud.aws("eks").create_addon(**agent)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "platform/images is archived" in said
    assert "has no add-on eks-pod-identity-agent" in said
    assert "nothing was changed" in said
    assert "Traceback" not in said


def test_what_may_fail_later_is_a_warning(deployed: ScratchProject) -> None:
    def misplace(config: Config) -> None:
        config["buildyard:projects"][0]["images"][1]["context"] = "images/wbe"
        for nodes in config["buildyard:nodes"].values():
            nodes["max-size"] = 300

    with deployed.edited(misplace):
        done = deployed.sandbox("preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has no images/wbe/Dockerfile" in done.stdout
    assert "Did you mean images/web?" in done.stdout
    assert "have 19,200 vCPUs" in done.stdout
    quiet = deployed.sandbox("preview")
    assert "warning" not in quiet.stdout, "people stop reading previews that always warn"


def test_a_hand_edit_of_the_published_pipeline_shows_as_drift(deployed: ScratchProject) -> None:
    repository = deployed.data / "gitlab" / "platform" / "images.git"
    clone = deployed.root.parent / "clone"
    git = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    subprocess.run(["git", "clone", "--quiet", str(repository), str(clone)], check=True)
    published = clone / ".gitlab-ci.yml"
    text = published.read_text()
    try:
        published.write_text(text + "# my own line\n")
        subprocess.run([*git, "commit", "--quiet", "--all", "--message", "By hand"], cwd=clone, check=True)
        subprocess.run(["git", "push", "--quiet"], cwd=clone, check=True)
        assert previewed(deployed, lambda config: config) == {PIPELINE: "update"}
    finally:
        published.write_text(text)
        subprocess.run([*git, "commit", "--quiet", "--all", "--message", "Put it back"], cwd=clone, check=True)
        subprocess.run(["git", "push", "--quiet"], cwd=clone, check=True)


def test_every_option_of_the_cli_can_be_given(deployed: ScratchProject) -> None:
    def raise_ceiling(config: Config) -> None:
        config["buildyard:runners"]["ceilings"]["cpu"] = "10"

    with deployed.edited(raise_ceiling):
        done = deployed.sandbox("preview", "--diff", "--expect-no-changes")
    assert done.returncode == 1
    assert "no changes were expected for preview" in done.stdout + done.stderr
    assert "cpu_limit_overwrite_max_allowed" in done.stdout, "--diff shows what changes in config.toml"
    stack = deployed.sandbox("pulumi", "stack", "output", "registry-host")
    assert stack.stdout == "123456789012.dkr.ecr.ap-east-1.amazonaws.com\n"
