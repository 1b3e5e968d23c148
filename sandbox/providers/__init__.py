"""The Pulumi side of the emulated services."""

from typing import Any

from sandbox.providers import aws, gitlab, kubernetes
from sandbox.providers.framework import Provider


def providers(*, aws_url: str, kubernetes_url: str) -> tuple[Provider[Any], ...]:
    """Every provider of the sandbox; GitLab's finds its service by `GITLAB_BASE_URL` and `GITLAB_TOKEN`."""
    return aws.provider(aws_url), gitlab.provider(), kubernetes.provider(kubernetes_url)
