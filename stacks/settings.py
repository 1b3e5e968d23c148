"""The settings of a stack: the frozen, typed schema of the namespace `buildyard`.

The classes declare types and defaults, each once. `checks` concerns several keys, and `sizing` checks with EC2's data
whether jobs fit the nodes. Use `parsing` to read settings.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from stacks.addresses import Cidr
from stacks.architecture import Architecture
from stacks.model import Model
from stacks.model import pattern_text as _text
from stacks.names import default_namespace
from stacks.problems import echo, nearest, refusal
from stacks.quantities import GIBIBYTE, Quantity
from stacks.registries import Login, Pull, PulledRepository, PullThrough, RegistryHost
from stacks.trust import Tier, Trust, review_repository

NAMESPACE = "buildyard"


class Capacity(str, Enum):
    """The EC2 purchase option of the build nodes."""

    SPOT = "spot"
    """Cheap, but EC2 reclaims nodes with two minutes' notice. The published jobs retry after that."""
    ON_DEMAND = "on-demand"

    def __str__(self) -> str:
        return self.value


class Identity(str, Enum):
    """How a build pod assumes its IAM role."""

    POD_IDENTITY = "pod-identity"
    """EKS Pod Identity; the cluster needs the add-on `eks-pod-identity-agent`."""
    IRSA = "irsa"
    """IAM roles for service accounts; the account needs an IAM OIDC provider for the cluster's issuer."""

    def __str__(self) -> str:
        return self.value


def _known_time_zone(name: str) -> str:
    if name in _time_zones():
        return name
    close = nearest(name, [zone for zone in _time_zones() if "/" in zone or zone == "UTC"])
    advice = close if close.startswith("Did") else "Use a name from the IANA database, such as Asia/Hong_Kong or UTC."
    raise refusal(f"there is no time zone {echo(name)}", advice)


@cache
def _time_zones() -> dict[str, None]:
    return dict.fromkeys(sorted(available_timezones()))


def _inside_repository(path: str) -> str:
    normal = posixpath.normpath(path)
    if path.startswith("/") or normal.split("/")[0] == "..":
        raise refusal(f"{echo(path)} is outside the repository", "Use a path relative to the repository's root.")
    if not path.isprintable() or not path.strip():
        raise refusal(f"{echo(path)} is not a path", "Use a path without control characters, '.' for the root.")
    if is_git_data(normal):
        raise refusal(f"{echo(path)} is in Git's own folder, which no commit contains", "Use another path.")
    return normal


def is_git_data(path: str) -> bool:
    """Whether the path is in a `.git` folder. Git takes the name in any case, for file systems that ignore case."""
    return ".git" in path.lower().split("/")


def _file(path: str) -> str:
    if not path.isprintable() or posixpath.basename(path).strip() in ("", ".", ".."):
        raise refusal(f"{echo(path)} is not the path of a file", "Use a file's path, such as docker/Dockerfile.")
    return path


IMAGE_CONTEXT = "docker-image://"
"""The beginning of a named context that is an image."""


def _context(source: str) -> str:
    if source.startswith(IMAGE_CONTEXT):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}", source.removeprefix(IMAGE_CONTEXT)):
            raise refusal(
                f"{echo(source)} is not an image with a digest", f"Use {IMAGE_CONTEXT}IMAGE:TAG@sha256:DIGEST."
            )
        return source
    if "://" in source:
        raise refusal(
            f"{echo(source)} is neither a folder nor an image",
            f"Use a folder's path in the repository, or {IMAGE_CONTEXT}IMAGE:TAG@sha256:DIGEST.",
        )
    return _inside_repository(source)


def _branch(name: str) -> str:
    """Refuse what the pattern of `default-branch` allows, and `git check-ref-format --branch` or GitLab do not."""
    if name == "HEAD" or any(part.endswith(".lock") for part in name.split("/")):
        raise refusal(f"{name!r} cannot be a branch in Git", "Use the name of a branch.")
    return name


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


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic takes true for 1
        raise refusal(f"{value} is not a whole number", "Use a whole number without quotes.")
    return value


def _whole_gibibytes(size: Quantity) -> Quantity:
    if size.value % GIBIBYTE or size.value == 0:
        raise refusal(
            f"{size} is not a whole number of GiB, but the size of an EBS volume is", "Use, for example, 200Gi."
        )
    return size


_NAME = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"

Name = Annotated[
    str, _text(rf"^{_NAME}$", "Use lower-case letters and digits, joined by a single '.', '_' or '-'.", max_length=100)
]
"""Valid in the names of jobs, files and ECR repositories."""

REPOSITORY_NAME = rf"^{_NAME}(?:/{_NAME})*$"
MAX_REPOSITORY_NAME = 256

RepositoryName = Annotated[
    str,
    _text(
        REPOSITORY_NAME,
        "Use lower-case words joined by '/', '.', '_' or '-', such as platform/images/toolbox.",
        min_length=2,
        max_length=MAX_REPOSITORY_NAME,
    ),
]
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

GitLabPath = Annotated[
    str,
    _text(rf"^{_SEGMENT}(?:/{_SEGMENT})*$", "Use the path in its address, such as platform/images.", max_length=1024),
]
RepositoryPath = Annotated[str, Field(max_length=1024), AfterValidator(_inside_repository)]
PipelinePath = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9_./@+-]+\.ya?ml$",
        "Use letters, digits and _ . / @ + -, and end it in .yml or .yaml, as GitLab requires.",
        max_length=1024,
    ),
    AfterValidator(_inside_repository),
]
Branch = Annotated[
    str,
    _text(
        # Not in a branch: two dots or slashes in a row, a dot at either end of a part, a dash at the beginning.
        r"^[A-Za-z0-9_](?:\.?[A-Za-z0-9_-])*(?:/[A-Za-z0-9_-](?:\.?[A-Za-z0-9_-])*)*$",
        "Use the name of a branch.",
        max_length=244,
    ),
    AfterValidator(_branch),
]
"""Source: https://git-scm.com/docs/git-check-ref-format"""
ContextSource = Annotated[str, Field(max_length=1024), AfterValidator(_context)]
VariableName = Annotated[
    str, _text(r"^[A-Za-z_][A-Za-z0-9_]*$", "Use letters, digits and '_'. The first must not be a digit.")
]
InstanceType = Annotated[str, _text(r"^[a-z0-9-]+\.[a-z0-9-]+$", "Use EC2 instance types, such as m7g.4xlarge.")]
Integer = Annotated[int, BeforeValidator(_no_boolean)]
Minutes = Annotated[Integer, Field(ge=10, le=60 * 24 * 7)]
Port = Annotated[Integer, Field(ge=1, le=65535)]


WHOLE_PIPELINE = ".gitlab-ci.yml"
"""The path at which GitLab looks for a project's pipeline."""

Stage = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9_][A-Za-z0-9_ -]*$",
        "Use a name such as build. A pipeline of .pre alone does not run.",
        max_length=255,
    ),
]
GitTagPattern = Annotated[str, _text(r"^[A-Za-z0-9_.*/-]+$", "Use a tag or a pattern with '*', such as v*.")]
KubernetesName = Annotated[
    str,
    _text(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "Use lower-case letters, digits and '-'.", max_length=63),
]
Subnet = Annotated[str, _text(r"^subnet-[a-z0-9]+$", "Use the ids of subnets, such as subnet-0a1b2c3d4e5f60001.")]
ImageReference = Annotated[
    str, _text(r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", "Use an image's full name, with its tag or digest.", max_length=512)
]
KmsKey = Annotated[
    str,
    _text(
        r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+$",
        "Use the key's ARN, such as arn:aws:kms:eu-central-1:123456789012:key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d.",
    ),
]

MAX_TAGS = 45
"""AWS allows 50 tags for a resource. The others are Buildyard's own."""

TagKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_tag_key)]
TagValue = Annotated[str, Field(max_length=256), AfterValidator(_tag_text)]


class FromVariable(Model):
    """A value that is only known in the job: that of a CI/CD variable."""

    variable: Annotated[VariableName, Field(alias="from")]
    """The variable's name, such as CI_COMMIT_TAG."""


ONE, SEVERAL = "[one]", "[several]"
"""Tags of values that are a text or something larger. `parsing` removes them from the paths of pydantic's errors."""

_BY_TYPE = Discriminator(lambda value: ONE if value is None or isinstance(value, str | bool | int | float) else SEVERAL)

BuildArgument = Annotated[Annotated[str, Tag(ONE)] | Annotated[FromVariable, Tag(SEVERAL)], _BY_TYPE]
Command = Annotated[
    Annotated[str, Field(min_length=1), Tag(ONE)] | Annotated[tuple[str, ...], Field(min_length=1), Tag(SEVERAL)],
    _BY_TYPE,
]


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


class Cluster(Model):
    """The existing EKS cluster that runs the builds."""

    name: Annotated[
        str, _text(r"^[0-9A-Za-z][A-Za-z0-9_-]*$", "Use a name from `aws eks list-clusters`.", max_length=100)
    ]
    subnet_ids: Annotated[tuple[Subnet, ...], Field(min_length=1)] | None = None
    """The subnets of the build nodes. Default: the cluster's own subnets."""
    cni_role: bool = False
    """Whether the VPC CNI has an IAM role of its own, by Pod Identity or IRSA. Then nodes need no rights for it."""


class Nodes(Model):
    """The node group of one architecture, one per trust tier. It starts with no nodes and scales with the builds."""

    instance_types: Annotated[tuple[InstanceType, ...], Field(min_length=1, max_length=20)]
    """The instance types, in order of preference. The largest job must fit at least one of them."""
    max_size: Annotated[Integer, Field(ge=1, le=450)] = 10
    """The maximum number of nodes."""
    disk: Annotated[Quantity, AfterValidator(_whole_gibibytes)] = Quantity("200Gi")
    """The size of the root volume. It holds images, build state and the jobs' ephemeral storage."""
    capacity: Capacity = Capacity.SPOT


DEFAULT_NODES = {
    architecture: Nodes.model_validate({"instance-types": architecture.instance_types}) for architecture in Architecture
}


class Runners(Model):
    """The GitLab runners, one per trust tier and architecture, and the resources of their jobs."""

    group: GitLabPath | None = None
    """The GitLab group whose projects, subgroups' included, can all start build jobs, also those not in the settings.
    Required unless all projects lie directly in one group, which is the default."""
    project: GitLabPath | None = None
    """The only GitLab project that may use the runners, instead of a group."""
    concurrent: Annotated[Integer, Field(ge=1, le=1000)] = 20
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
    user_namespaces: bool = False
    """Whether build pods have user namespaces of their own (`hostUsers: false`). Needs Kubernetes 1.33 or newer."""

    def namespace_of(self, stack: str, tier: Tier) -> str:
        """The Kubernetes namespace of a tier's runners and builds."""
        return tier.of(self.namespace or default_namespace(stack))


class Destination(Model):
    """A network that build pods may connect to."""

    cidr: Cidr
    ports: Annotated[tuple[Port, ...], Field(min_length=1)] = (443,)
    """The TCP ports."""


class Network(Model):
    """The networks that build pods may connect to: the internet, and what `allow` adds."""

    deny: tuple[Cidr, ...] | None = None
    """The networks of pods, nodes and the Kubernetes API. Default: the VPC's and that of the cluster's services."""
    allow: tuple[Destination, ...] = ()
    """Parts of these networks that builds need, such as GitLab's address in the VPC. The VPC's endpoints for AWS
    services are allowed by default."""


class Registry(Model):
    """The ECR registry of the account that the stack deploys to."""

    account: Annotated[str, _text(r"^[0-9]{12}$", 'Write the 12 digits in quotes: "123456789012".')] | None = None
    """The AWS account. If it is set, a deployment with another account's credentials fails."""
    prefix: RepositoryName | None = None
    """The prefix of every repository's name, which allows two stacks in one account."""
    kms_key: KmsKey | None = None
    """The ARN of the KMS key that encrypts the images. Default: ECR's own key (AES-256)."""
    keep_untagged_days: Annotated[Integer, Field(ge=1, le=3650)] = 7
    """Days until an untagged image expires, such as a build cache that a newer one replaced."""
    keep_versions: Annotated[Integer, Field(ge=50, le=10000)] = 500
    """How many versions of the default branch an image's repository keeps. Images of Git tags stay for ever."""
    keep_cache_days: Annotated[Integer, Field(ge=1, le=3650)] = 30
    """Days until a build cache expires, counted from its last write."""
    keep_review_days: Annotated[int, Field(ge=1, le=3650)] = 14
    """Days until images of merge requests and other branches expire; with `trust: isolated` their caches, too."""
    pull_from: tuple[PulledRepository, ...] = ()
    """Other ECR repositories that builds of both trust tiers may pull from: a name in this account and region, or with
    the registry's host of another one. `shared/*` means all whose names begin with `shared/`."""
    logins: dict[RegistryHost, Login] = {}
    """Registries other than ECR that builds pull from with a login, by host."""
    pull_through: PullThrough = PullThrough()
    """Registries whose images builds pull through ECR's cache."""
    pull: Pull = Pull()
    """Who else may pull the released images: accounts, roles, organizations, Lambda functions."""
    force_delete: bool = False
    """Whether removing an image from the settings deletes its repository and every image in it."""


class Image(Model):
    """A container image: a build context in the project's Git repository, and an ECR repository."""

    name: Name
    """The image's name, also in the names of its jobs: `build-NAME:arm64`."""
    context: RepositoryPath
    """The build context's folder."""
    dockerfile: Annotated[str, Field(max_length=1024), AfterValidator(_file)] = "Dockerfile"
    """The Dockerfile's path, relative to the context."""
    repository: RepositoryName | None = None
    """The ECR repository. Default: the project's path in lower case, `/`, the name."""
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)] | None = None
    """The architectures to build for. Default: all that the stack has nodes for."""
    depends_on: tuple[Name, ...] = ()
    """Images of the same project that this one is built on. `FROM NAME` in its Dockerfile is the image just built."""
    watch: Annotated[tuple[RepositoryPath, ...], Field(min_length=1)] | None = None
    """The files and folders whose changes start a build, besides the Dockerfile, as paths from the repository's root.
    `*` is any part of a name, and `**/` any folders. Default: the context, and the folders in `contexts`."""
    contexts: dict[Name, ContextSource] = {}
    """Named contexts, for `COPY --from=NAME` and `FROM NAME`: each a folder's path from the repository's root, or an
    image with a digest: `docker-image://IMAGE:TAG@sha256:DIGEST`."""
    build_args: dict[VariableName, BuildArgument] = {}
    """Build arguments: each a literal text, or `{from: VARIABLE}`, a CI/CD variable's value. If the variable is not
    set, the Dockerfile's default applies. Anybody who may pull the image can read them: use `secrets` for secrets."""
    target: Name | None = None
    """The Dockerfile stage to build. Default: the last."""
    secrets: dict[Name, VariableName] = {}
    """Secrets for `RUN --mount=type=secret,id=ID`: each id, and the CI/CD variable that contains the secret, as a value
    or as a file. A build without it fails."""
    git_tags: Annotated[tuple[GitTagPattern, ...], Field(min_length=1)] | None = None
    """Patterns of the Git tags that release this image, such as `toolbox/v*`, when images are released one by one. Its
    tag is what follows the last `/`. Default: every Git tag; those without `/`, if another image has patterns."""
    semver: bool = False
    """Whether a Git tag `v1.4.2` also moves the image's tags `1.4` and `1`. Other Git tags are refused; pre-releases
    and older versions move nothing."""
    test: Command | None = None
    """A command that runs in the built image, on each architecture, before anything is tagged: a text for `/bin/sh -c`,
    or a list of the program and its arguments. If it fails, the build job fails."""
    lint: bool = False
    """Whether hadolint checks the Dockerfile. Its findings fail no job: they are in the job's log, and in the merge
    request as a code quality report."""
    resources: Resources = Resources()
    """The resources of this image's build jobs, where they differ from the runners' defaults."""
    timeout_minutes: Minutes = 60

    @property
    def dockerfile_path(self) -> str:
        """The Dockerfile's path from the repository's root."""
        return posixpath.normpath(posixpath.join(self.context, self.dockerfile))

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of the repository that a build reads: the context, and those of named contexts."""
        named = (source for source in self.contexts.values() if not source.startswith(IMAGE_CONTEXT))
        return tuple(dict.fromkeys([self.context, *named]))


class Project(Model):
    """A GitLab project that builds images."""

    path: GitLabPath
    default_branch: Branch = "main"
    release_tags: tuple[GitTagPattern, ...] | None = None
    """Patterns of the Git tags that release images, such as `v*`. The preview fails if GitLab does not protect them.
    An empty list: the project has no releases. Default: any tags that GitLab protects."""
    time_zone: Annotated[str, AfterValidator(_known_time_zone)] = "UTC"
    """The time zone of the date in an image's tag; a name from the IANA database."""
    pipeline_path: PipelinePath = WHOLE_PIPELINE
    """The file to publish. A project with jobs of its own sets another file here, and includes that file."""
    stage: Stage = "build"
    """The stage of all jobs. A project with jobs of its own lists it among its stages."""
    max_jobs: Annotated[Integer, Field(ge=1)] | None = None
    """GitLab's limit for the jobs of a pipeline, if the instance has one."""
    images: Annotated[tuple[Image, ...], Field(min_length=1)]

    @property
    def has_own_jobs(self) -> bool:
        """Whether the published file is included by the project's pipeline, instead of being all of it."""
        return self.pipeline_path != WHOLE_PIPELINE

    @property
    def has_git_tags(self) -> bool:
        """Whether some images are released by Git tags of their own."""
        return any(image.git_tags for image in self.images)

    def repository(self, image: Image) -> str:
        """The name of the image's ECR repository, without the registry's prefix."""
        return image.repository or f"{self.path.lower()}/{image.name}"


class Settings(Model):
    """The settings of one environment."""

    cluster: Cluster
    """The existing EKS cluster that runs the builds."""
    nodes: Annotated[dict[Architecture, Nodes], Field(min_length=1)] = DEFAULT_NODES
    """The build nodes: one node group per architecture."""
    runners: Runners = Runners()
    """The GitLab runners: the group whose projects can all start build jobs, and the defaults and ceilings of jobs."""
    network: Network = Network()
    """The networks that build pods may connect to, if the cluster enforces network policies."""
    registry: Registry = Registry()
    """The ECR registry: account, names, encryption, retention, who else may pull; and what else builds may pull."""
    trust: Trust = Trust.ISOLATED
    """How merge requests are separated from releases: isolated, shared or protected-only."""
    identity: Identity = Identity.POD_IDENTITY
    """How a build pod assumes its IAM role: pod-identity or irsa."""
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
        if Tier.UNPROTECTED not in self.trust.tiers:
            return None
        return review_repository(self.repository_of(project, image))

    def pushed_repositories(self, tier: Tier) -> Iterator[str]:
        """The repositories that a tier's builds pull from and push to."""
        for project in self.projects:
            for image in project.images:
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
    def runner_group(self) -> str | None:
        """The group whose projects may use the runners. None if the runners belong to one project.

        The default is the group in which all projects lie. A group further up contains other projects, too: only the
        settings may choose it.
        """
        if self.runners.project:
            return None
        if self.runners.group:
            return self.runners.group
        groups = {project.path.rpartition("/")[0] for project in self.projects}
        return groups.pop() or None if len(groups) == 1 else None


def common_group(paths: Iterable[str]) -> str | None:
    """The innermost GitLab group that contains all projects."""
    groups = [path.split("/")[:-1] for path in paths]
    shared = []
    for level in zip(*groups, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared) or None


def keys() -> Mapping[str, str]:
    """The top-level keys with their descriptions, as `pulumi config` and Pulumi.yaml have them."""
    return {field.alias or name: field.description or "" for name, field in Settings.model_fields.items()}
