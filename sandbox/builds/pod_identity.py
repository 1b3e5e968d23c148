"""EKS Pod Identity for builds: the agent of a node, which returns the role's credentials for a pod's token.

Programs find it by the same two variables, and use the same protocol, as on a node of EKS:
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import Any

import boto3
from botocore.exceptions import ClientError
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from sandbox.builds.proxy import QuietHandler, serving
from sandbox.services.aws.tokens import POD_IDENTITY, issue

_PATH = "/v1/credentials"
_JSON = "application/json"
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_SHORTEST_USE = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """The service account of pods."""

    cluster: str
    namespace: str
    name: str


def find_service_account(cluster: str, namespace: str, *, aws: str, region: str) -> ServiceAccount | None:
    """The service account of the namespace whose pods get a role, if there is one."""
    eks = boto3.Session("sandbox", "sandbox", region_name=region).client("eks", endpoint_url=aws)
    found = eks.list_pod_identity_associations(clusterName=cluster, namespace=namespace)["associations"]
    return ServiceAccount(cluster=cluster, namespace=namespace, name=found[0]["serviceAccount"]) if found else None


@contextmanager
def pod_identity(
    accounts: Collection[ServiceAccount], *, aws: str, region: str, key: bytes
) -> Iterator[Mapping[ServiceAccount, dict[str, str]]]:
    """Run the agent of a node for pods of these service accounts of one cluster.

    The value is what EKS puts into the environment of each account's pods. `key` signs the cluster's tokens.
    """
    [cluster] = {account.cluster for account in accounts}
    session = boto3.Session("sandbox", "sandbox", region_name=region)
    issuer = session.client("eks", endpoint_url=aws).describe_cluster(name=cluster)["cluster"]["identity"]["oidc"]
    held = _HeldCredentials(cluster, session.client("eks-auth", endpoint_url=aws))

    @Request.application
    def agent(request: Request) -> Response:
        if request.path != _PATH:
            return Response("There is nothing here.\n", 404)
        try:
            return Response(json.dumps(held.get(request.headers.get("Authorization", "none"))), mimetype=_JSON)
        except ClientError as error:
            return Response(f"{error}\n", error.response["ResponseMetadata"]["HTTPStatusCode"])

    with serving(make_server("127.0.0.1", 0, agent, threaded=True, request_handler=QuietHandler)) as url:
        yield {
            account: {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{_PATH}",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": issue(
                    key,
                    issuer=issuer["issuer"],
                    namespace=account.namespace,
                    service_account=account.name,
                    audience=POD_IDENTITY,
                ),
                "AWS_REGION": region,
            }
            for account in accounts
        }


class _HeldCredentials:
    """The roles' credentials: the same ones for every request with the same token, as EKS's agent returns them.

    ECR's credential helper depends on that: it reuses an ECR token only while the access key stays the same.
    """

    def __init__(self, cluster: str, eks_auth: Any) -> None:
        self._cluster, self._eks_auth = cluster, eks_auth
        self._assuming = Lock()
        self._held: dict[str, tuple[dict[str, str], datetime]] = {}  # credentials and their end, by token

    def get(self, token: str) -> dict[str, str]:
        """The credentials for a pod's token, in the agent's format. Raises ClientError if EKS refuses the token."""
        with self._assuming:
            credentials, until = self._held.get(token, ({}, _NEVER))
            if until - datetime.now(timezone.utc) < _SHORTEST_USE:
                credentials, until = self._held[token] = self._assume(token)
            return credentials

    def _assume(self, token: str) -> tuple[dict[str, str], datetime]:
        answer = self._eks_auth.assume_role_for_pod_identity(clusterName=self._cluster, token=token)
        got = answer["credentials"]
        credentials = {
            "AccessKeyId": got["accessKeyId"],
            "SecretAccessKey": got["secretAccessKey"],
            "Token": got["sessionToken"],
            "AccountId": answer["assumedRoleUser"]["arn"].split(":")[4],
            "Expiration": got["expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return credentials, got["expiration"]
