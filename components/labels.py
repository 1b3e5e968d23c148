"""The marks of Buildyard's resources: AWS tags, Kubernetes labels, and the taint of build nodes."""

from collections.abc import Mapping

from stacks.architecture import Architecture

BUILDS = "buildyard.dev/builds"
"""The label of build nodes, whose value is the stack, and their taint, which keeps all other pods away."""

TAINT_VALUE = "true"

NODE_GROUP = "eks.amazonaws.com/nodegroup"
"""The label that EKS sets on every node: the name of its node group."""

BUILD_POD = "job.runner.gitlab.com/pod"
"""The label by which GitLab Runner marks every pod of a job. A job cannot change or remove it."""

PAUSE_POD = "runner.gitlab.com/pause-pod"
"""The label by which GitLab Runner marks pods that hold warm capacity, with the value `true`."""

DO_NOT_EVICT = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""Pod annotations that stop autoscalers from evicting a build, which would have to start again."""


def aws_tags(stack: str, own: Mapping[str, str]) -> dict[str, str]:
    """The tags of every AWS resource of a stack: the platform's and the settings' `own`, which cannot override them."""
    return {**own, "buildyard:project": "buildyard", "buildyard:stack": stack}


def image_tag(image: str) -> dict[str, str]:
    """The tag of an image's repository. `image` is the GitLab project's path, `/`, and the image's name."""
    return {"buildyard:image": image}


def kubernetes_labels(stack: str) -> dict[str, str]:
    """The labels of every Kubernetes object of a stack."""
    return {
        "app.kubernetes.io/part-of": "buildyard",
        "app.kubernetes.io/managed-by": "pulumi",
        "buildyard.dev/stack": stack,
    }


def node_labels(stack: str) -> dict[str, str]:
    """The labels of a stack's build nodes, in addition to kubelet's."""
    return {BUILDS: stack}


def node_selector(stack: str, architecture: Architecture, node_group: str) -> dict[str, str]:
    """The selector of this stack's build nodes of one architecture, also if several stacks share a cluster.

    It contains the node group's name, so that the new runner's builds do not run in a group that is being replaced.
    """
    return {**architecture.node_selector, **node_labels(stack), NODE_GROUP: node_group}
