"""Several stacks of one account: in two regions, and in two clusters of one region.

They are deployed to one sandbox, whose clusters share one Kubernetes API: so they also share a cluster.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import yaml

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud

ACCOUNT = "123456789012"

PULUMI = """
import sys
from rich.console import Console
from sandbox import server
from sandbox.endpoints import data_directory
from sandbox.engine import install
from sandbox.engine.cli import open_stack
stack, *commands = sys.argv[1:]
services = server.start(data_directory())
with open_stack(install.pulumi(Console(stderr=True)), data_directory(), services, stack=stack) as cli:
    if len(commands) == 1:
        sys.exit(cli.run(commands[0].split()))
    with cli.program():  # one process for all, which is faster
        for command in commands:
            cli.ask(*command.split())
"""

DESTROY = "destroy --yes --run-program"

STACKS: dict[str, dict[str, Any]] = {
    "first": {"region": "ap-east-1", "cluster": "ci", "project": "platform/images", "registry": {}},
    "abroad": {"region": "eu-central-1", "cluster": "ci", "project": "abroad/images", "registry": {}},
    "second": {"region": "ap-east-1", "cluster": "other", "project": "others/images", "registry": {"prefix": "second"}},
}
KEY = "arn:aws:kms:{region}:123456789012:key/00000000-0000-4000-8000-000000000000"


def _repository(stack: Mapping[str, Any], name: str) -> str:
    """The name of a stack's repository, which a destroyed stack would leave if its settings did not name it."""
    return "/".join(filter(None, (stack["registry"].get("prefix"), name)))


@dataclass(frozen=True)
class Account:
    """An account with clusters in two regions, and a GitLab with three groups."""

    scratch: ScratchProject
    cloud: Cloud

    def make_cluster(self, region: str, name: str) -> None:
        ec2, eks = self.cloud.aws("ec2", region), self.cloud.aws("eks", region)
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/20")["Subnet"]["SubnetId"]
        role = f"arn:aws:iam::{ACCOUNT}:role/ci-cluster"
        access = {"authenticationMode": "API"}
        network = {"subnetIds": [subnet]}
        eks.create_cluster(name=name, version="1.34", roleArn=role, resourcesVpcConfig=network, accessConfig=access)
        eks.create_addon(clusterName=name, addonName="eks-pod-identity-agent")

    def make_project(self, path: str) -> None:
        group, _, name = path.partition("/")
        namespace = self._post("/groups", name=group, path=group)["id"]
        project = self._post("/projects", name=name, namespace_id=namespace, default_branch="master")["id"]
        self._post(
            f"/projects/{project}/repository/files/Dockerfile",
            branch="master",
            content="FROM scratch",
            commit_message="Begin",
        )

    def _post(self, address: str, **body: Any) -> dict[str, Any]:
        endpoints = self.scratch.endpoints()
        answer = requests.post(
            f"{endpoints['gitlab']}/api/v4{address}",
            headers={"PRIVATE-TOKEN": endpoints["gitlab_token"]},
            json=body,
            timeout=10,
        )
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()
        return made

    def write(self, name: str, stack: Mapping[str, Any]) -> None:
        """Write the stack's file."""
        registry = {
            "account": ACCOUNT,
            "kms-key": KEY.format(region=stack["region"]),
            "pull-through": {"quay": {}},
            "delete-images": [_repository(stack, "buildyard/builder"), _repository(stack, f"{stack['project']}/web")],
            **stack["registry"],
        }
        image = {"name": "web", "context": "."}
        project = {"path": stack["project"], "default-branch": "master", "images": [image]}
        content = {
            "aws:region": stack["region"],
            "buildyard:cluster": {"name": stack["cluster"]},
            "buildyard:nodes": {"arm64": {"instance-types": ["m7g.4xlarge"]}},
            "buildyard:registry": registry,
            "buildyard:projects": [project],
        }
        (self.scratch.root / "stacks" / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": content}))

    def pulumi(self, stack: str, *commands: str) -> "subprocess.CompletedProcess[str]":
        """Run commands of the CLI until one fails."""
        python = self.scratch.command()[0]
        return subprocess.run(
            [python, "-c", PULUMI, stack, *commands],
            cwd=self.scratch.root,
            env=self.scratch.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def done(self, stack: str, *commands: str) -> None:
        result = self.pulumi(stack, *commands)
        assert result.returncode == 0, result.stdout + result.stderr

    def names(self) -> set[str]:
        """The names of all that the account's, the cluster's and GitLab's stacks made."""
        found = {role["RoleName"] for role in self.cloud.aws("iam", "ap-east-1").list_roles()["Roles"]}
        for region, clusters in (("ap-east-1", ("ci", "other")), ("eu-central-1", ("ci",))):
            ecr, eks = self.cloud.aws("ecr", region), self.cloud.aws("eks", region)
            found |= {f"{region} {each['repositoryName']}" for each in ecr.describe_repositories()["repositories"]}
            rules = ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
            found |= {f"{region} {each['ecrRepositoryPrefix']}/*" for each in rules}
            for cluster in clusters:
                found |= {f"{region} {each}" for each in eks.list_nodegroups(clusterName=cluster)["nodegroups"]}
        found |= {each["metadata"]["name"] for each in self.cloud.kubernetes("/api/v1/namespaces")}
        found |= {f"runner {each['description']}" for each in self.cloud.gitlab("/runners/all").json()}
        return found


@pytest.fixture
def account(scratch: ScratchProject) -> Account:
    for example in ("dev", "prod"):
        (scratch.root / "stacks" / f"Pulumi.{example}.yaml").unlink()
    started = scratch.sandbox("start")
    assert started.returncode == 0, started.stderr
    made = Account(scratch, Cloud(scratch))
    made.make_cluster("eu-central-1", "ci")
    made.make_cluster("ap-east-1", "other")
    for project in ("abroad/images", "others/images"):
        made.make_project(project)
    return made


@pytest.mark.timeout(900)
def test_stacks_of_one_account_leave_each_other_alone(account: Account) -> None:
    before = account.names()
    made: dict[str, set[str]] = {}
    for name, stack in STACKS.items():
        account.write(name, stack)
    for name in STACKS:
        present = account.names()
        account.done(name, "up --yes --skip-preview")
        made[name] = account.names() - present
        assert account.names() >= present, f"{name} replaced something of another stack"
        assert len(made[name]) > 10
    account.done("first", "preview --expect-no-changes", DESTROY)
    assert account.names() == before | made["abroad"] | made["second"]
    for name in ("abroad", "second"):
        account.done(name, "preview --expect-no-changes", DESTROY)
    assert account.names() == before


def test_a_preview_says_what_another_stack_has(account: Account) -> None:
    account.write("first", STACKS["first"])
    meeting = {**STACKS["second"], "registry": {}, "project": "platform/images"}
    account.write("second", meeting)
    refused = account.pulumi("second", "preview")
    assert refused.returncode == 1
    said = " ".join(refused.stdout.split())
    for sentence in (
        "stacks/Pulumi.second.yaml has 4 problems; nothing was changed.",
        "stacks/Pulumi.first.yaml has the repository buildyard/builder and 2 more, too",
        "stacks/Pulumi.first.yaml has the pull-through cache cache/quay and 1 more, too",
        "platform/images is in stacks/Pulumi.first.yaml, too, and both would publish its pipeline",
        "stacks/Pulumi.first.yaml has runners with the tags arm64, linux, protected for the same projects, too",
    ):
        assert sentence in said, refused.stdout
