"""Pulumi's access to the cluster: the deployer's AWS identity, with a token that is valid for minutes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pulumi

from stacks.problems import Problem


@dataclass(frozen=True, kw_only=True)
class Login:
    """How the AWS CLI gets the identity that the AWS provider has."""

    profile: str | None = None
    role_arn: str | None = None

    @classmethod
    def configured(cls) -> "Login":
        """The login that the settings of the AWS provider ask for."""
        roles = _roles()
        return cls(
            profile=pulumi.Config("aws").get("profile"), role_arn=roles[0].get("roleArn") if len(roles) == 1 else None
        )


def login_problems() -> Iterator[Problem]:
    """The settings of the AWS provider that the AWS CLI cannot follow."""
    config, roles = pulumi.Config("aws"), _roles()
    unknown = sorted(set(roles[0]) - {"roleArn", "sessionName", "duration"}) if roles else []
    if len(roles) > 1:
        yield _problem("assumeRoles", "can assume one role for them, not several")
    elif unknown:
        yield _problem("assumeRoles", f"can assume a role for them, but without {', '.join(unknown)}")
    for key in ("accessKey", "assumeRoleWithWebIdentity", "sharedConfigFiles", "sharedCredentialsFiles"):
        if config.get(key):
            yield _problem(key, "does not know this key")


def _problem(key: str, reason: str) -> Problem:
    return Problem(
        path=f"aws:{key}",
        message=f"Kubernetes' tokens come from the AWS CLI, which {reason}",
        hint="Describe the identity as a profile in ~/.aws/config, and set AWS_PROFILE or aws:profile to its name.",
    )


def _roles() -> list[dict[str, Any]]:
    found = pulumi.Config("aws").get_object("assumeRoles")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def kubeconfig(*, cluster_name: str, endpoint: str, certificate_authority: str, region: str, login: Login) -> str:
    """A kubeconfig as JSON. It contains no credentials: its user gets a token from the AWS CLI.

    `certificate_authority` is base64, as EKS returns it.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/create-kubeconfig.html
    """
    arguments = ["--region", region, "eks", "get-token", "--cluster-name", cluster_name, "--output", "json"]
    if login.profile:
        arguments += ["--profile", login.profile]  # not AWS_PROFILE, over which keys in variables take precedence
    if login.role_arn:
        arguments += ["--role-arn", login.role_arn]
    token = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": arguments}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster_name,
                    "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority},
                }
            ],
            "users": [{"name": cluster_name, "user": {"exec": token}}],
            "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
            "current-context": cluster_name,
        }
    )
