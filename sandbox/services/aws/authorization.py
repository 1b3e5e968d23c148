"""The judgement of requests by the policies of the role whose session makes them.

Everybody else is an administrator of the account. Each judgement is a line of `log/rights.jsonl`, so that a test, or a
person, can see which rights a deployment needs.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.responses import S3Response
from moto.sts.models import sts_backends

from sandbox.services.aws.iam import boundary_of
from sandbox.services.aws.limits import parsed
from sandbox.services.aws.required_rights import Place, Right, required
from sandbox.services.aws.rights import allows
from sandbox.services.aws.sts.models import Caller, StsBackend, policies

_JUDGED_BY_THEMSELVES = ("AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleForPodIdentity")
_S3_ACTIONS = {"HeadBucket": "ListBucket", "HeadObject": "GetObject", "CopyObject": "PutObject"}
"""Operations whose action has another name."""


class AccessDenied(ServiceException):
    code = "AccessDeniedException"


class UnauthorizedOperation(ServiceException):
    """EC2's word for it."""

    code = "UnauthorizedOperation"


def enforce(judge: "Judge") -> None:
    """Let moto refuse what a role's policies do not allow to its session from now on."""
    carry_out = BaseResponse.call_action
    s3 = S3Response._authenticate_and_authorize_s3_action

    def call_action(self: BaseResponse) -> Any:
        refusal = judge.of_request(self)
        if refusal is None:
            return carry_out(self)
        status, headers, body = self.serialized(ActionResult(refusal))
        return status, {**headers, "status": str(status)}, body

    def authorize(self: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        s3(self, bucket_name=bucket_name, key_name=key_name)
        judge.of_s3(self, bucket_name, key_name)

    BaseResponse.call_action = call_action  # type: ignore[method-assign]
    S3Response._authenticate_and_authorize_s3_action = authorize  # type: ignore[assignment, method-assign]


class Judge:
    """`log` is the file of judgements."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def of_registry(self, account: str, access_key: str, right: Right) -> str | None:
        """The reason why the owner of an access key may not do something in the registry; None if they may."""
        caller = cast("StsBackend", sts_backends[account]["aws"]).caller(access_key)
        return next(iter(self._refusals(caller, [right])), None) if caller.role else None

    def of_request(self, response: BaseResponse) -> ServiceException | None:
        """The refusal of a request, unless its caller may make it."""
        service, operation = response.boto3_service_name, response._get_action()
        caller = _caller(response)
        if service == "s3" or operation in _JUDGED_BY_THEMSELVES or caller.role is None:
            return None
        place = Place(
            account=response.current_account, region=response.region, service=service, operation=operation or ""
        )
        needed = required(place, parsed(response))
        if needed is None:
            return AccessDenied(f"The sandbox does not know which rights {place.action} needs.")
        error = UnauthorizedOperation if service == "ec2" else AccessDenied
        return next((error(message) for message in self._refusals(caller, needed)), None)

    def of_s3(self, response: S3Response, bucket: str | None, key: str | None) -> None:
        """Raise moto's error for a request to S3, unless its caller may make it."""
        caller = _caller(response)
        if caller.role is None or not bucket:
            return
        operation = str(response.data.get("Action"))
        resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
        needed = [Right(action=f"s3:{_S3_ACTIONS.get(operation, operation)}", resource=resource)]
        if source := response.headers.get("x-amz-copy-source"):
            needed.append(Right(action="s3:GetObject", resource=f"arn:aws:s3:::{source.lstrip('/')}"))
        if any(self._refusals(caller, needed)):
            raise S3AccessDeniedError

    def _refusals(self, caller: Caller, needed: Iterable[Right]) -> list[str]:
        assert caller.role is not None  # noqa: S101 (callers look)
        held, boundary = policies(caller.role), boundary_of(caller.role)
        refused = []
        for right in needed:
            allowed = allows(held, right.action, right.resource, right.context, boundary=boundary)
            self._note(caller.role.name, right, allowed=allowed)
            if not allowed:
                refused.append(
                    f"User: {caller.arn} is not authorized to perform: {right.action} on resource: {right.resource} "
                    f"because no identity-based policy allows the {right.action} action"
                )
        return refused

    def _note(self, role: str, right: Right, *, allowed: bool) -> None:
        line = {"role": role, "action": right.action, "resource": right.resource, "context": dict(right.context)}
        with suppress(OSError):
            self._log.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a") as file:
                file.write(json.dumps({**line, "allowed": allowed}) + "\n")


def _caller(response: BaseResponse) -> Caller:
    backend = cast("StsBackend", sts_backends[response.current_account]["aws"])
    return backend.caller(response.get_access_key())
