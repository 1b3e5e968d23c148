"""The tokens of a cluster's service accounts, by which AWS knows a pod, and those of GitLab's jobs.

They have the claims of Kubernetes' and GitLab's own tokens. An issuer signs with a private key, and AWS reads the
public one at the issuer's address; here a secret key, which no job can read, stands for both.
Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

from moto.core.utils import utcnow

from sandbox.services.document import write_private

POD_IDENTITY = "pods.eks.amazonaws.com"
STS = "sts.amazonaws.com"
_LIFETIME = timedelta(days=1)
_HEADER = {"alg": "HS256", "kid": "sandbox"}


class TokenError(ValueError):
    """The reason why a token is not accepted."""


def signing_key(directory: Path) -> bytes:
    """The key of the clusters of the sandbox in `directory`, created at first use. Only its owner can read it."""
    path = directory / "aws" / "service-account-key"
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return bytes.fromhex(path.read_text(encoding="utf-8"))


def issue(key: bytes, *, issuer: str, namespace: str, service_account: str, audience: str) -> str:
    """A token as the kubelet mounts it into a pod."""
    return _signed(
        key,
        aud=[audience],
        iss=issuer,
        sub=f"system:serviceaccount:{namespace}:{service_account}",
        **{"kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": service_account}}},
    )


def issue_to_job(
    key: bytes, *, gitlab: str, project: str, ref: str, ref_type: str = "branch", audience: str = STS
) -> str:
    """A token as a job of GitLab gets it for one audience (`id_tokens`). `gitlab` is GitLab's address.

    Source: https://docs.gitlab.com/ci/secrets/id_token_authentication/
    """
    subject = f"project_path:{project}:ref_type:{ref_type}:ref:{ref}"
    return _signed(key, aud=audience, iss=gitlab, sub=subject, project_path=project, ref=ref, ref_type=ref_type)


def _signed(key: bytes, **own: Any) -> str:
    now = _now()
    claims = {**own, "exp": now + int(_LIFETIME.total_seconds()), "iat": now}
    signed = f"{_encode(json.dumps(_HEADER).encode())}.{_encode(json.dumps(claims).encode())}"
    return f"{signed}.{_encode(_signature(key, signed))}"


def verify(key: bytes, token: str) -> Mapping[str, Any]:
    """The claims of a token that one of the clusters issued. Raises TokenError."""
    signed, _, signature = token.rpartition(".")
    try:
        if not hmac.compare_digest(_decode(signature), _signature(key, signed)):
            raise TokenError("The token's signature is not that of its issuer.")
        claims = json.loads(_decode(signed.partition(".")[2]))
    except ValueError as error:
        raise error if isinstance(error, TokenError) else TokenError("This is not a token.") from None
    if claims["exp"] <= _now():
        raise TokenError("The token has expired.")
    return dict(claims)


def _now() -> int:
    return int(utcnow().replace(tzinfo=timezone.utc).timestamp())


def _signature(key: bytes, signed: str) -> bytes:
    return hmac.digest(key, signed.encode(), hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
