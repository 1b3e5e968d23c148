"""Bucket policies with their conditions, which moto ignores: it would take every denial for one without a condition."""

import json

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from sandbox.services.aws.rights import effects_on

_CONTEXT = {"aws:SecureTransport": "true"}
"""The sandbox listens on loopback without TLS; clients see it as AWS, which they reach with TLS."""


def extend_moto() -> None:
    """Let moto judge requests by the whole of a bucket's policy."""
    FakeBucket.get_permission = _permission  # type: ignore[assignment, method-assign]


def _permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    found = effects_on(json.loads(bucket.policy), "*", action, resource, _CONTEXT)
    if "Deny" in found:
        return PermissionResult.DENIED
    return PermissionResult.PERMITTED if found else PermissionResult.NEUTRAL
