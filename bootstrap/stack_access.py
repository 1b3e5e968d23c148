"""The roles of one stack's jobs, and their access to its cluster."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_aws as aws

from bootstrap import role_documents
from bootstrap.settings import GitLab
from bootstrap.targets import Purpose, Stack, State
from components.policy_documents import Document
from stacks.iam import Iam
from stacks.names import preview_group

CLUSTER_ADMINISTRATOR = "AmazonEKSClusterAdminPolicy"
"""Updates create admission policies and rights for the whole cluster, which only an administrator may do."""


@dataclass(frozen=True, kw_only=True)
class StackAccessArgs:
    stack: Stack
    gitlab: GitLab
    provider_arn: pulumi.Input[str]
    """IAM's OIDC provider for GitLab."""
    bucket: str
    key_arn: pulumi.Input[str]
    """The key of the state."""
    iam: Iam
    tags: Mapping[str, str]


class StackAccess(pulumi.ComponentResource):
    """A role for each purpose, and the cluster's access entries."""

    role_arns: Mapping[Purpose, pulumi.Output[str]]

    def __init__(self, name: str, args: StackAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:bootstrap:StackAccess", name, {}, opts)
        self._args = args
        preview = self._create_role(Purpose.PREVIEW, ("state", "read"))
        deploy = self._create_role(Purpose.DEPLOY, ("state", "read", "write"))
        roles = {Purpose.PREVIEW: preview, Purpose.DEPLOY: deploy}
        if args.stack.settings.builder_repository:
            roles[Purpose.BUILDER] = self._create_role(Purpose.BUILDER, ("push",))
        self._enter_as_reader(preview)
        self._enter_as_administrator(deploy)
        self.role_arns = {purpose: role.arn for purpose, role in roles.items()}
        self.register_outputs({str(purpose): arn for purpose, arn in self.role_arns.items()})

    def _create_role(self, purpose: Purpose, policies: tuple[str, ...]) -> aws.iam.Role:
        """Create a role with these policies: the keys of its documents."""
        args, name = self._args, purpose.role(self._args.stack.name)
        role = aws.iam.Role(
            name,
            name=name,
            path=args.iam.path,
            description=f"GitLab jobs of Buildyard: {purpose} of the stack {args.stack.name}",
            assume_role_policy=pulumi.Output.from_input(args.provider_arn).apply(partial(self._trust, purpose)),
            permissions_boundary=args.iam.permissions_boundary,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for key in policies:
            policy = aws.iam.Policy(
                f"{name}-{key}",
                name=f"{name}-{key}",
                path=args.iam.path,
                description=f"GitLab jobs of Buildyard: {purpose} of the stack {args.stack.name}",
                policy=pulumi.Output.from_input(args.key_arn).apply(partial(self._policy, purpose, key)),
                tags=args.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
            aws.iam.RolePolicyAttachment(
                f"{name}-{key}", role=role.name, policy_arn=policy.arn, opts=pulumi.ResourceOptions(parent=self)
            )
        return role

    def _trust(self, purpose: Purpose, provider_arn: str) -> str:
        gitlab = self._args.gitlab
        document = role_documents.trust(
            purpose, provider_arn=provider_arn, project=gitlab.project, default_branch=gitlab.default_branch
        )
        return json.dumps(document)

    def _policy(self, purpose: Purpose, key: str, key_arn: str) -> str:
        state = State(bucket=self._args.bucket, key=key_arn)
        return json.dumps(_documents(purpose, self._args.stack, state)[key])

    def _enter_as_reader(self, role: aws.iam.Role) -> None:
        stack = self._args.stack
        # The stack's own RBAC says what the group may read: no access policy of EKS reads Secrets without also opening
        # shells in pods, since a `get` of pods/exec does that.
        aws.eks.AccessEntry(
            f"{stack.prefix}-preview",
            cluster_name=stack.settings.cluster.name,
            principal_arn=role.arn,
            kubernetes_groups=[preview_group(stack.name)],
            region=stack.region,
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _enter_as_administrator(self, role: aws.iam.Role) -> None:
        stack, name = self._args.stack, f"{self._args.stack.prefix}-deploy"
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=stack.settings.cluster.name,
            principal_arn=role.arn,
            region=stack.region,
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=stack.settings.cluster.name,
            principal_arn=role.arn,
            policy_arn=f"arn:{stack.account.partition}:eks::aws:cluster-access-policy/{CLUSTER_ADMINISTRATOR}",
            access_scope={"type": "cluster"},
            region=stack.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
        )


def _documents(purpose: Purpose, stack: Stack, state: State) -> Mapping[str, Document]:
    match purpose:
        case Purpose.PREVIEW:
            return role_documents.preview(stack, state)
        case Purpose.DEPLOY:
            return role_documents.deploy(stack, state)
        case Purpose.BUILDER:
            return role_documents.builder(stack)
