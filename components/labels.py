"""The words by which what Buildyard makes is found: AWS tags, Kubernetes labels, and the taint of build nodes."""

from collections.abc import Mapping

from stacks.architecture import Architecture

BUILDS = "buildyard.dev/builds"
"""On a build node: the label names the stack whose builds it runs, the taint keeps every other pod away."""

TAINT_VALUE = "true"

NODE_GROUP = "eks.amazonaws.com/nodegroup"
"""The label by which EKS says of every node what group it is of."""

DO_NOT_EVICT = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""Pod annotations that stop an autoscaler from moving a build, which would start from its beginning elsewhere."""


def aws_tags(stack: str, own: Mapping[str, str]) -> dict[str, str]:
    """The tags of every AWS resource of a stack: the platform's, and the settings' `own`, which cannot replace them."""
    return {**own, "buildyard:project": "buildyard", "buildyard:stack": stack}


def image_tag(image: str) -> dict[str, str]:
    """The tag that tells the repositories of a stack apart; `image` is the GitLab project's path, `/`, its name."""
    return {"buildyard:image": image}


def kubernetes_labels(stack: str) -> dict[str, str]:
    """The labels of every Kubernetes object of a stack."""
    return {
        "app.kubernetes.io/part-of": "buildyard",
        "app.kubernetes.io/managed-by": "pulumi",
        "buildyard.dev/stack": stack,
    }


def node_labels(stack: str) -> dict[str, str]:
    """The labels of a stack's build nodes, beside those that kubelet sets."""
    return {BUILDS: stack}


def node_selector(stack: str, architecture: Architecture, node_group: str) -> dict[str, str]:
    """What chooses the build nodes of one architecture, and of this stack where several share a cluster.

    By name, so that a group which is being replaced gets no build of the new one's runner.
    """
    return {**architecture.node_selector, **node_labels(stack), NODE_GROUP: node_group}
