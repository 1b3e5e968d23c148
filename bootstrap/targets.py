"""The targets of the roles' rights: a stack, its account and its state, and the jobs that get them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from stacks.names import stack_name
from stacks.registries import cache_folder
from stacks.settings import Settings
from stacks.trust import Tier, review_repository


class Purpose(str, Enum):
    """The jobs that get a role."""

    PREVIEW = "preview"
    """Previews and the search for drift, of every branch."""
    DEPLOY = "deploy"
    """Updates, of the default branch."""
    BUILDER = "builder"
    """The build of the builder image, of the default branch."""

    def __str__(self) -> str:
        return self.value

    def role(self, stack: str) -> str:
        """The name of a stack's role. It begins unlike those that the stack creates, and that its role may change."""
        return f"{self.value}-{stack_name(stack)}"


@dataclass(frozen=True, kw_only=True)
class Account:
    """An AWS account. `partition` is AWS's name of the set of regions."""

    id: str
    partition: str


@dataclass(frozen=True, kw_only=True)
class State:
    """The S3 bucket with the state of stacks, and the ARN of the key that encrypts it."""

    bucket: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack, as far as the rights of its roles depend on it.

    `others` are the account's other stacks. The names of their roles may begin with the name of this one.
    """

    name: str
    account: Account
    region: str
    settings: Settings
    others: Sequence[str] = ()

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in the stack's region."""
        return f"arn:{self.account.partition}:{service}:{self.region}:{self.account.id}:{resource}"

    def iam_arn(self, resource: str) -> str:
        """The ARN of a resource of IAM, which has no regions."""
        return f"arn:{self.account.partition}:iam::{self.account.id}:{resource}"

    @property
    def prefix(self) -> str:
        """The beginning of the names of everything that the stack creates."""
        return stack_name(self.name)

    @property
    def roles(self) -> str:
        """The roles that the stack creates."""
        return self.iam_arn(f"role{self.settings.iam.path}{self.prefix}-*")

    @property
    def missing_roles(self) -> str:
        """The same roles as long as they do not exist: IAM then knows no path of theirs."""
        return self.iam_arn(f"role/{self.prefix}-*")

    @property
    def policies(self) -> str:
        """The policies that the stack creates."""
        return self.iam_arn(f"policy{self.settings.iam.path}{self.prefix}-*")

    @property
    def cluster(self) -> str:
        return self.arn("eks", f"cluster/{self.settings.cluster.name}")

    @property
    def node_groups(self) -> str:
        return self.arn("eks", f"nodegroup/{self.settings.cluster.name}/{self.prefix}-*/*")

    @property
    def all_node_groups(self) -> str:
        """Every managed node group of the cluster."""
        return self.arn("eks", f"nodegroup/{self.settings.cluster.name}/*")

    def addon(self, name: str) -> list[str]:
        """An add-on of the cluster. One that is missing has no id."""
        arn = self.arn("eks", f"addon/{self.settings.cluster.name}/{name}")
        return [arn, f"{arn}/*"]

    @property
    def associations(self) -> str:
        return self.arn("eks", f"podidentityassociation/{self.settings.cluster.name}/*")

    @property
    def builder(self) -> str | None:
        """The repository of the builder image; None if the settings name another image."""
        repository = self.settings.builder_repository
        return self.arn("ecr", f"repository/{repository}") if repository else None

    @property
    def repositories(self) -> list[str]:
        """The repositories below the registry's prefix, or else below the groups of the stack's projects.

        A repository that is in no group is named as it is.
        """
        prefix, settings = self.settings.registry.prefix, self.settings
        names = [settings.repository_of(project, image) for project in settings.projects for image in project.images]
        names += [settings.builder_repository] if settings.builder_repository else []
        patterns = [f"{prefix}/*"] if prefix else sorted({each for name in names for each in _of_its_group(name)})
        return [self.arn("ecr", f"repository/{pattern}") for pattern in patterns]

    @property
    def caches(self) -> str:
        """The repositories of the pull-through caches, of every tier."""
        return self.arn("ecr", f"repository/{cache_folder(self.settings.registry.prefix, Tier.PROTECTED)}/*")


def _of_its_group(repository: str) -> list[str]:
    """The pattern of all repositories of a repository's group; its own names if it is in none."""
    group, slash, _ = repository.partition("/")
    return [f"{group}/*"] if slash else [group, review_repository(group)]
