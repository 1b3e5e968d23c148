"""Registries besides the stack's own repositories: what builds pull from, how they log in there, and who pulls from us.

`registry_checks` compares these settings with the rest of the stack's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stacks.fields import Integer, KmsKey, RepositoryName, VariableName
from stacks.model import Model, pattern_text
from stacks.partitions import ECR_HOST
from stacks.problems import echo, refusal
from stacks.trust import Tier

_NAME = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"


def is_ecr(host: str) -> bool:
    """Whether a host is the private ECR registry of an account and region."""
    return re.fullmatch(ECR_HOST, host) is not None


def _no_tag(reference: str) -> str:
    if re.search(r"[:@]", reference):
        raise refusal(
            f"{echo(reference)} has a tag or a digest, but ECR gives rights on whole repositories",
            "Remove what begins with ':' or '@'.",
        )
    return reference


PulledRepository = Annotated[
    str,
    pattern_text(
        rf"^(?:{ECR_HOST}/)?{_NAME}(?:/{_NAME})*(?:/\*)?(?:[:@].*)?$",
        "Use the name of an ECR repository of this account and region, such as shared/base, or with its host, "
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shared/base. shared/* means all repositories whose names begin "
        "with shared/.",
        min_length=2,
        max_length=512,
    ),
    AfterValidator(_no_tag),
]


def split_reference(reference: str, own_host: str) -> tuple[str, str]:
    """The host and the repository of one of the repositories that builds may pull from."""
    host, _, name = reference.partition("/")
    return (host, name) if is_ecr(host) else (own_host, reference)


def _login_host(host: str) -> str:
    if is_ecr(host):
        raise refusal(f"{host} is ECR, where builds use their role", "Use buildyard:registry.pull-from.")
    return host


RegistryHost = Annotated[
    str,
    pattern_text(
        r"^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?$",
        "Use the registry's host as in image names, without https://, such as registry.example.com or docker.io.",
        max_length=255,
    ),
    AfterValidator(_login_host),
]


class Login(Model):
    """A login of builds to another registry: with the job's token, or with a user and a password."""

    job_token: bool = False
    """For the container registry of the GitLab instance that runs the job. The token may read what the person who
    started the job may read."""
    user: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The user's name, such as that of a deploy token."""
    password: VariableName | None = None
    """The CI/CD variable that contains the password or token, as a value or as a file. A job without it fails."""


SecretArn = Annotated[
    str,
    pattern_text(
        r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]+$",
        "Use the ARN of a secret whose name begins with ecr-pullthroughcache/, as ECR requires.",
        max_length=612,
    ),
]
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-creating-secret.html"""


class PublicUpstream(Model):
    """A registry that ECR copies images from without a login: `{}`."""


class PrivateUpstream(Model):
    """A registry that ECR copies images from with a login."""

    credentials: SecretArn
    """The ARN of a secret of AWS Secrets Manager, in the stack's account and region. All builds of both trust tiers can
    pull what these credentials may read."""


class PullThrough(Model):
    """The registries whose images builds pull through ECR's cache in this account. Dockerfiles stay as they are."""

    docker_hub: PrivateUpstream | None = None
    """`docker.io`: images without a host in their names, and `# syntax=docker/dockerfile:1`."""
    ghcr: PrivateUpstream | None = None
    """`ghcr.io`, GitHub's registry."""
    gitlab: PrivateUpstream | None = None
    """`registry.gitlab.com`. ECR does not support self-managed GitLab here: use `logins`."""
    kubernetes: PublicUpstream | None = None
    """`registry.k8s.io`."""
    quay: PublicUpstream | None = None
    """`quay.io`."""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A registry that ECR can copy from."""

    key: str
    """Its key in the settings."""
    host: str
    """Its host in image names."""
    url: str
    """ECR's name of it."""
    folder: str
    """The last part of the prefix of its cached repositories. ECR allows a prefix only 30 characters."""


UPSTREAMS = {
    "docker_hub": Upstream(key="docker-hub", host="docker.io", url="registry-1.docker.io", folder="hub"),
    "ghcr": Upstream(key="ghcr", host="ghcr.io", url="ghcr.io", folder="ghcr"),
    "gitlab": Upstream(key="gitlab", host="registry.gitlab.com", url="registry.gitlab.com", folder="gitlab"),
    "kubernetes": Upstream(key="kubernetes", host="registry.k8s.io", url="registry.k8s.io", folder="k8s"),
    "quay": Upstream(key="quay", host="quay.io", url="quay.io", folder="quay"),
}
"""By field of `PullThrough`.

Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html
"""

MAX_CACHE_PREFIX = 30
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PullThroughCacheRule.html"""


def cache_folder(prefix: str | None, tier: Tier) -> str:
    """The beginning of the names of a tier's cached repositories.

    Each tier has its own: whoever may pull through the cache may also create its repositories, for example with tags
    that never change, and so decide what others get.
    """
    own = "cache" if tier is Tier.PROTECTED else "cache/review"
    return f"{prefix}/{own}" if prefix else own


@dataclass(frozen=True, kw_only=True)
class CachedUpstream:
    """A registry that a stack caches, with the ARN of its credentials."""

    upstream: Upstream
    credentials: str | None

    def prefix(self, registry_prefix: str | None, tier: Tier) -> str:
        """The prefix of a tier's cached repositories."""
        return f"{cache_folder(registry_prefix, tier)}/{self.upstream.folder}"


def cached_upstreams(pull_through: PullThrough) -> Iterator[CachedUpstream]:
    """The registries that the settings name."""
    for field, upstream in UPSTREAMS.items():
        found = getattr(pull_through, field)
        if found is not None:
            credentials = found.credentials if isinstance(found, PrivateUpstream) else None
            yield CachedUpstream(upstream=upstream, credentials=credentials)


def matches(name: str, pattern: str) -> bool:
    """Whether IAM's pattern of a repository's name, which may end in `/*`, includes this name."""
    return fnmatchcase(name, pattern)


AccountId = Annotated[str, pattern_text(r"^[0-9]{12}$", 'Write the 12 digits in quotes: "123456789012".')]
PrincipalArn = Annotated[
    str,
    pattern_text(
        r"^arn:aws[a-z-]*:iam::[0-9]{12}:(?:role|user)/(?:[!-.0-~]+/)*[A-Za-z0-9_+=,.@-]+$",
        "Use the ARN of an IAM role or user, such as arn:aws:iam::123456789012:role/deploy. For a whole account, use "
        "accounts.",
        max_length=2048,
    ),
]
"""Repository policies know no wildcards in ARNs of principals, and no groups.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""
OrganizationId = Annotated[
    str, pattern_text(r"^o-[a-z0-9]{10,32}$", "Use the organization's id, such as o-a1b2c3d4e5.")
]


class Pull(Model):
    """Who may pull the released images, besides this account's roles whose own policies allow it."""

    accounts: tuple[AccountId, ...] = ()
    """AWS accounts: each decides by its own policies which of its roles pull."""
    principals: tuple[PrincipalArn, ...] = ()
    """The ARNs of IAM roles and users. ECR refuses one that does not exist."""
    organizations: tuple[OrganizationId, ...] = ()
    """AWS organizations: every account in them."""
    lambda_accounts: tuple[AccountId, ...] = ()
    """AWS accounts whose Lambda functions, in the stack's region, run these images."""


class Compression(str, Enum):
    """The compression of the layers that builds make."""

    GZIP = "gzip"
    """Every reader of images knows it."""
    ZSTD = "zstd"
    """Smaller and faster, but not every reader knows it: see `docs/registries.md`."""

    def __str__(self) -> str:
        return self.value


class Registry(Model):
    """The ECR registry of the account that the stack deploys to."""

    account: AccountId | None = None
    """The AWS account. If it is set, a deployment with another account's credentials fails."""
    prefix: RepositoryName | None = None
    """The prefix of every repository's name, which allows two stacks in one account."""
    kms_key: KmsKey | None = None
    """The ARN of the KMS key that encrypts the images. Default: ECR's own key (AES-256). Repositories that exist keep
    theirs, which ECR cannot change."""
    keep_untagged_days: Annotated[Integer, Field(ge=1, le=3650)] = 7
    """Days until an untagged image expires, such as a build cache that a newer one replaced."""
    keep_versions: Annotated[Integer, Field(ge=50, le=10000)] = 500
    """How many versions of the default branch an image's repository keeps. Images of Git tags stay for ever."""
    keep_cache_days: Annotated[Integer, Field(ge=1, le=3650)] = 30
    """Days until a build cache expires, counted from its last write."""
    keep_review_days: Annotated[Integer, Field(ge=1, le=3650)] = 14
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
    blob_mounting: Literal[False, True, "elsewhere"] = False
    """Whether pushes take layers that other repositories have, instead of uploading them. `true` turns it on for the
    account and region, so one stack has it; it stays on when this key goes. `elsewhere`: somebody else turned it on."""
    compression: Compression = Compression.GZIP
    """The compression of layers that are built from now on. `zstd` needs readers that know it. Layers of base images
    and of build caches keep theirs."""
    adopt: bool = False
    """Whether the stack takes in ECR repositories that already exist under the names of its images, with what they
    contain. Those with the tag of another stack never."""
    delete_images: tuple[RepositoryName, ...] = ()
    """The repositories that are deleted with every image in them when their image leaves the settings, or by `pulumi
    destroy`. All others are kept then. Each by its full name in ECR; deliver this first."""
