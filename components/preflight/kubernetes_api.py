"""The cluster's own API, which no function of Pulumi's providers asks."""

import base64
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from components.preflight.checks import RefusalError

_SECONDS = 10
_RETRY = Retry(total=1, read=False, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), raise_on_status=False)


class UnreachableError(Exception):
    """The API does not answer from here. The text says what happened instead."""


class KubernetesRefusalError(RefusalError):
    """The API refused a request with the HTTP status `code`. The text is its own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Adapter(HTTPAdapter):
    """Take an authority without key identifiers, as older clusters of EKS have, and as Go does.

    Python 3.13 refuses it, but not with a context that is made so: https://github.com/kubernetes-client/python/issues/2394
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, **kwargs, ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


class _Bearer(AuthBase):
    """A token, over which no netrc file takes precedence."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _reason(error: requests.RequestException) -> str:
    """Why there is no answer, in words."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {_SECONDS} seconds"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy that HTTPS_PROXY names does not lead there; NO_PROXY can name the hosts that need none"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not from the cluster's own authority"
    return "no connection to it"


@dataclass(frozen=True, kw_only=True)
class KubernetesApi:
    """The API at `endpoint`, for the holder of a token. `certificate_authority` is base64, as EKS returns it."""

    endpoint: str
    certificate_authority: str
    token: str = field(repr=False)

    def list(self, path: str, *, name: str) -> list[Mapping[str, Any]]:
        """The objects of a collection with this name, in all namespaces.

        Raises UnreachableError and KubernetesRefusalError.
        """
        answer = self._request("GET", path, params={"fieldSelector": f"metadata.name={name}"})
        return [item for item in answer.get("items") or () if isinstance(item, Mapping)]

    def may_create(self, resource: str, *, group: str) -> bool:
        """Whether the token's holder may create objects of a kind. Raises UnreachableError and KubernetesRefusalError.

        Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
        """
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "create", "group": group, "resource": resource}},
        }
        answer = self._request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=body)
        return (answer.get("status") or {}).get("allowed") is True

    def _request(self, method: str, path: str, **content: Any) -> Mapping[str, Any]:
        with self._authority() as file, requests.Session() as session:
            session.mount("https://", _Adapter(max_retries=_RETRY))
            try:
                response = session.request(
                    method,
                    self.endpoint + path,
                    auth=_Bearer(self.token),
                    verify=file,
                    timeout=_SECONDS,
                    allow_redirects=False,  # nobody else gets the token
                    **content,
                )
            except requests.RequestException as error:
                raise UnreachableError(_reason(error)) from None
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if isinstance(answer, Mapping) and response.ok:
            return answer
        if isinstance(answer, Mapping) or response.status_code == 429 or response.status_code >= 500:
            said = answer.get("message") if isinstance(answer, Mapping) else None  # it refuses overload in plain text
            raise KubernetesRefusalError(response.status_code, str(said or response.reason))
        raise UnreachableError("what answers is not Kubernetes")

    @contextmanager
    def _authority(self) -> Iterator[str]:
        """The authority's certificate in a file, since requests takes nothing else."""
        with NamedTemporaryFile(suffix=".pem") as file:
            file.write(base64.b64decode(self.certificate_authority))
            file.flush()
            yield file.name
