"""The bootstrap project, deployed to the sandbox by the real CLI."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.display import Terminal
from sandbox.endpoints import read_endpoints
from sandbox.engine import install
from sandbox.engine.errors import EngineError
from sandbox.roles import assume
from sandbox.scratch import ScratchProject, scratch_project
from tests.deployment.conftest import Cloud

BUCKET = "buildyard-state-123456789012"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """A sandbox in which the project is deployed."""
    with scratch_project() as project:
        done = project.sandbox("bootstrap")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Cloud(project)


def settings(project: ScratchProject, **changes: Any) -> None:
    file = project.root / "bootstrap" / "Pulumi.sandbox.yaml"
    content = yaml.safe_load(file.read_text())
    content["config"] |= {f"buildyard-bootstrap:{key}": value for key, value in changes.items()}
    file.write_text(yaml.safe_dump(content))


def test_a_second_run_changes_nothing(cloud: Cloud) -> None:
    again = cloud.project.sandbox("bootstrap", "preview", "--refresh", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr


def test_the_state_is_private_encrypted_and_versioned(cloud: Cloud) -> None:
    s3 = cloud.aws("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    [alias] = [
        each for each in cloud.aws("kms").list_aliases()["Aliases"] if each["AliasName"] == "alias/buildyard-state"
    ]
    assert default["SSEAlgorithm"] == "aws:kms"
    assert default["KMSMasterKeyID"].endswith(alias["TargetKeyId"])
    assert cloud.aws("kms").get_key_rotation_status(KeyId=alias["TargetKeyId"])["KeyRotationEnabled"]
    [statement] = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_destroying_it_keeps_the_state_and_its_key(cloud: Cloud) -> None:
    done = cloud.project.sandbox("bootstrap", "destroy", "--yes")
    assert done.returncode == 1
    assert "protect" in done.stdout + done.stderr
    assert cloud.aws("s3").head_bucket(Bucket=BUCKET)
    assert cloud.aws("iam").get_role(RoleName="deploy-buildyard-sandbox"), "nothing else is deleted, either"


def test_jobs_enter_the_cluster_as_their_roles(cloud: Cloud) -> None:
    eks = cloud.aws("eks")
    role = "arn:aws:iam::123456789012:role/{}-buildyard-sandbox"
    preview = eks.describe_access_entry(clusterName="ci", principalArn=role.format("preview"))["accessEntry"]
    assert preview["kubernetesGroups"] == ["buildyard-sandbox-preview"]
    deploy = {"clusterName": "ci", "principalArn": role.format("deploy")}
    [policy] = eks.list_associated_access_policies(**deploy)["associatedAccessPolicies"]
    assert policy["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
    none = eks.list_associated_access_policies(clusterName="ci", principalArn=role.format("preview"))
    assert none["associatedAccessPolicies"] == [], "every access policy that reads Secrets also opens shells in pods"


@pytest.mark.parametrize(
    ("role", "ref", "allowed"),
    [
        ("preview", "feature", True),
        ("preview", "main", True),
        ("deploy", "main", True),
        ("deploy", "feature", False),
        ("builder", "main", True),
        ("builder", "feature", False),
    ],
)
def test_gitlabs_tokens_get_roles(cloud: Cloud, role: str, ref: str, allowed: bool) -> None:
    endpoints = read_endpoints(cloud.project.data)
    assert endpoints is not None
    if allowed:
        assert assume(f"{role}-buildyard-sandbox", cloud.project.data, endpoints, ref=ref).token
    else:
        with pytest.raises(EngineError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
            assume(f"{role}-buildyard-sandbox", cloud.project.data, endpoints, ref=ref)


def test_a_preview_cannot_deploy(cloud: Cloud) -> None:
    done = cloud.project.sandbox("up", "--skip-preview", "--as", "preview-buildyard-sandbox")
    assert done.returncode == 1
    # Which of the first resources is refused first is the engine's choice: it creates them at the same time.
    assert re.search(r"is not authorized to perform: (iam:CreateRole|ecr:CreateRepository)", done.stdout + done.stderr)
    assert cloud.aws("ecr").describe_repositories()["repositories"] == []
    pages = cloud.aws("iam").get_paginator("list_roles").paginate()
    roles = [role["RoleName"] for page in pages for role in page["Roles"]]
    assert not [name for name in roles if name.startswith("buildyard-sandbox-")], "a preview's role created something"


def test_a_role_that_does_not_exist_is_refused_with_the_command_that_makes_it(cloud: Cloud) -> None:
    done = cloud.project.sandbox("preview", "--as", "deploy-buildyard-other")
    assert done.returncode == 1
    assert "`make bootstrap` creates the roles" in done.stderr


@pytest.fixture
def fresh() -> Iterator[Cloud]:
    with scratch_project() as project:
        started = project.sandbox("start")
        assert started.returncode == 0, started.stderr
        yield Cloud(project)


def test_every_obstacle_is_named_before_anything_is_created(fresh: Cloud) -> None:
    eks, project = fresh.aws("eks"), fresh.project
    ci = eks.describe_cluster(name="ci")["cluster"]
    eks.create_cluster(
        name="old", roleArn=ci["roleArn"], resourcesVpcConfig={"subnetIds": ci["resourcesVpcConfig"]["subnetIds"]}
    )
    stack = yaml.safe_load(project.stack_file.read_text())
    for name, cluster in (("old", "old"), ("gone", "gone")):
        stack["config"]["buildyard:cluster"] = {"name": cluster}
        (project.root / "stacks" / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(stack))
    settings(
        project,
        stacks=["sandbox", "old", "gone"],
        gitlab={"url": "https://gitlab.com", "project": "a/b", "existing-provider": True},
    )
    done = project.sandbox("bootstrap")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "bootstrap/Pulumi.sandbox.yaml has 3 problems; nothing was changed." in said
    assert "stacks[1]: the cluster old has no access entries: its authentication mode is CONFIG_MAP" in said
    assert "--access-config authenticationMode=API_AND_CONFIG_MAP" in said
    assert "stacks[2]: " in said
    assert "The cluster gone must exist in ap-east-1" in said
    assert "gitlab.existing-provider: " in said
    assert not [role for role in fresh.aws("iam").list_roles()["Roles"] if "buildyard" in role["RoleName"]]


def test_a_provider_of_somebody_else_is_used_and_not_changed(fresh: Cloud) -> None:
    iam = fresh.aws("iam")
    provider = iam.create_open_id_connect_provider(
        Url="https://gitlab.example.com", ClientIDList=["https://gitlab.example.com"]
    )
    settings(
        fresh.project,
        gitlab={"url": "https://gitlab.example.com", "project": "platform/buildyard", "existing-provider": True},
        iam={"path": "/ci/"},
    )
    refused = fresh.project.sandbox("bootstrap")
    assert refused.returncode == 1
    assert "the provider does not take tokens for sts.amazonaws.com" in refused.stdout + refused.stderr
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider["OpenIDConnectProviderArn"])
    provider = iam.create_open_id_connect_provider(Url="https://gitlab.example.com", ClientIDList=["sts.amazonaws.com"])
    done = fresh.project.sandbox("bootstrap")
    assert done.returncode == 0, done.stdout + done.stderr
    role = iam.get_role(RoleName="deploy-buildyard-sandbox")["Role"]
    assert role["Path"] == "/ci/"
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Federated": provider["OpenIDConnectProviderArn"]}
    assert len(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]) == 2, "the cluster's, and GitLab's"


def test_its_own_state_moves_into_the_bucket(cloud: Cloud) -> None:
    """The commands of bootstrap/README.md, with the real CLI."""
    endpoints, home = read_endpoints(cloud.project.data), cloud.project.data / "pulumi" / "bootstrap"
    assert endpoints is not None
    environment = {
        **os.environ,
        **endpoints.environment(),
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_BACKEND_URL": f"file://{home / 'backend'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(home.parent / "passphrase"),
        "PULUMI_STACK": "sandbox",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def pulumi(*arguments: str) -> str:
        command = [str(install.pulumi(Terminal(stderr=True))), *arguments, "--non-interactive"]
        done = subprocess.run(command, cwd=home / "project", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    readme = (Path(__file__).parents[2] / "bootstrap" / "README.md").read_text()
    [block] = re.findall(r"Move the state into the bucket.*?```\n(.*?)```", readme, re.DOTALL)
    before = {each["urn"] for each in json.loads(pulumi("stack", "export"))["deployment"]["resources"]}
    outputs = {name: pulumi("stack", "output", name).strip() for name in ("backend-url", "secrets-provider")}
    here = {
        "$(pulumi stack output backend-url -s prod)": outputs["backend-url"],
        "awskms://alias/buildyard-state?region=eu-central-1": outputs["secrets-provider"],
        "-s prod": "-s sandbox",
        "init prod": "init sandbox",
    }
    for written in filter(None, block.splitlines()):
        line = written
        for theirs, ours in here.items():
            line = line.replace(theirs, ours)
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            environment[name] = value
        else:
            assert words[0] == "pulumi", line
            pulumi(*words[1:])
    assert environment["PULUMI_BACKEND_URL"].startswith("s3://")
    after = json.loads(pulumi("stack", "export"))["deployment"]
    assert {each["urn"] for each in after["resources"]} == before
    assert after["secrets_providers"]["type"] == "cloud"
