"""The IAM backend: moto's, with what AWS documents about names and permissions boundaries.

Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html,
https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html,
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
"""

import json
from typing import Any

from moto.core.exceptions import ServiceException
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy, Role, iam_backends

from sandbox.services.aws.rights import Policy


class EntityAlreadyExists(ServiceException):
    code = "EntityAlreadyExists"


class NoSuchEntity(ServiceException):
    code = "NoSuchEntity"


class DeleteConflict(ServiceException):
    code = "DeleteConflict"


def extend_moto() -> None:
    """Let moto make this backend for every account."""
    iam_backends.backend = IamBackend


class IamBackend(IAMBackend):
    """Names differ whatever their paths are, and also by more than case. A boundary is a policy that exists."""

    def create_role(self, role_name: str, *args: Any, **kwargs: Any) -> Role:
        if any(role.name.lower() == role_name.lower() for role in self.roles.values()):
            raise EntityAlreadyExists(f"Role with name {role_name} already exists.")
        role = super().create_role(role_name, *args, **kwargs)
        if role.permissions_boundary_arn and role.permissions_boundary_arn not in self.managed_policies:
            del self.roles[role.id]
            raise _no_boundary(role.permissions_boundary_arn)
        return role

    def put_role_permissions_boundary(self, role_name: str, permissions_boundary: str) -> None:
        if permissions_boundary not in self.managed_policies:
            raise _no_boundary(permissions_boundary)
        super().put_role_permissions_boundary(role_name, permissions_boundary)

    def create_policy(self, *args: Any, **kwargs: Any) -> ManagedPolicy:
        policy = super().create_policy(*args, **kwargs)
        for other in self.managed_policies.values():
            # AWS's own policies are in no account, so their names are free.
            if (
                other is not policy
                and not isinstance(other, AWSManagedPolicy)
                and other.name.lower() == policy.name.lower()
            ):
                del self.managed_policies[policy.arn]
                message = f"A policy called {policy.name} already exists. Duplicate names are not allowed."
                raise EntityAlreadyExists(message)
        return policy

    def delete_policy(self, policy_arn: str) -> None:
        for role in self.roles.values():
            if policy_arn == role.permissions_boundary_arn or policy_arn in role.managed_policies:
                raise DeleteConflict("Cannot delete a policy attached to entities.")
        super().delete_policy(policy_arn)


def boundary_of(role: Role) -> Policy | None:
    """The document of a role's permissions boundary."""
    if role.permissions_boundary_arn is None:
        return None
    policy = iam_backends[role.account_id][role.partition].managed_policies[role.permissions_boundary_arn]
    [document] = [each.document for each in policy.versions if each.version_id == policy.default_version_id]
    boundary: Policy = json.loads(document)
    return boundary


def _no_boundary(arn: str) -> NoSuchEntity:
    return NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")
