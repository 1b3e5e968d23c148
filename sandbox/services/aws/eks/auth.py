"""The EKS Auth API, by which the Pod Identity agent of a node gets the credentials of a pod's role.

Behaviour: https://docs.aws.amazon.com/eks/latest/APIReference/API_auth_AssumeRoleForPodIdentity.html
"""

import re
from typing import cast

from moto import backend_index
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.eks.models import eks_backends
from moto.sts.models import sts_backends

from sandbox.services.aws import tokens
from sandbox.services.aws.eks.models import EksBackend
from sandbox.services.aws.sts.models import AccessDenied, StsBackend

_HOST = re.compile(r"https?://eks-auth\.(.+)\.amazonaws\.com")


def extend_moto() -> None:
    """Let moto find this API among those of EKS, by the name in a request's signature."""
    if ("eks", _HOST) not in backend_index.backend_url_patterns:
        backend_index.backend_url_patterns.append(("eks", _HOST))


class RefusalError(ServiceException):
    """An error code of the API, and a message."""


class EksAuthResponse(BaseResponse):
    token_key: bytes
    """The key of the clusters' tokens."""

    def __init__(self) -> None:
        super().__init__(service_name="eks-auth")

    def assume_role_for_pod_identity(self) -> ActionResult:
        """The role of the association of the token's service account. A request cannot name another one."""
        eks = cast("EksBackend", eks_backends[self.current_account][self.region])
        sts = cast("StsBackend", sts_backends[self.current_account]["aws"])
        cluster = eks.describe_cluster(self._get_param("clusterName"))
        caller, action = sts.caller(self.get_access_key()), "eks-auth:AssumeRoleForPodIdentity"
        if not caller.may(action, cluster.arn):
            message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {cluster.arn}"
            raise RefusalError("AccessDeniedException", message)
        namespace, service_account = self._service_account(cluster.identity["oidc"]["issuer"])
        association = eks.association_of(cluster.name, namespace, service_account)
        if association is None:
            message = f"No pod identity association of {namespace}/{service_account} in {cluster.name}."
            raise RefusalError("ResourceNotFoundException", message)
        tags = {
            "eks-cluster-arn": cluster.arn,
            "kubernetes-namespace": namespace,
            "kubernetes-service-account": service_account,
        }
        sent = {} if association["disableSessionTags"] else {f"aws:RequestTag/{key}": tags[key] for key in tags}
        try:
            session = sts.assume_as_service(
                tokens.POD_IDENTITY, association["roleArn"], session=f"eks-{cluster.name}-build", tags=sent
            )
        except AccessDenied as error:
            raise RefusalError("AccessDeniedException", error.message) from None
        return ActionResult(
            {
                "subject": {"namespace": namespace, "serviceAccount": service_account},
                "audience": tokens.POD_IDENTITY,
                "podIdentityAssociation": {key: association[key] for key in ("associationArn", "associationId")},
                "assumedRoleUser": {"arn": session.arn, "assumeRoleId": session.user_id},
                "credentials": {
                    "accessKeyId": session.access_key_id,
                    "secretAccessKey": session.secret_access_key,
                    "sessionToken": session.session_token,
                    "expiration": session.expiration,
                },
            }
        )

    def _service_account(self, issuer: str) -> tuple[str, str]:
        """The namespace and the name of the service account that a pod of this cluster proves to have."""
        try:
            claims = tokens.verify(self.token_key, self._get_param("token"))
        except tokens.TokenError as error:
            raise RefusalError("InvalidTokenException", str(error)) from None
        if claims["iss"] != issuer or tokens.POD_IDENTITY not in claims["aud"]:
            raise RefusalError("InvalidTokenException", "The token is for another cluster or another audience.")
        return claims["kubernetes.io"]["namespace"], claims["kubernetes.io"]["serviceaccount"]["name"]
