"""The registry of images and build caches: one ECR repository per image, and one for its merge requests."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policy_documents
from components.labels import image_tag
from stacks import tags
from stacks.registries import Registry
from stacks.trust import TIER_TAG, Tier

_REVIEW_TAGS = {TIER_TAG: str(Tier.UNPROTECTED)}


@dataclass(frozen=True, kw_only=True)
class ImageRegistryArgs:
    """`repositories` maps each repository's name to its image, as in the repository's AWS tag."""

    repositories: Mapping[str, str]
    reviews: Mapping[str, str]
    """The same for the repositories of the unprotected tier, whose images expire."""
    existing: Collection[str]
    """The names of the repositories that exist already, and are or become the stack's."""
    default_branches: Mapping[str, str]
    """The default branch of each repository's project, for the images that pipelines publish."""
    semver: Collection[str]
    """The repositories in which the tags of minor and major versions move."""
    shared: bool
    """Whether merge requests push to the repositories of releases."""
    registry: Registry
    pull_policy: policy_documents.Document | None
    """The repository policy that lets others pull."""
    pulled: Sequence[str]
    """The names of the repositories that get the policy."""
    tags: Mapping[str, str]


class ImageRegistry(pulumi.ComponentResource):
    """The repositories of a stack, by name, and their lifecycle policies."""

    repositories: Mapping[str, aws.ecr.Repository]
    urls: Mapping[str, pulumi.Output[str]]
    """The repositories' addresses, without a tag."""
    reviews: Mapping[str, aws.ecr.Repository]
    """The repositories of the unprotected tier, by name."""

    def __init__(self, name: str, args: ImageRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:ImageRegistry", name, {}, opts)
        self._name = name
        self._args = args
        self.repositories = {
            repository: self._create_repository(
                repository, image, deletes_images=repository in args.registry.delete_images
            )
            for repository, image in args.repositories.items()
        }
        # Nobody deploys these images. So their repositories can be deleted together with the tier.
        self.reviews = {
            repository: self._create_repository(repository, image, deletes_images=True, own_tags=_REVIEW_TAGS)
            for repository, image in args.reviews.items()
        }
        for name, repository in self.repositories.items():
            kept = name not in args.registry.delete_images
            self._create_lifecycle_policy(name, repository, self._lifecycle_policy(name), kept=kept)
        for name, repository in self.reviews.items():
            self._create_lifecycle_policy(name, repository, self._review_lifecycle_policy(), kept=False)
        if args.pull_policy:
            for name in args.pulled:
                self._create_pull_policy(name, args.pull_policy)
        if args.registry.blob_mounting is True:
            self._turn_on_blob_mounting()
        self.urls = {repository: each.repository_url for repository, each in self.repositories.items()}
        self.register_outputs({"urls": self.urls})

    def _create_repository(
        self, repository: str, image: str, *, deletes_images: bool, own_tags: Mapping[str, str] | None = None
    ) -> aws.ecr.Repository:
        """Create a repository, or take it in if it exists. Without `deletes_images`, it outlives the stack."""
        key = self._args.registry.kms_key
        mutability, excluded = tags.mutability(
            self._args.default_branches.get(repository), semver=repository in self._args.semver
        )
        return aws.ecr.Repository(
            f"{self._name}-{repository}",
            name=repository,
            image_tag_mutability=mutability,
            image_tag_mutability_exclusion_filters=[{"filter": tag, "filter_type": "WILDCARD"} for tag in excluded],
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[
                {"encryption_type": "KMS", "kms_key": key} if key else {"encryption_type": "AES256"}
            ],
            force_delete=deletes_images,
            tags={**self._args.tags, **image_tag(image), **(own_tags or {})},
            opts=pulumi.ResourceOptions(
                parent=self,
                # Without effect for a repository in the state.
                import_=repository if repository in self._args.existing else None,
                retain_on_delete=not deletes_images,
                # It cannot change: the repository would be replaced, and its images lost.
                ignore_changes=["encryptionConfigurations"],
            ),
        )

    def _turn_on_blob_mounting(self) -> None:
        """Let ECR mount layers of other repositories, in the whole account and region.

        AWS's provider deletes nothing: the account keeps the setting when the stack no longer has it.
        Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
        """
        aws.ecr.AccountSetting(
            f"{self._name}-blob-mounting",
            name="BLOB_MOUNTING",
            value="ENABLED",
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _lifecycle_policy(self, repository: str) -> policy_documents.Document:
        return policy_documents.lifecycle_policy(
            default_branch=self._args.default_branches.get(repository),
            registry=self._args.registry,
            shared=self._args.shared,
        )

    def _review_lifecycle_policy(self) -> policy_documents.Document:
        return policy_documents.review_lifecycle_policy(keep_days=self._args.registry.keep_review_days)

    def _create_lifecycle_policy(
        self, name: str, repository: aws.ecr.Repository, document: policy_documents.Document, *, kept: bool
    ) -> None:
        aws.ecr.LifecyclePolicy(
            f"{self._name}-{name}",
            repository=repository.name,
            policy=json.dumps(document),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept),
        )

    def _create_pull_policy(self, name: str, document: policy_documents.Document) -> None:
        aws.ecr.RepositoryPolicy(
            f"{self._name}-{name}",
            repository=self.repositories[name].name,
            policy=json.dumps(document),
            opts=pulumi.ResourceOptions(parent=self),
        )
