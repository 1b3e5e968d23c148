"""Whole deployments on the sandbox as the roles that bootstrap made, and the rights that they needed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pulumi
from pulumi import automation

from sandbox.display import Terminal
from sandbox.endpoints import Endpoints, read_endpoints
from sandbox.engine import install
from sandbox.roles import acting_as
from sandbox.scratch import ScratchProject
from tests.deployment.test_company_rules import BOUNDARY, make_boundary
from tests.deployment.test_doctor import builder_image

PREVIEW, DEPLOY = "preview-buildyard-sandbox", "deploy-buildyard-sandbox"
BUCKET = "buildyard-state-123456789012"
BACKEND = f"s3://{BUCKET}?region=ap-east-1"
SECRETS = "awskms://alias/buildyard-state?region=ap-east-1"
KEY = "arn:aws:kms:ap-east-1:123456789012:key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"

_SECRET = "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache"

Config = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Used:
    """A right that a request of a role needed, and whether the role had it."""

    role: str
    action: str
    resource: str
    allowed: bool


def used(project: ScratchProject) -> list[Used]:
    """All rights that roles have needed so far."""
    rows = map(json.loads, (project.data / "log" / "rights.jsonl").read_text().splitlines())
    return [Used(**{key: row[key] for key in ("role", "action", "resource", "allowed")}) for row in rows]


def _all_features(config: Config, security_group: str) -> None:
    config["buildyard:registry"] |= {
        "kms-key": KEY,
        "blob-mounting": True,
        "pull-through": {"docker-hub": {"credentials": f"{_SECRET}/a-AbCdEf"}},
    }
    config["buildyard:iam"] = {"path": "/ci/", "permissions-boundary": BOUNDARY}
    config["buildyard:nodes"]["arm64"] |= {
        "capacity": "on-demand",  # which alone can have warm pools
        "kms-key": KEY,
        "security-groups": [security_group],
    }
    config["buildyard:runners"]["warm"] = {"when": "always"}


def _other_values(config: Config) -> None:
    config["buildyard:registry"] |= {
        "keep-cache-days": 20,
        "pull": {"accounts": ["444455556666"]},
        "pull-through": {"docker-hub": {"credentials": f"{_SECRET}/b-AbCdEf"}},
    }
    config["buildyard:nodes"]["amd64"]["max-size"] = 5  # in place
    config["buildyard:nodes"]["arm64"]["disk"] = "300Gi"  # another node group
    config["buildyard:tags"] = {"team": "platform"}
    first, *_ = images = config["buildyard:projects"][0]["images"]
    first["semver"] = True
    images.append({"name": "docs", "context": "images/docs"})


def _fewer_features(config: Config) -> None:
    config["buildyard:identity"] = "irsa"
    config["buildyard:trust"] = "shared"
    del config["buildyard:tags"], config["buildyard:registry"]["pull"], config["buildyard:registry"]["pull-through"]


def deploy_everything(project: ScratchProject) -> None:
    """Deploy, preview, check and destroy a stack with all features. The roles have no rights but their policies'.

    Every kind of resource is created, changed in each way that settings can change it, and deleted.
    """
    _run(project, "start")
    make_boundary(_client(project, "iam"))
    cluster = _client(project, "eks").describe_cluster(name="ci")["cluster"]["resourcesVpcConfig"]
    _change(project, partial(_all_features, security_group=cluster["clusterSecurityGroupId"]))
    _run(project, "bootstrap")
    _run(project, "up", "--skip-preview", "--as", DEPLOY)
    _change(project, _other_values)
    _run(project, "up", "--skip-preview", "--as", DEPLOY)
    _run(project, "preview", "--expect-no-changes", "--as", PREVIEW)
    _change(project, _fewer_features)
    _run(project, "up", "--skip-preview", "--as", DEPLOY)
    with builder_image(project, "arm64", "amd64"):
        for role in (PREVIEW, DEPLOY):
            _run(project, "doctor", "--as", role)
    _run(project, "destroy", "--as", DEPLOY)


def _change(project: ScratchProject, change: Callable[[Config], None]) -> None:
    config = project.read_config()
    change(config)
    project.write_config(config)


def _run(project: ScratchProject, *arguments: str) -> None:
    done = project.sandbox(*arguments)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"


def keep_state_in_the_bucket(project: ScratchProject, directory: Path) -> None:
    """Let the real CLI keep the state of a stack in the bucket, with secrets that the key encrypts."""
    endpoints = read_endpoints(project.data)
    assert endpoints is not None
    _stack(endpoints, directory)  # the administrator creates it
    with acting_as(DEPLOY, project.data, endpoints) as deploying:
        stack = _stack(deploying, directory)
        stack.up()
        stack.refresh()
        assert stack.outputs()["token"].secret
        stack.destroy()
        stack.up()
    with acting_as(PREVIEW, project.data, endpoints) as previewing:
        assert _stack(previewing, directory).preview().change_summary == {"same": 1}


def _stack(endpoints: Endpoints, directory: Path) -> automation.Stack:
    command = install.pulumi(Terminal(stderr=True))
    environment = replace(endpoints, providers={}).environment() | {
        "PULUMI_BACKEND_URL": BACKEND,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    environment.setdefault("AWS_SESSION_TOKEN", "")
    work = directory / "work"
    work.mkdir(exist_ok=True)
    return automation.create_or_select_stack(
        "sandbox",
        project_name="buildyard",
        program=lambda: pulumi.export("token", pulumi.Output.secret("a-secret-of-the-state")),
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(work),
            pulumi_home=str(directory / "home"),
            pulumi_command=automation.PulumiCommand(str(command.parent.parent)),
            env_vars=environment,
            secrets_provider=SECRETS,
        ),
    )


def deployed_policies(project: ScratchProject, role: str) -> Iterator[dict[str, Any]]:
    """The policies that are attached to a role."""
    iam = _client(project, "iam")
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
        yield found["PolicyVersion"]["Document"]


def objects(project: ScratchProject) -> Iterator[tuple[str, str]]:
    """The objects in the bucket: key and text."""
    client = _client(project, "s3")
    for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        yield each["Key"], client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().decode()


def _client(project: ScratchProject, service: str) -> Any:
    endpoints = read_endpoints(project.data)
    assert endpoints is not None
    session = boto3.Session("test", "test", region_name="ap-east-1")
    return session.client(service, endpoint_url=endpoints.aws)  # type: ignore[call-overload]
