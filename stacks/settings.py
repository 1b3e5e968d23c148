"""What a stack may say: the frozen, typed schema of the namespace `buildyard`.

The classes hold the shape and the defaults, each declared once. What concerns more than one key is in `checks`; whether
jobs fit the nodes, which only the cloud can tell, is in `sizing`. `parsing` is the way in.
"""

import posixpath
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from stacks.architecture import Architecture
from stacks.names import default_namespace
from stacks.problems import nearest, refusal
from stacks.quantities import GIBIBYTE, Quantity

NAMESPACE = "buildyard"


class Capacity(str, Enum):
    """How EC2 sells the build nodes."""

    SPOT = "spot"
    """Cheap, and taken away at two minutes' notice; the published jobs retry what that breaks."""
    ON_DEMAND = "on-demand"

    def __str__(self) -> str:
        return self.value


class Identity(str, Enum):
    """How a build pod becomes an IAM role."""

    POD_IDENTITY = "pod-identity"
    """EKS Pod Identity; the cluster needs the add-on `eks-pod-identity-agent`."""
    IRSA = "irsa"
    """IAM roles for service accounts; the account needs an IAM OIDC provider for the cluster's issuer."""

    def __str__(self) -> str:
        return self.value


def _known_time_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
        close = nearest(name, zones)
        advice = close if close.startswith("Did") else "Use a name of the IANA database, such as Asia/Hong_Kong or UTC."
        raise refusal(f"there is no time zone {name!r}", advice) from None


def _inside_repository(path: str) -> str:
    if path.startswith("/") or posixpath.normpath(path).split("/")[0] == "..":
        raise refusal(f"{path!r} is outside the repository", "Give a path relative to the repository's root.")
    return posixpath.normpath(path)


def _whole_gibibytes(size: Quantity) -> Quantity:
    if size.value % GIBIBYTE or size.value == 0:
        raise refusal(f"{size} is not a whole number of GiB, as EBS volumes are", "Write it as, for example, 200Gi.")
    return size


def _text(pattern: str, advice: str, *, min_length: int = 1, max_length: int | None = None) -> Any:
    """A string of one form; people who write another are told `advice`, in the preview and in their editor."""
    editor: JsonDict = {"patternErrorMessage": advice}
    return Field(pattern=pattern, min_length=min_length, max_length=max_length, json_schema_extra=editor)


_NAME = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"

Name = Annotated[
    str, _text(rf"^{_NAME}$", "Use lower-case letters and digits, joined by single '.', '_' or '-'.", max_length=100)
]
"""Legal in a job's name, a file's path and an ECR repository."""

RepositoryName = Annotated[
    str,
    _text(
        rf"^{_NAME}(?:/{_NAME})*$",
        "Use lower-case words joined by '/', '.', '_' or '-', such as platform/images/toolbox.",
        min_length=2,
        max_length=256,
    ),
]
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

GitLabPath = Annotated[
    str, _text(rf"^{_SEGMENT}(?:/{_SEGMENT})*$", "Give the path as it stands in its address, such as platform/images.")
]
RepositoryPath = Annotated[str, AfterValidator(_inside_repository)]
VariableName = Annotated[str, _text(r"^[A-Za-z_][A-Za-z0-9_]*$", "Use letters, digits and '_', not first a digit.")]
InstanceType = Annotated[str, _text(r"^[a-z0-9-]+\.[a-z0-9-]+$", "Name EC2 instance types, such as m7g.4xlarge.")]
Minutes = Annotated[int, Field(ge=10, le=60 * 24 * 7)]


KubernetesName = Annotated[
    str, _text(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "Use lower-case letters, digits and '-'.", max_length=63)
]


class Model(BaseModel):
    """A group of settings: frozen, unknown keys refused, spelled with dashes in YAML."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda field: field.replace("_", "-"),
        use_attribute_docstrings=True,
    )


class Bounds(Model):
    """What a container asks of one resource, and at most gets."""

    request: Quantity | None = None
    """What the scheduler sets aside."""
    limit: Quantity | None = None
    """What the container cannot exceed."""

    def over(self, defaults: "Bounds") -> "Bounds":
        """These bounds, with the defaults where they say nothing."""
        return Bounds(request=self.request or defaults.request, limit=self.limit or defaults.limit)


class Resources(Model):
    """Requests and limits of a container; CPU in cores, the others in bytes, all as Kubernetes quantities."""

    cpu: Bounds = Bounds()
    memory: Bounds = Bounds()
    ephemeral_storage: Bounds = Bounds()

    def over(self, defaults: "Resources") -> "Resources":
        """These resources, with the defaults where they say nothing."""
        return Resources.model_validate(
            {name.replace("_", "-"): bounds.over(getattr(defaults, name)) for name, bounds in self}
        )


class Ceilings(Model):
    """The most that a job may ask of each resource; the runner fails a job that asks for more."""

    cpu: Quantity = Quantity("8")
    memory: Quantity = Quantity("15Gi")
    ephemeral_storage: Quantity = Quantity("50Gi")


class Cluster(Model):
    """The existing EKS cluster that runs the builds."""

    name: Annotated[
        str, _text(r"^[0-9A-Za-z][A-Za-z0-9_-]*$", "Give the name that `aws eks list-clusters` shows.", max_length=100)
    ]
    subnet_ids: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Where build nodes start. Default: the cluster's own subnets."""


class Nodes(Model):
    """The node group of one architecture. It starts empty and scales with the builds."""

    instance_types: Annotated[tuple[InstanceType, ...], Field(min_length=1, max_length=20)]
    """In order of preference; the job that asks for most must fit at least one."""
    max_size: Annotated[int, Field(ge=1, le=450)] = 10
    """The most nodes at once."""
    disk: Annotated[Quantity, AfterValidator(_whole_gibibytes)] = Quantity("200Gi")
    """The root volume, which holds images, build state and the jobs' ephemeral storage."""
    capacity: Capacity = Capacity.SPOT


DEFAULT_NODES = {
    architecture: Nodes.model_validate({"instance-types": architecture.instance_types}) for architecture in Architecture
}


class Runners(Model):
    """GitLab runners, one an architecture, and what their jobs get."""

    group: GitLabPath | None = None
    """The GitLab group that may use the runners. Default: the group that all projects share."""
    project: GitLabPath | None = None
    """Instead of a group: the one GitLab project that may use the runners."""
    concurrent: Annotated[int, Field(ge=1, le=1000)] = 20
    """Jobs at once, for each architecture."""
    defaults: Resources = Resources.model_validate(
        {
            "cpu": {"request": "2", "limit": "4"},
            "memory": {"request": "4Gi", "limit": "8Gi"},
            "ephemeral-storage": {"request": "20Gi"},
        }
    )
    """What a job gets that asks for nothing."""
    ceilings: Ceilings = Ceilings()
    helper: Resources = Resources.model_validate(
        {"cpu": {"request": "100m", "limit": "1"}, "memory": {"request": "256Mi", "limit": "512Mi"}}
    )
    """What the container beside each job gets, which clones the repository and uploads artifacts."""
    namespace: KubernetesName | None = None
    """The Kubernetes namespace. Default: `buildyard-STACK`."""
    builder_image: str | None = None
    """The image that jobs run in, built from `images/builder`. Default: that image in the stack's own registry."""
    maximum_timeout_minutes: Minutes = 180
    """The longest that the runner lets any job run."""
    node_wait_minutes: Annotated[int, Field(ge=3, le=60)] = 10
    """How long a job waits for its pod; a new node takes minutes to start."""

    def namespace_of(self, stack: str) -> str:
        """The Kubernetes namespace of the stack's runners and builds."""
        return self.namespace or default_namespace(stack)


class Registry(Model):
    """The ECR registry of the account that the stack deploys to."""

    account: Annotated[str, _text(r"^[0-9]{12}$", 'Write the 12 digits in quotes: "123456789012".')] | None = None
    """The AWS account. When given, a deployment with another account's credentials is refused."""
    prefix: RepositoryName | None = None
    """Put before every repository's name, for two stacks in one account."""
    kms_key: str | None = None
    """ARN of the KMS key that encrypts the images. Default: ECR's own key (AES-256)."""
    keep_untagged_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days until an image without a tag expires, such as a cache that a newer one replaced."""
    keep_cache_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days until a branch's build cache expires that no build has renewed."""
    force_delete: bool = False
    """Whether removing an image from the settings deletes its repository with all that is in it."""


class Image(Model):
    """One container image: a build context in the project's Git repository, and the ECR repository it goes to."""

    name: Name
    """Names the jobs, `build-NAME:arm64`."""
    context: RepositoryPath
    """The build context's folder."""
    dockerfile: str = "Dockerfile"
    """The Dockerfile's path, relative to the context."""
    repository: RepositoryName | None = None
    """The ECR repository. Default: the project's path in lower case, `/`, the name."""
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)] | None = None
    """Default: all that the stack has nodes for."""
    depends_on: tuple[Name, ...] = ()
    """Images of the same project that this one builds on: `FROM NAME` in its Dockerfile is the one just built."""
    build_args: dict[VariableName, str] = {}
    target: Name | None = None
    """The Dockerfile stage to build. Default: the last."""
    secrets: dict[Name, VariableName] = {}
    """For `RUN --mount=type=secret,id=ID`: the secret's id, and the CI variable that holds it."""
    resources: Resources = Resources()
    """What this image's build jobs get, where it differs from the runners' defaults."""
    timeout_minutes: Minutes = 60


class Project(Model):
    """A GitLab project that builds images."""

    path: GitLabPath
    default_branch: Annotated[str, _text(r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$", "Give a branch's name.")] = "main"
    time_zone: Annotated[str, AfterValidator(_known_time_zone)] = "UTC"
    """In which the date in an image's tag is written; a name of the IANA database."""
    pipeline_path: RepositoryPath = ".gitlab-ci.yml"
    """The file to publish. A project with jobs of its own names another file here, and includes that."""
    max_jobs: Annotated[int, Field(ge=1)] | None = None
    """The most jobs that GitLab takes in one pipeline, where the instance has such a limit."""
    images: Annotated[tuple[Image, ...], Field(min_length=1)]

    def repository(self, image: Image) -> str:
        """The name of the image's ECR repository, without the registry's prefix."""
        return image.repository or f"{self.path.lower()}/{image.name}"


class Settings(Model):
    """All that one environment says."""

    cluster: Cluster
    """The existing EKS cluster that runs the builds."""
    nodes: Annotated[dict[Architecture, Nodes], Field(min_length=1)] = DEFAULT_NODES
    """The build nodes: one node group an architecture."""
    runners: Runners = Runners()
    """The GitLab runners: who may use them, and the defaults and ceilings of their jobs' resources."""
    registry: Registry = Registry()
    """The ECR registry: the account, repository names, encryption and how long images are kept."""
    identity: Identity = Identity.POD_IDENTITY
    """How a build pod becomes an IAM role: pod-identity or irsa."""
    projects: Annotated[tuple[Project, ...], Field(min_length=1)]
    """The GitLab projects, and the images that each builds."""
    tags: dict[str, str] = {}
    """AWS tags for every resource, beside the platform's own."""

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """Those that the stack has nodes for, in the table's order."""
        return tuple(architecture for architecture in Architecture if architecture in self.nodes)

    def architectures_of(self, image: Image) -> tuple[Architecture, ...]:
        """Those that the image is built for, in the table's order."""
        wanted = image.architectures or self.architectures
        return tuple(architecture for architecture in Architecture if architecture in wanted)

    def repository_of(self, project: Project, image: Image) -> str:
        """The full name of the image's ECR repository."""
        return self._prefixed(project.repository(image))

    @property
    def builder_repository(self) -> str | None:
        """The repository of the image that jobs run in; none where the runners are given an image of their own."""
        return None if self.runners.builder_image else self._prefixed("buildyard/builder")

    def _prefixed(self, repository: str) -> str:
        return f"{self.registry.prefix}/{repository}" if self.registry.prefix else repository

    def resources_of(self, image: Image) -> Resources:
        """What the image's build jobs get."""
        return image.resources.over(self.runners.defaults)

    @property
    def runner_group(self) -> str | None:
        """The group whose projects may use the runners; none if the runners belong to one project."""
        if self.runners.project:
            return None
        return self.runners.group or common_group(project.path for project in self.projects)


def common_group(paths: Iterable[str]) -> str | None:
    """The innermost GitLab group that holds all the projects."""
    groups = [path.split("/")[:-1] for path in paths]
    shared = []
    for level in zip(*groups, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared) or None


def keys() -> Mapping[str, str]:
    """The top-level keys, each with its description: what `pulumi config` and Pulumi.yaml speak of."""
    return {field.alias or name: field.description or "" for name, field in Settings.model_fields.items()}
