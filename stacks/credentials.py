"""The variables with AWS credentials that published jobs unset."""

from fnmatch import fnmatchcase

CREDENTIALS = (
    *("AWS_ACCESS_KEY*", "AWS_SECRET_*", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_BEARER_TOKEN*"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_*", "AWS_CONTAINER_*", "AWS_ENDPOINT_URL*", "AWS_EC2_METADATA_SERVICE_*"),
    "DOCKER_AUTH_CONFIG",
)
"""Patterns of variables that clients of AWS and of its registry prefer to a pod's role. The published jobs unset them.
"""


def is_unset(variable: str) -> bool:
    """Whether every job unsets this variable."""
    return any(fnmatchcase(variable, pattern) for pattern in CREDENTIALS)
