"""The STS backend: moto's, and who may assume a role.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moto.core.exceptions import ServiceException
from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends
from moto.sts.models import AssumedRole, STSBackend, sts_backends

from sandbox.services.aws.iam import boundary_of
from sandbox.services.aws.rights import Context, Policy, allows, trusts

TAG_SESSION = "sts:TagSession"


def extend_moto() -> None:
    """Let moto make this backend for every account."""
    sts_backends.backend = StsBackend


class AccessDenied(ServiceException):
    code = "AccessDenied"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The owner of an access key: the session of a role, or else an administrator of the account."""

    arn: str
    role: Role | None

    def may(self, action: str, resource: str) -> bool:
        """Whether the caller's own policies allow something."""
        return self.role is None or allows(policies(self.role), action, resource, {}, boundary=boundary_of(self.role))


class StsBackend(STSBackend):
    def caller(self, access_key: str) -> Caller:
        """The owner of an access key. As everywhere in the sandbox, an unknown one is an administrator's."""
        session = self.get_assumed_role_from_access_key(access_key)
        if session is None:
            return Caller(arn=f"arn:{self.partition}:iam::{self.account_id}:user/administrator", role=None)
        return Caller(arn=session.arn, role=self.role(session.role_arn))

    def role(self, arn: str) -> Role | None:
        try:
            return iam_backends[self.account_id][self.partition].get_role_by_arn(arn)
        except NotFoundException:
            return None

    def require_trust(self, caller: Caller, role_arn: str, tags: Context) -> None:
        """Refuse `AssumeRole` to a caller whom the role does not trust. Raises AccessDenied."""
        role = self.role(role_arn)
        direct = {caller.arn, "*", *([caller.role.arn] if caller.role else [])}
        # A role that trusts an account leaves it to that account's policies who may assume it.
        account = {self.account_id, f"arn:{self.partition}:iam::{self.account_id}:root"}
        for action in _actions("sts:AssumeRole", tags):
            if not (
                role
                and _trusts(role, direct | account, action, tags)
                and (_trusts(role, direct, action, tags) or caller.may(action, role_arn))
            ):
                message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {role_arn}"
                raise AccessDenied(message)

    def assume_as_service(self, service: str, role_arn: str, *, session: str, tags: Context) -> AssumedRole:
        """A session that an AWS service starts. Raises AccessDenied if the role does not trust the service."""
        role = self.role(role_arn)
        if role is None or not all(
            _trusts(role, {service}, action, tags) for action in _actions("sts:AssumeRole", tags)
        ):
            raise AccessDenied(f"{service} is not authorized to assume {role_arn}")
        return self.assume_role(
            region_name="aws-global",
            role_session_name=session,
            role_arn=role_arn,
            policy="",
            duration=3600,
            external_id="",
        )

    def require_web_identity(self, provider: str, role_arn: str, claims: Context) -> None:
        """Refuse a role to a token of an identity provider that the role does not trust. Raises AccessDenied."""
        action = "sts:AssumeRoleWithWebIdentity"
        role = self.role(role_arn)
        if role is None or not _trusts(role, {provider}, action, claims):
            raise AccessDenied(f"Not authorized to perform {action}")


def _actions(action: str, tags: Context) -> Sequence[str]:
    return [action, *([TAG_SESSION] if tags else [])]


def _trusts(role: Role, principals: Iterable[str], action: str, context: Context) -> bool:
    try:
        return trusts(json.loads(role.assume_role_policy_document), principals, action, context)
    except ValueError as error:
        raise AccessDenied(str(error)) from None


def policies(role: Role) -> list[Policy]:
    """The policies of a role, its own and those that are attached to it."""
    managed = [
        version.document
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.version_id == policy.default_version_id
    ]
    return [json.loads(each) for each in (*role.policies.values(), *managed)]
