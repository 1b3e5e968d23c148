"""The settings of a stack: the frozen, typed schema of the namespace `buildyard`.

The classes declare types and defaults, each once; `projects`, `runners`, `cluster`, `registries` and `iam` have those
of one part. `checks` concerns several keys, and `sizing` checks with EC2's data whether jobs fit the nodes. Use
`parsing` to read settings.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, Field

from stacks.architecture import Architecture
from stacks.cluster import DEFAULT_NODES, Cluster, Network, Nodes
from stacks.iam import Iam
from stacks.model import Model
from stacks.monitoring import Monitoring
from stacks.problems import echo, refusal
from stacks.projects import Image, Project
from stacks.registries import Registry
from stacks.runners import Resources, Runners
from stacks.trust import Tier, Trust, review_repository

NAMESPACE = "buildyard"


class Identity(str, Enum):
    """How a build pod assumes its IAM role."""

    POD_IDENTITY = "pod-identity"
    """EKS Pod Identity; the cluster needs the add-on `eks-pod-identity-agent`."""
    IRSA = "irsa"
    """IAM roles for service accounts; the account needs an IAM OIDC provider for the cluster's issuer."""

    def __str__(self) -> str:
        return self.value


def _tag_text(text: str) -> str:
    """Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html"""
    if not all(sign.isalnum() or sign in " _.:/=+-@" for sign in text):
        raise refusal(f"{echo(text)} cannot be in an AWS tag", "Use letters, digits, spaces and _ . : / = + - @.")
    return text


def _tag_key(key: str) -> str:
    for prefix, owner in (("aws:", "AWS"), (f"{NAMESPACE}:", "Buildyard")):
        if key.lower().startswith(prefix):
            raise refusal(f"tags that begin with {prefix} belong to {owner}", "Use another key.")
    return _tag_text(key)


MAX_TAGS = 40
"""AWS allows 50 tags for a resource. The others are Buildyard's own and, of scaling groups, those of EKS."""
TagKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_tag_key)]
TagValue = Annotated[str, Field(max_length=256), AfterValidator(_tag_text)]


class Settings(Model):
    """The settings of one environment."""

    cluster: Cluster
    """The existing EKS cluster that runs the builds."""
    nodes: Annotated[dict[Architecture, Nodes], Field(min_length=1)] = DEFAULT_NODES
    """The build nodes: one node group per architecture."""
    runners: Runners = Runners()
    """The GitLab runners: the group whose projects can all start build jobs, and the defaults and ceilings of jobs."""
    network: Network = Network()
    """The networks that build pods may connect to; the company's authorities, proxy and mirrors."""
    registry: Registry = Registry()
    """The ECR registry: account, names, encryption, retention, who else may pull; and what else builds may pull."""
    monitoring: Monitoring = Monitoring()
    """Metrics: ServiceMonitors, alerts, a Grafana dashboard, and a Pushgateway for builds."""
    trust: Trust = Trust.ISOLATED
    """How merge requests are separated from releases: isolated, shared or protected-only."""
    identity: Identity = Identity.POD_IDENTITY
    """How a build pod assumes its IAM role: pod-identity or irsa."""
    iam: Iam = Iam()
    """The permissions boundary and the path of IAM roles."""
    projects: Annotated[tuple[Project, ...], Field(min_length=1)]
    """The GitLab projects, and the images of each."""
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_TAGS)] = {}
    """AWS tags for every resource, in addition to the platform's own."""

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """The architectures that the stack has nodes for, in the table's order."""
        return tuple(architecture for architecture in Architecture if architecture in self.nodes)

    def architectures_of(self, image: Image) -> tuple[Architecture, ...]:
        """The architectures that the image is built for, in the table's order."""
        wanted = image.architectures or self.architectures
        return tuple(architecture for architecture in Architecture if architecture in wanted)

    def repository_of(self, project: Project, image: Image) -> str:
        """The full name of the image's ECR repository."""
        return self._prefixed(project.repository(image))

    def review_repository_of(self, project: Project, image: Image) -> str | None:
        """The repository that merge requests push the image to. None without a tier of their own."""
        if Tier.UNPROTECTED not in self.trust.tiers or image.retired:
            return None
        return review_repository(self.repository_of(project, image))

    @property
    def release_repositories(self) -> Mapping[str, str]:
        """The repositories of releases and of the builder image, each with its image as in its AWS tag."""
        images = {
            self.repository_of(project, image): f"{project.path}/{image.name}"
            for project in self.projects
            for image in project.images
        }
        return {**images, **({self.builder_repository: "builder"} if self.builder_repository else {})}

    def pushed_repositories(self, tier: Tier) -> Iterator[str]:
        """The repositories that a tier's builds pull from and push to."""
        for project in self.projects:
            for image in project.built:
                repository = self.repository_of(project, image)
                yield repository if tier is Tier.PROTECTED else review_repository(repository)

    def pulled_repositories(self, tier: Tier) -> Iterator[str]:
        """The repositories that a tier's builds only pull from."""
        return iter(()) if tier is Tier.PROTECTED else self.pushed_repositories(Tier.PROTECTED)

    @property
    def builder_repository(self) -> str | None:
        """The repository of the image that jobs run in. None if the settings name another image."""
        return None if self.runners.builder_image else self._prefixed("buildyard/builder")

    def _prefixed(self, repository: str) -> str:
        return f"{self.registry.prefix}/{repository}" if self.registry.prefix else repository

    def resources_of(self, image: Image) -> Resources:
        """The resources of the image's build jobs."""
        return image.resources.over(self.runners.defaults)

    @property
    def runner_projects(self) -> tuple[str, ...]:
        """The projects that the runners belong to, the owner first. Empty if they belong to a group."""
        if self.runners.project:
            return (self.runners.project,)
        return tuple(project.path for project in self.projects) if self.runners.projects_only else ()

    @property
    def runner_group(self) -> str | None:
        """The group whose projects may use the runners. None if the runners belong to projects.

        The default is the group in which all projects lie. A group further up contains other projects, too: only the
        settings may choose it.
        """
        if self.runners.project or self.runners.projects_only:
            return None
        if self.runners.group:
            return self.runners.group
        groups = {project.path.rpartition("/")[0] for project in self.projects}
        return groups.pop() or None if len(groups) == 1 else None
