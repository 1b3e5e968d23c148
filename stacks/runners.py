"""The settings of the GitLab runners and of the resources of their jobs."""

from typing import Annotated

from pydantic import AfterValidator, Field

from stacks.fields import GitLabPath, ImageReference, Integer, KubernetesName, Minutes
from stacks.model import Model
from stacks.names import default_namespace
from stacks.problems import refusal
from stacks.quantities import Quantity
from stacks.trust import Tier
from stacks.warm import Warm


def _unowned_namespace(name: str) -> str:
    if name in _OWNED_NAMESPACES or name.startswith(_OWNED_PREFIXES):
        raise refusal(f"the namespace {name} is not Buildyard's", "Use a namespace that nothing else uses.")
    return name


_OWNED_NAMESPACES = (
    "default",
    "cert-manager",
    "karpenter",
    "external-secrets",
    "argocd",
    "flux-system",
    "istio-system",
)

_OWNED_PREFIXES = ("kube-", "eks-", "aws-", "amazon-")
"""Kubernetes', EKS's and their add-ons' namespaces. Buildyard relaxes its namespace's pod security, and deletes it."""


class Bounds(Model):
    """A container's request and limit of one resource."""

    request: Quantity | None = None
    """The amount that the scheduler reserves."""
    limit: Quantity | None = None
    """The amount that the container cannot exceed."""

    def over(self, defaults: "Bounds") -> "Bounds":
        """These bounds, with the defaults for missing ones."""
        return Bounds(request=self.request or defaults.request, limit=self.limit or defaults.limit)


class Resources(Model):
    """A container's requests and limits, as Kubernetes quantities: CPU in cores, the others in bytes."""

    cpu: Bounds = Bounds()
    memory: Bounds = Bounds()
    ephemeral_storage: Bounds = Bounds()

    def over(self, defaults: "Resources") -> "Resources":
        """These resources, with the defaults for missing bounds."""
        return Resources.model_validate(
            {name.replace("_", "-"): bounds.over(getattr(defaults, name)) for name, bounds in self}
        )


class Ceilings(Model):
    """The largest request and limit that a job may have. The runner fails a job that asks for more."""

    cpu: Quantity = Quantity("8")
    memory: Quantity = Quantity("15Gi")
    ephemeral_storage: Quantity = Quantity("50Gi")


class Runners(Model):
    """The GitLab runners, one per trust tier and architecture, and the resources of their jobs."""

    group: GitLabPath | None = None
    """The GitLab group whose projects, subgroups' included, can all start build jobs, also those not in the settings.
    Required unless all projects lie directly in one group, which is the default."""
    project: GitLabPath | None = None
    """The only GitLab project that may use the runners, instead of a group."""
    concurrent: Annotated[Integer, Field(ge=1, le=1000)] = 50
    """The maximum number of concurrent jobs, per trust tier and architecture."""
    defaults: Resources = Resources.model_validate(
        {
            "cpu": {"request": "2", "limit": "4"},
            "memory": {"request": "4Gi", "limit": "8Gi"},
            "ephemeral-storage": {"request": "20Gi"},
        }
    )
    """The resources of a job that sets none."""
    ceilings: Ceilings = Ceilings()
    helper: Resources = Resources.model_validate(
        {
            "cpu": {"request": "100m", "limit": "1"},
            "memory": {"request": "256Mi", "limit": "512Mi"},
            "ephemeral-storage": {"request": "100Mi", "limit": "10Gi"},
        }
    )
    """The resources of the helper container in each job's pod, which clones the repository and uploads artifacts."""
    services: Resources = Resources.model_validate(
        {
            "cpu": {"request": "100m", "limit": "2"},
            "memory": {"request": "256Mi", "limit": "2Gi"},
            "ephemeral-storage": {"request": "100Mi", "limit": "10Gi"},
        }
    )
    """The resources of each container that a job adds with `services:`. Jobs cannot change them."""
    namespace: Annotated[KubernetesName, AfterValidator(_unowned_namespace)] | None = None
    """The Kubernetes namespace. The unprotected tier's has the suffix `-unprotected`. Default: `buildyard-STACK`."""
    builder_image: ImageReference | None = None
    """The image that jobs run in, built from `images/builder`. Default: that image in the stack's own registry."""
    maximum_timeout_minutes: Minutes = 180
    """The runner's limit for the timeout of any job."""
    node_wait_minutes: Annotated[Integer, Field(ge=3, le=60)] = 10
    """How long a job waits for its pod. A new node takes minutes to start."""
    warm: Warm = Warm()
    """Capacity that waits for jobs: when, and for how many."""
    user_namespaces: bool = False
    """Whether build pods have user namespaces of their own (`hostUsers: false`). Needs Kubernetes 1.33 or newer."""

    def namespace_of(self, stack: str, tier: Tier) -> str:
        """The Kubernetes namespace of a tier's runners and builds."""
        return tier.of(self.namespace or default_namespace(stack))
