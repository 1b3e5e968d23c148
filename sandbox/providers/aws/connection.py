"""The connection to AWS: a configured region, and boto3 clients that are made once."""

import os
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.endpoints import CREDENTIALS
from sandbox.providers.framework import IncompleteError, Property, ResourceKind, UnsupportedError
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_eks import EKSClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

# The provider's configuration that the sandbox accepts. The SDK sends the `skip...` options as defaults of every
# explicit provider; credentials are never checked.
CONFIGURATION = {
    "region": Property(replaces=True),
    "skipCredentialsValidation": Property(),
    "skipMetadataApiCheck": Property(),
    "skipRegionValidation": Property(),
    "skipRequestingAccountId": Property(),
}

TAGS = {"tags": Property()}
REGION = {"region": Property(computed=True, replaces=True)}

Client = TypeVar("Client")


class Credentials(NamedTuple):
    """AWS credentials: an access key, its secret, and the token of a session."""

    access_key: str
    secret_key: str
    token: str | None = None


ADMINISTRATOR = Credentials(CREDENTIALS, CREDENTIALS)


class AwsConnection:
    """AWS at one endpoint; every client is for `region` unless a resource names another."""

    def __init__(self, endpoint: str, region: str, credentials: Credentials = ADMINISTRATOR) -> None:
        self.region = region
        self.endpoint = endpoint
        # No credentials from the user's environment: the sandbox must not be able to reach a real account.
        self._session = boto3.Session(*credentials, region_name=region)
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()  # boto3's clients are thread-safe, its sessions are not

    @classmethod
    def of(cls, endpoint: str, credentials: Credentials, configuration: Properties) -> "AwsConnection":
        """Raises UnsupportedError if neither the configuration nor the environment names a region."""
        region = configuration.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region:
            raise UnsupportedError("No AWS region: set it with `pulumi config set aws:region` or in AWS_REGION.")
        return cls(endpoint, region, credentials)

    def region_of(self, properties: Properties) -> str:
        """The region of a resource: its own, or the provider's."""
        region: str = properties.get("region") or self.region
        return region

    def ecr(self, properties: Properties) -> "ECRClient":
        return cast("ECRClient", self._client("ecr", properties))

    def eks(self, properties: Properties) -> "EKSClient":
        return cast("EKSClient", self._client("eks", properties))

    def ec2(self, properties: Properties) -> "EC2Client":
        return cast("EC2Client", self._client("ec2", properties))

    def autoscaling(self, properties: Properties) -> "AutoScalingClient":
        return cast("AutoScalingClient", self._client("autoscaling", properties))

    def tagging(self, properties: Properties) -> Any:
        """The Resource Groups Tagging API."""
        return self._client("resourcegroupstaggingapi", properties)

    def iam(self) -> "IAMClient":
        return cast("IAMClient", self._client("iam", {}))

    def sts(self) -> "STSClient":
        return cast("STSClient", self._client("sts", {}))

    def kms(self, properties: Properties) -> Any:
        return self._client("kms", properties)

    def s3(self, properties: Properties) -> Any:
        return self._client("s3", properties)

    def service_quotas(self, properties: Properties) -> Any:
        return self._client("service-quotas", properties)

    def _client(self, service: str, properties: Properties) -> Any:
        key = (service, self.region_of(properties))
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(  # type: ignore[call-overload] # the service is a variable
                    service,
                    region_name=key[1],
                    endpoint_url=self.endpoint,
                    config=Config(max_pool_connections=32, retries={"total_max_attempts": 2}),
                )
            return self._clients[key]


class AwsKind(ResourceKind[AwsConnection]):
    """The base of AWS's resources: in a preview, their region and all their tags are known."""

    def predict(self, connection: AwsConnection, inputs: Properties) -> Properties:
        known: Properties = {}
        if "region" in self.inputs:
            known["region"] = connection.region_of(inputs)
        if "tags" in self.inputs:
            known["tagsAll"] = inputs.get("tags", {})
        return known

    def made(self, connection: AwsConnection, resource_id: str, inputs: Properties) -> tuple[str, Properties]:
        """The id and outputs of what was just made.

        Raises IncompleteError if AWS made it and then does not return it: the engine must record that it exists.
        """
        try:
            return resource_id, self.read(connection, resource_id, inputs) or {}
        except (BotoCoreError, ClientError) as error:
            raise IncompleteError(str(error), resource_id, inputs) from error


def tag_outputs(tags: dict[str, str]) -> Properties:
    """A resource's tags as outputs, without those that AWS sets itself."""
    own = {key: value for key, value in tags.items() if not key.startswith("aws:")}
    return {"tags": own or None, "tagsAll": own}


def tag_changes(outputs: Properties, inputs: Properties) -> tuple[dict[str, str], list[str]]:
    """The tags to set, and the keys of those to remove."""
    old, new = outputs.get("tags") or {}, inputs.get("tags") or {}
    return {key: value for key, value in new.items() if old.get(key) != value}, sorted(old.keys() - new.keys())
