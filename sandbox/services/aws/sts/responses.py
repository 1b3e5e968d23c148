"""The STS operations over HTTP: moto's, after a judgement of the role's trust policy."""

from collections.abc import Mapping
from typing import Any, cast

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse

from sandbox.services.aws import tokens
from sandbox.services.aws.sts.models import StsBackend


class InvalidIdentityToken(ServiceException):
    code = "InvalidIdentityToken"


class StsResponse(TokenResponse):
    token_key: bytes
    """The key of the clusters' tokens."""

    @property
    def backend(self) -> StsBackend:
        return cast("StsBackend", sts_backends[self.current_account][self.partition])

    def assume_role(self) -> ActionResult:
        tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in self._get_param("Tags") or []}
        caller = self.backend.caller(self.get_access_key())
        self.backend.require_trust(caller, self._get_param("RoleArn"), tags)
        return super().assume_role()

    def assume_role_with_web_identity(self) -> ActionResult:
        try:
            claims = tokens.verify(self.token_key, self._get_param("WebIdentityToken"))
        except tokens.TokenError as error:
            raise InvalidIdentityToken(str(error)) from None
        provider, audience = self._provider(claims)
        issuer = provider.partition(":oidc-provider/")[2]
        context = {f"{issuer}:aud": audience, f"{issuer}:sub": claims["sub"]}
        self.backend.require_web_identity(provider, self._get_param("RoleArn"), context)
        return super().assume_role_with_web_identity()

    def _provider(self, claims: Mapping[str, Any]) -> tuple[str, str]:
        """The ARN of IAM's provider of the token's issuer, and the audience by which that knows the token."""
        iam = iam_backends[self.current_account][self.partition]
        for arn, provider in iam.open_id_providers.items():
            if arn.partition(":oidc-provider/")[2] == claims["iss"].removeprefix("https://"):
                for audience in [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]:
                    if audience in provider.client_id_list:
                        return arn, audience
                raise InvalidIdentityToken("Incorrect token audience")
        raise InvalidIdentityToken("No OpenIDConnect provider found in your account for " + claims["iss"])
