"""A deployment from its beginning to its end, and after a crash in between."""

import base64
import os
import signal
import subprocess

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud


def test_a_stack_lives_from_up_to_down(scratch: ScratchProject) -> None:
    first = scratch.sandbox("up")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "git clone" in first.stdout, "people are told where to find the pipeline"
    cloud = Cloud(scratch)

    again = scratch.sandbox("up")
    assert "unchanged" in again.stdout
    assert " create" not in again.stdout, "a second run has nothing to do"

    config = scratch.read_config()
    config["buildyard:projects"][0]["images"].append({"name": "docs", "context": "images/docs"})
    del config["buildyard:nodes"]["amd64"]
    scratch.write_config(config)
    changed = scratch.sandbox("up")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    repositories = {each["repositoryName"] for each in cloud.aws("ecr").describe_repositories()["repositories"]}
    assert "platform/images/docs" in repositories
    groups = cloud.aws("eks").list_nodegroups(clusterName="ci")["nodegroups"]
    assert len(groups) == 1, f"amd64 is gone: {groups}"
    assert groups[0].startswith("buildyard-sandbox-arm64")
    assert len(cloud.gitlab("/runners/all").json()) == 1

    down = scratch.sandbox("destroy")
    assert down.returncode == 0, down.stdout + down.stderr
    assert cloud.aws("ecr").describe_repositories()["repositories"] == []
    assert cloud.aws("eks").list_nodegroups(clusterName="ci")["nodegroups"] == []
    assert cloud.aws("ec2").describe_launch_templates()["LaunchTemplates"] == []
    roles = [role["RoleName"] for role in cloud.aws("iam").list_roles()["Roles"]]
    assert not [role for role in roles if role.startswith("buildyard-")]
    assert cloud.aws("eks").list_pod_identity_associations(clusterName="ci")["associations"] == []
    namespaces = [each["metadata"]["name"] for each in cloud.kubernetes("/api/v1/namespaces")]
    assert "buildyard-sandbox" not in namespaces
    assert cloud.kubernetes("/api/v1/secrets") == []
    assert cloud.gitlab("/runners/all").json() == []
    assert cloud.gitlab("/projects/platform%2Fimages/variables").json() == []
    file = cloud.gitlab("/projects/platform%2Fimages/repository/files/.gitlab-ci.yml?ref=master")
    assert file.status_code == 404, "the published pipeline is gone from the project"


def test_the_runner_token_is_nowhere_in_clear_text(scratch: ScratchProject) -> None:
    up = scratch.sandbox("up")
    assert up.returncode == 0, up.stdout + up.stderr
    secrets = Cloud(scratch).kubernetes("/api/v1/namespaces/buildyard-sandbox/secrets")
    encoded = [secret["data"]["runner-token"] for secret in secrets if "runner-token" in secret["data"]]
    tokens = [base64.b64decode(token).decode() for token in encoded]
    assert len(tokens) == 2, "one a runner"
    assert all(token.startswith("glrt-") for token in tokens)
    state = (scratch.data / "state" / "buildyard" / "sandbox.json").read_text()
    preview = scratch.sandbox("preview", "--json").stdout
    log = "".join(path.read_text(errors="replace") for path in (scratch.data / "log").iterdir())
    for token in [*tokens, *encoded]:
        for place, text in {"state": state, "up": up.stdout + up.stderr, "preview": preview, "log": log}.items():
            assert token not in text, f"a runner's token stands in clear text in: {place}"


def test_a_killed_sandbox_comes_back_as_it_was(scratch: ScratchProject) -> None:
    assert scratch.sandbox("up").returncode == 0
    os.kill(scratch.endpoints()["pid"], signal.SIGKILL)
    again = scratch.sandbox("up")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to deploy" in again.stdout, "all that was deployed is there again, AWS included"


def test_an_interrupted_deployment_loses_nothing_and_goes_on(scratch: ScratchProject) -> None:
    assert scratch.sandbox("start").returncode == 0
    process = subprocess.Popen(
        scratch.command("up"), cwd=scratch.root, env=scratch.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if "aws:ecr/repository:Repository" in line and "create" in line and line.rstrip().endswith("s"):
            process.send_signal(signal.SIGINT)
            break
    process.stdout.read()
    assert process.wait(timeout=60) == 130
    resumed = scratch.sandbox("up")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "nothing to deploy" in scratch.sandbox("up").stdout
    repositories = Cloud(scratch).aws("ecr").describe_repositories()["repositories"]
    assert len(repositories) == 4, "every repository once"
