"""Names that more than one folder uses."""

import re

BUILDER_VARIABLE = "BUILDYARD_BUILDER_IMAGE"
"""The CI/CD variable that holds the image that jobs run in. The platform sets it in each project."""

SANDBOX = "sandbox"
"""The stack that is never deployed to real services."""
CA_VARIABLE = "BUILDYARD_CA_BUNDLE"
"""The variable by which a runner tells its jobs the file with the company's certificate authorities."""

PROXY_VARIABLE = "BUILDYARD_PROXY"
"""The variable by which a runner tells its jobs that the proxy is the stack's, so that `RUN` steps may know it."""

STATE_VARIABLE = "BUILDYARD_STATE"
"""The variable by which a runner tells its jobs the folder on the node where BuildKit's state outlives them."""

POD_IDENTITY_AGENT = "eks-pod-identity-agent"
"""EKS's add-on that gives pods the credentials of their role, and the DaemonSet of that add-on."""

AUTOSCALER_STATUS = "cluster-autoscaler-status"
"""The ConfigMap in which Cluster Autoscaler reports, in its own namespace."""

STACK_TAG = "buildyard:stack"
"""The AWS tag that says which stack a resource belongs to."""

IMAGE_TAG = "buildyard:image"
"""The AWS tag that says which image a repository is of."""


def dotenv_suffix(image: str) -> str:
    """The end of the names of an image's own variables in dotenv reports: `WEB` in `IMAGE_DIGEST_WEB`."""
    return re.sub(r"[^A-Z0-9]", "_", image.upper())


def stack_name(stack: str) -> str:
    """The prefix of the names of all resources of a stack."""
    return f"buildyard-{stack}"


def default_namespace(stack: str) -> str:
    """The Kubernetes namespace of a stack whose settings name none."""
    return stack_name(stack)


def preview_group(stack: str) -> str:
    """The Kubernetes group of those who preview a stack. Their access entry names it, and the stack's RBAC."""
    return f"{stack_name(stack)}-preview"
