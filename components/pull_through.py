"""ECR's pull-through caches: rules for upstream registries, and templates of the repositories that ECR creates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policy_documents
from stacks.iam import Iam
from stacks.registries import CachedUpstream


@dataclass(frozen=True, kw_only=True)
class PullThroughCacheArgs:
    caches: Mapping[str, CachedUpstream]
    """The upstream registries, by the prefix of their cached repositories."""
    arns: Sequence[str]
    """ARNs of the repositories that ECR may create."""
    kms_key: str | None
    keep_days: int
    """Days until a cached image expires. ECR then imports it again."""
    iam: Iam
    tags: Mapping[str, str]


class PullThroughCache(pulumi.ComponentResource):
    """A cache rule and a repository template per prefix.

    ECR creates the repositories themselves at the first pull. They outlive the rule: Pulumi does not know them.
    """

    def __init__(self, name: str, args: PullThroughCacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:PullThroughCache", name, {}, opts)
        self._name = name
        self._args = args
        # ECR encrypts with its own key by itself, but with another key only as a role of ours.
        role = self._create_encrypting_role() if args.kms_key else None
        rights = [self._grant_encryption(role, args.kms_key)] if role and args.kms_key else []
        for prefix, cached in args.caches.items():
            template = self._create_template(prefix, cached, role, rights)
            self._create_rule(prefix, cached, template)
        self.register_outputs({})

    def _create_template(
        self, prefix: str, cached: CachedUpstream, role: aws.iam.Role | None, rights: Sequence[pulumi.Resource]
    ) -> aws.ecr.RepositoryCreationTemplate:
        key = self._args.kms_key
        return aws.ecr.RepositoryCreationTemplate(
            f"{self._name}-{prefix}",
            prefix=prefix,
            description=f"Cached images of {cached.upstream.host}",
            applied_fors=["PULL_THROUGH_CACHE"],
            # The upstream moves its tags, and ECR must follow.
            image_tag_mutability="MUTABLE",
            lifecycle_policy=json.dumps(policy_documents.upstream_lifecycle_policy(keep_days=self._args.keep_days)),
            encryption_configurations=[
                {"encryption_type": "KMS", "kms_key": key} if key else {"encryption_type": "AES256"}
            ],
            custom_role_arn=role.arn if role else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=rights),
        )

    def _create_rule(self, prefix: str, cached: CachedUpstream, template: pulumi.Resource) -> None:
        aws.ecr.PullThroughCacheRule(
            f"{self._name}-{prefix}",
            ecr_repository_prefix=prefix,
            upstream_registry_url=cached.upstream.url,
            credential_arn=cached.credentials,
            # A template does not change repositories that exist: it must be there before the first pull.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[template]),
        )

    @property
    def _role_name(self) -> str:
        return f"{self._name}-pull-through"

    def _create_encrypting_role(self) -> aws.iam.Role:
        return aws.iam.Role(
            self._role_name,
            name=self._args.iam.named(self._role_name),
            path=self._args.iam.path,
            permissions_boundary=self._args.iam.permissions_boundary,
            description="ECR: create encrypted repositories of pull-through caches",
            assume_role_policy=json.dumps(policy_documents.registry_trust()),
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _grant_encryption(self, role: aws.iam.Role, key: str) -> pulumi.Resource:
        policy = aws.iam.Policy(
            self._role_name,
            name=self._args.iam.named(self._role_name),
            path=self._args.iam.path,
            description="ECR: create encrypted repositories of pull-through caches",
            policy=json.dumps(policy_documents.encrypted_repositories(self._args.arns, key)),
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return aws.iam.RolePolicyAttachment(
            self._role_name, role=role.name, policy_arn=policy.arn, opts=pulumi.ResourceOptions(parent=self)
        )
