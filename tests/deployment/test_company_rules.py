"""A company's rules for IAM, nodes and runners, deployed: as AWS and GitLab have them, and changed while a job runs."""

import json
import time
from typing import Any

import gitlab

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud, opened, update
from tests.deployment.test_job_safety import Config, DeployedStack, pausing

ACCOUNT = "123456789012"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/rules/boundary"
KEY = f"arn:aws:kms:ap-east-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"


def make_boundary(iam: Any) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.create_policy(PolicyName="boundary", Path="/rules/", PolicyDocument=json.dumps(document))


def roles(iam: Any) -> dict[str, dict[str, Any]]:
    """The stack's roles, by name."""
    found = [each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith("buildyard-")]
    return {name: iam.get_role(RoleName=name)["Role"] for name in found}


def test_roles_move_to_another_path_when_their_last_job_has_ended(own_stack: ScratchProject) -> None:
    stack = DeployedStack(own_stack)
    iam, eks = stack.cloud.aws("iam"), stack.cloud.aws("eks")
    old = roles(iam)
    make_boundary(iam)
    runner = stack.runners["arm64"]
    job = stack.take_job(runner)

    def obey(config: Config) -> None:
        config["buildyard:iam"] = {"permissions-boundary": BOUNDARY, "path": "/ci/"}

    stack.edit(obey)
    up = stack.start("up")
    stack.wait_for(pausing(runner), up)
    time.sleep(2)  # what does not wait for the runner is deleted at the same time
    push = "buildyard-sandbox-push"
    for name in (push, "buildyard-sandbox-arm64-node"):
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert attached, f"{name} is empty: the job would lose its rights"
    stack.end_job(job)
    output, _ = up.communicate(timeout=240)
    assert up.returncode == 0, output
    new = roles(iam)
    assert not new.keys() & old.keys()
    assert len(new) == len(old)
    assert {each["Path"] for each in new.values()} == {"/ci/"}
    assert {each["PermissionsBoundary"]["PermissionsBoundaryArn"] for each in new.values()} == {BOUNDARY}
    for name in stack.present_groups():
        group = eks.describe_nodegroup(clusterName="ci", nodegroupName=name)["nodegroup"]
        assert group["nodeRole"] in {each["Arn"] for each in new.values()}
    associations = eks.list_pod_identity_associations(clusterName="ci")["associations"]
    for each in associations:
        found = eks.describe_pod_identity_association(clusterName="ci", associationId=each["associationId"])
        assert found["association"]["roleArn"] in {each["Arn"] for each in new.values()}, "builds would get no role"
    policies = [each for each in iam.list_policies(Scope="Local")["Policies"] if each["PolicyName"] != "boundary"]
    assert policies
    assert {each["Path"] for each in policies} == {"/ci/"}

    with opened(own_stack) as cli, cli.program():
        cli.ask("preview", "--expect-no-changes")
        stack.edit(lambda config: config.pop("buildyard:iam"))
        cli.write_settings()
        cli.ask("up", "--yes", "--skip-preview")
    assert roles(iam).keys() == old.keys()
    assert not any("PermissionsBoundary" in each for each in roles(iam).values())


def test_nodes_and_runners_are_as_the_settings_say(scratch: ScratchProject) -> None:
    started = scratch.sandbox("start")
    assert started.returncode == 0, started.stderr
    config, cloud = scratch.read_config(), Cloud(scratch)
    ec2, eks = cloud.aws("ec2"), cloud.aws("eks")
    network = eks.describe_cluster(name="ci")["cluster"]["resourcesVpcConfig"]
    own = ec2.create_security_group(GroupName="company", Description="-", VpcId=network["vpcId"])["GroupId"]
    config["buildyard:nodes"]["arm64"] |= {
        "security-groups": [own],
        "kms-key": KEY,
        "disk-iops": 8000,
        "disk-throughput": 1000,
        "labels": {"team": "platform"},
        "boot-script": "#!/bin/bash\nupdate-ca-trust\n",
    }
    config["buildyard:runners"]["tags"] = {"prefix": "builds"}
    scratch.write_config(config)
    update(scratch)

    [group] = [name for name in eks.list_nodegroups(clusterName="ci")["nodegroups"] if "sandbox-arm64" in name]
    described = eks.describe_nodegroup(clusterName="ci", nodegroupName=group)["nodegroup"]
    assert described["labels"]["team"] == "platform"
    template = described["launchTemplate"]
    found = ec2.describe_launch_template_versions(LaunchTemplateId=template["id"], Versions=[template["version"]])
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["SecurityGroupIds"] == [network["clusterSecurityGroupId"], own]
    disk = data["BlockDeviceMappings"][0]["Ebs"]
    assert (disk["KmsKeyId"], disk["Iops"], disk["Throughput"]) == (KEY, 8000, 1000)

    runners = [cloud.gitlab(f"/runners/{each['id']}").json() for each in cloud.gitlab("/runners/all").json()]
    tags = {tag for runner in runners for tag in runner["tag_list"]}
    assert tags == {f"builds-{tag}" for tag in ("arm64", "amd64", "linux", "protected", "unprotected")}
    file = cloud.gitlab("/projects/platform%2Fimages/repository/files/.gitlab-ci.yml/raw?ref=master").text
    assert "tags: [builds-arm64, builds-linux, builds-$BUILDYARD_TIER]" in file, file[:2000]


def test_runners_are_for_the_projects_of_the_settings_alone(scratch: ScratchProject) -> None:
    started = scratch.sandbox("start")
    assert started.returncode == 0, started.stderr
    cloud, endpoints = Cloud(scratch), scratch.endpoints()
    with gitlab.Gitlab(endpoints["gitlab"], private_token=endpoints["gitlab_token"]) as client:
        group = client.groups.list(search="platform")[0]
        for name in ("etl", "stranger"):
            project = client.projects.create({"name": name, "namespace_id": group.id, "default_branch": "master"})
            file = {"file_path": "Dockerfile", "branch": "master", "content": "FROM scratch", "commit_message": "Begin"}
            project.files.create(file)
    config = scratch.read_config()
    del config["buildyard:runners"]["group"]
    config["buildyard:runners"]["projects-only"] = True
    etl = {"path": "platform/etl", "default-branch": "master", "images": [{"name": "etl", "context": "."}]}
    config["buildyard:projects"].append(etl)
    scratch.write_config(config)
    update(scratch)

    def runners(name: str) -> int:
        return len(cloud.gitlab(f"/projects/platform%2F{name}/runners").json())

    assert (runners("images"), runners("etl"), runners("stranger")) == (4, 4, 0)
    config["buildyard:projects"].pop()
    scratch.write_config(config)
    with opened(scratch) as cli, cli.program():
        cli.ask("up", "--yes", "--skip-preview")
        assert (runners("images"), runners("etl")) == (4, 0)
        cli.ask("destroy", "--yes", "--run-program")
