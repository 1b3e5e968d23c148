"""The AWS provider: the resource types and functions of pulumi-aws that the program uses, on boto3."""

from functools import partial

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from sandbox.providers.aws.access_entry import AccessEntry, AccessPolicyAssociation
from sandbox.providers.aws.autoscaling import ScalingGroupTag
from sandbox.providers.aws.cluster_functions import CLUSTER_FUNCTIONS
from sandbox.providers.aws.connection import ADMINISTRATOR, CONFIGURATION, AwsConnection, Credentials
from sandbox.providers.aws.ecr import LifecyclePolicy, Repository
from sandbox.providers.aws.ecr_access import (
    AccountSetting,
    PullThroughCacheRule,
    RepositoryCreationTemplate,
    RepositoryPolicy,
)
from sandbox.providers.aws.functions import FUNCTIONS
from sandbox.providers.aws.iam import Policy, Role, RolePolicyAttachment
from sandbox.providers.aws.inventory import INVENTORY
from sandbox.providers.aws.kms import Alias, Key
from sandbox.providers.aws.launch_template import LaunchTemplate
from sandbox.providers.aws.node_group import GET_NODE_GROUP, NodeGroup
from sandbox.providers.aws.oidc_provider import OpenIdConnectProvider
from sandbox.providers.aws.pod_identity import PodIdentityAssociation
from sandbox.providers.aws.quota_functions import QUOTA_FUNCTIONS
from sandbox.providers.aws.s3 import (
    Bucket,
    BucketLifecycle,
    BucketPolicy,
    BucketPublicAccessBlock,
    BucketServerSideEncryption,
    BucketVersioning,
)
from sandbox.providers.framework import Provider

VERSION = "7.51.1"  # of pulumi-aws, whose property names and behaviour these kinds follow


def provider(endpoint: str, credentials: Credentials = ADMINISTRATOR) -> Provider[AwsConnection]:
    """The provider, talking to the AWS endpoint at this URL with these credentials, whatever the environment says."""
    return Provider(
        name="aws",
        version=VERSION,
        connect=partial(AwsConnection.of, endpoint, credentials),
        kinds=[
            Repository(),
            LifecyclePolicy(),
            RepositoryPolicy(),
            AccountSetting(),
            PullThroughCacheRule(),
            RepositoryCreationTemplate(),
            Role(),
            Policy(),
            RolePolicyAttachment(),
            LaunchTemplate(),
            NodeGroup(),
            PodIdentityAssociation(),
            ScalingGroupTag(),
            AccessEntry(),
            AccessPolicyAssociation(),
            OpenIdConnectProvider(),
            Key(),
            Alias(),
            Bucket(),
            BucketVersioning(),
            BucketPublicAccessBlock(),
            BucketServerSideEncryption(),
            BucketPolicy(),
            BucketLifecycle(),
        ],
        functions=(*FUNCTIONS, *CLUSTER_FUNCTIONS, *QUOTA_FUNCTIONS, *INVENTORY, GET_NODE_GROUP),
        configuration=CONFIGURATION,
        is_missing=_is_missing,
        is_unanswered=lambda error: isinstance(error, (NoConnectionError, HTTPClientError)),
    )


def _is_missing(error: Exception) -> bool:
    """Whether AWS reports a missing resource. Its services have no common error code for that."""
    if not isinstance(error, ClientError):
        return False
    code = error.response.get("Error", {}).get("Code", "")
    return code.startswith("NoSuch") or "NotFound" in code or code == "404"
