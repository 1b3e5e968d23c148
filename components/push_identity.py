"""The AWS identity of builds: a role that may push to a tier's repositories, for one service account."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policy_documents
from stacks.iam import Iam
from stacks.settings import Identity


@dataclass(frozen=True, kw_only=True)
class PushIdentityArgs:
    identity: Identity
    cluster_name: str
    cluster_arn: str
    oidc_provider_arn: str | None
    """IAM's provider for the cluster's issuer. Only IRSA needs it."""
    namespace: str
    service_account: str
    repository_arns: Sequence[str]
    """ARNs that are known before the repositories exist, so that a preview shows the complete policies."""
    pull_arns: Sequence[str]
    """ARNs of the repositories that builds may only pull from."""
    cache_arns: Sequence[str]
    """ARNs of the repositories that ECR creates for builds, as pull-through caches."""
    iam: Iam
    tags: Mapping[str, str]


class PushIdentity(pulumi.ComponentResource):
    """The role, its policies, and its link to the build pods."""

    role_arn: pulumi.Output[str]
    service_account_annotations: Mapping[str, pulumi.Output[str]]
    """The annotations of the build pods' service account. IRSA needs one; Pod Identity uses the account's name."""

    def __init__(self, name: str, args: PushIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:PushIdentity", name, {}, opts)
        self._name = name
        self._args = args
        role = self._create_role()
        rights = self._grant_push(role)
        if args.identity is Identity.POD_IDENTITY:
            self._associate(role, rights)
        self.role_arn = role.arn
        self.service_account_annotations = (
            {"eks.amazonaws.com/role-arn": role.arn} if args.identity is Identity.IRSA else {}
        )
        self.register_outputs({"roleArn": self.role_arn})

    def _create_role(self) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-push",
            name=self._args.iam.named(f"{self._name}-push"),
            path=self._args.iam.path,
            permissions_boundary=self._args.iam.permissions_boundary,
            description="Image builds: push to the repositories of this stack",
            assume_role_policy=json.dumps(self._trust()),
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _trust(self) -> policy_documents.Document:
        args = self._args
        if args.identity is Identity.POD_IDENTITY:
            return policy_documents.pod_identity_trust(
                cluster_arn=args.cluster_arn, namespace=args.namespace, service_account=args.service_account
            )
        if args.oidc_provider_arn is None:
            raise ValueError("IRSA needs the ARN of IAM's OIDC provider for the cluster")
        return policy_documents.irsa_trust(
            oidc_provider_arn=args.oidc_provider_arn, namespace=args.namespace, service_account=args.service_account
        )

    def _grant_push(self, role: aws.iam.Role) -> list[aws.iam.RolePolicyAttachment]:
        """Create managed policies, since an inline policy is too small for the names of a few hundred repositories."""
        args = self._args
        documents = policy_documents.push(args.repository_arns, pull_arns=args.pull_arns, cache_arns=args.cache_arns)
        return [self._attach(role, f"{self._name}-push-{number}", each) for number, each in enumerate(documents, 1)]

    def _attach(
        self, role: aws.iam.Role, name: str, document: policy_documents.Document
    ) -> aws.iam.RolePolicyAttachment:
        policy = aws.iam.Policy(
            name,
            name=self._args.iam.named(name),
            path=self._args.iam.path,
            description="Image builds: push to repositories of this stack",
            policy=json.dumps(document),
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return aws.iam.RolePolicyAttachment(
            name, role=role.name, policy_arn=policy.arn, opts=pulumi.ResourceOptions(parent=self)
        )

    def _associate(self, role: aws.iam.Role, rights: Sequence[pulumi.Resource]) -> None:
        aws.eks.PodIdentityAssociation(
            f"{self._name}-push",
            cluster_name=self._args.cluster_name,
            namespace=self._args.namespace,
            service_account=self._args.service_account,
            role_arn=role.arn,
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=rights),
        )
