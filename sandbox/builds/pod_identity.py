"""EKS Pod Identity for builds: the agent that returns the role's credentials for a pod's token.

Programs find it by the same two variables, and use the same protocol, as on a node of EKS:
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from threading import Lock

import boto3
from botocore.exceptions import ClientError
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from sandbox.builds.proxy import QuietHandler, serving

_PATH = "/v1/credentials"
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
def pod_identity(account: ServiceAccount, *, aws: str, region: str) -> Iterator[dict[str, str]]:
    """Run the agent for the pods of one service account. The value is what EKS puts into their environment."""
    token = secrets.token_urlsafe(24)
    held = _HeldCredentials(account, aws=aws, region=region)

    @Request.application
    def agent(request: Request) -> Response:
        if request.path != _PATH or request.headers.get("Authorization") != token:
            return Response("This is not the pod's token.\n", 401)
        try:
            return Response(json.dumps(held.get()), mimetype="application/json")
        except LookupError as error:
            return Response(f"{error}\n", 404)
        except ClientError as error:
            return Response(f"{error}\n", 400)

    with serving(make_server("127.0.0.1", 0, agent, threaded=True, request_handler=QuietHandler)) as url:
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
            "AWS_REGION": region,
        }


class _HeldCredentials:
    """The role's credentials: the same ones for every request with the same token, as EKS's agent returns them.

    ECR's credential helper depends on that: it reuses an ECR token only while the access key stays the same.
    """

    def __init__(self, account: ServiceAccount, *, aws: str, region: str) -> None:
        self._account = account
        session = boto3.Session("sandbox", "sandbox", region_name=region)
        self._eks = session.client("eks", endpoint_url=aws)
        self._sts = session.client("sts", endpoint_url=aws)
        self._assuming = Lock()
        self._credentials: dict[str, str] = {}
        self._until = datetime.min.replace(tzinfo=timezone.utc)

    def get(self) -> dict[str, str]:
        """The credentials in the agent's format. Raises LookupError without a role, ClientError if AWS refuses."""
        with self._assuming:
            if self._until - datetime.now(timezone.utc) < _SHORTEST_USE:
                self._credentials, self._until = self._assume()
            return self._credentials

    def _assume(self) -> tuple[dict[str, str], datetime]:
        account = self._account
        found = self._eks.list_pod_identity_associations(
            clusterName=account.cluster, namespace=account.namespace, serviceAccount=account.name
        )["associations"]
        if not found:
            raise LookupError(
                f"No pod identity association of {account.namespace}/{account.name} in {account.cluster}."
            )
        association = self._eks.describe_pod_identity_association(
            clusterName=account.cluster, associationId=found[0]["associationId"]
        )["association"]
        tags = {
            "eks-cluster-arn": self._eks.describe_cluster(name=account.cluster)["cluster"]["arn"],
            "kubernetes-namespace": account.namespace,
            "kubernetes-service-account": account.name,
        }
        role = self._sts.assume_role(
            RoleArn=association["roleArn"],
            RoleSessionName=f"eks-{account.cluster}-build",
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )["Credentials"]
        credentials = {
            "AccessKeyId": role["AccessKeyId"],
            "SecretAccessKey": role["SecretAccessKey"],
            "Token": role["SessionToken"],
            "AccountId": association["roleArn"].split(":")[4],
            "Expiration": role["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return credentials, role["Expiration"]
