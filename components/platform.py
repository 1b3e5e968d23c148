"""The wiring of all components: from settings and lookups to resources and the stack's outputs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components import existing, registry_access
from components.build_nodes import BuildNodes, BuildNodesArgs
from components.company_network import proxy_destinations
from components.draining import drain_before_delete
from components.image_registry import ImageRegistry, ImageRegistryArgs
from components.kubeconfig import Login, kubeconfig
from components.labels import aws_tags
from components.lookups import Lookups, look_up
from components.monitoring import MonitoringArgs, StackMonitoring
from components.monitoring.alerts import Watched
from components.published_pipeline import (
    PipelineVariables,
    PipelineVariablesArgs,
    PublishedPipeline,
    PublishedPipelineArgs,
)
from components.pull_through import PullThroughCache, PullThroughCacheArgs
from components.push_identity import PushIdentity, PushIdentityArgs
from components.runners import Runners, RunnersArgs
from pipeline.projects import Pipelines, generate_all
from stacks.architecture import Architecture
from stacks.cluster import Destination
from stacks.config import file_name
from stacks.names import BUILDER_VARIABLE, stack_name
from stacks.problems import SettingsError
from stacks.projects import Project
from stacks.registries import cached_upstreams
from stacks.settings import Settings
from stacks.trust import TIER_VARIABLE, Tier, Trust
from stacks.versions import BUILDER_VERSION

SERVICE_ACCOUNT = "builds"


def deploy(load: Callable[[], Settings]) -> None:
    """Declare the stack whose settings `load` reads, and export its outputs.

    Wrong settings end the program before the first resource. The message contains all problems.
    """
    stack = pulumi.get_stack()
    try:
        platform = declare(load, stack=stack, source=file_name(stack))
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in platform.outputs.items():
        pulumi.export(name, value)


def declare(
    load: Callable[[], Settings], *, stack: str, source: str, opts: pulumi.ResourceOptions | None = None
) -> "Platform":
    """Declare the platform whose settings `load` reads from `source`.

    Raises `SettingsError` with all problems before the first resource.
    """
    settings = load()
    lookups = look_up(settings, stack=stack, source=source)
    pipelines = generate_all(settings, settings.projects, lookups.account.registry_host, source=source)
    for notice in lookups.notices:
        pulumi.warn(str(notice))
    args = PlatformArgs(stack=stack, settings=settings, lookups=lookups, pipelines=pipelines)
    return Platform(stack_name(stack), args, opts)


@dataclass(frozen=True, kw_only=True)
class PlatformArgs:
    stack: str
    settings: Settings
    lookups: Lookups
    pipelines: Pipelines


@dataclass(frozen=True, kw_only=True)
class _Tier:
    """A tier's runners, and its part of the outputs."""

    role_arn: pulumi.Output[str]
    node_groups: Mapping[str, pulumi.Output[str]]
    runners: Mapping[str, Mapping[str, Any]]
    managers: Runners


class Platform(pulumi.ComponentResource):
    """All resources of one stack."""

    outputs: Mapping[str, Any]
    """The stack's outputs, by trust tier and architecture. CI reads them, so their names do not change."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:Platform", name, {}, opts)
        self._name = name
        self._args = args
        self._settings = args.settings
        self._tags = aws_tags(args.stack, args.settings.tags)
        self._kubernetes = pulumi.ResourceOptions(parent=self, providers=[self._connect_cluster()])
        # Runners of a removed tier are drained, too, when they are deleted.
        self._drain = drain_before_delete(f"{name}-drain", gitlab_url=args.lookups.gitlab.url)
        registry = self._create_registry()
        self._create_pull_through_caches()
        variables = [self._set_variables(project) for project in args.settings.projects if project.built]
        tiers = {tier: self._create_tier(tier, registry, variables) for tier in args.settings.trust.tiers}
        runners = [tier.managers for tier in tiers.values()]
        self._create_monitoring(runners)
        pipelines = {
            project.path: self._publish_pipeline(project, [*self._repositories(project, registry), *runners])
            for project in args.settings.projects
            if project.built
        }
        self.outputs = {
            "registry-host": args.lookups.account.registry_host,
            "repository-urls": registry.urls,
            "builder-image": self._builder_image,
            "push-role-arns": {str(tier): each.role_arn for tier, each in tiers.items()},
            "node-groups": {str(tier): each.node_groups for tier, each in tiers.items()},
            "runners": {str(tier): each.runners for tier, each in tiers.items()},
            "pipelines": pipelines,
        }
        self.register_outputs({})

    @property
    def _builder_image(self) -> str:
        host = self._args.lookups.account.registry_host
        return self._settings.runners.builder_image or f"{host}/{self._settings.builder_repository}:{BUILDER_VERSION}"

    def _create_tier(self, tier: Tier, registry: ImageRegistry, variables: Sequence[PipelineVariables]) -> _Tier:
        """Create everything that the tiers do not share."""
        trust, architectures = self._settings.trust, self._settings.architectures
        nodes = {architecture: self._create_nodes(tier, architecture) for architecture in architectures}
        identity = self._create_identity(tier)
        tags = {
            architecture: self._settings.runners.tags.named(trust.runner_tags(tier, architecture))
            for architecture in architectures
        }
        # A tier that goes loses its repositories after its last job.
        repositories = registry.reviews.values() if tier is Tier.UNPROTECTED else ()
        # Variables are deleted after the last job, too.
        depends_on = [identity, *nodes.values(), *repositories, *variables]
        runners = self._create_runners(tier, tags, nodes, identity, depends_on)
        return _Tier(
            role_arn=identity.role_arn,
            node_groups={str(architecture): group.node_group_name for architecture, group in nodes.items()},
            runners={
                str(architecture): {"id": runner_id, "tags": list(tags[architecture])}
                for architecture, runner_id in runners.runner_ids.items()
            },
            managers=runners,
        )

    def _create_registry(self) -> ImageRegistry:
        args = ImageRegistryArgs(
            repositories=self._settings.release_repositories,
            existing=self._args.lookups.repositories,
            reviews={
                review: f"{project.path}/{image.name}"
                for project in self._settings.projects
                for image in project.images
                if (review := self._settings.review_repository_of(project, image))
            },
            semver={
                self._settings.repository_of(project, image)
                for project in self._settings.projects
                for image in project.images
                if image.semver
            },
            default_branches={
                self._settings.repository_of(project, image): project.default_branch
                for project in self._settings.projects
                for image in project.images
            },
            shared=self._settings.trust is Trust.SHARED,
            registry=self._settings.registry,
            pull_policy=registry_access.pull_policy(
                self._settings.registry.pull, self._args.lookups.account.as_registry
            ),
            pulled=[name for name in self._settings.release_repositories if name != self._settings.builder_repository],
            tags=self._tags,
        )
        return ImageRegistry(self._name, args, pulumi.ResourceOptions(parent=self))

    def _create_pull_through_caches(self) -> None:
        registry, account = self._settings.registry, self._args.lookups.account
        caches = {
            each.prefix(registry.prefix, tier): each
            for each in cached_upstreams(registry.pull_through)
            for tier in self._settings.trust.tiers
        }
        if caches:
            args = PullThroughCacheArgs(
                caches=caches,
                arns=[account.repository_arn(f"{prefix}/*") for prefix in caches],
                kms_key=registry.kms_key,
                keep_days=registry.keep_cache_days,
                iam=self._settings.iam,
                tags=self._tags,
            )
            PullThroughCache(self._name, args, pulumi.ResourceOptions(parent=self))

    def _create_nodes(self, tier: Tier, architecture: Architecture) -> BuildNodes:
        name = f"{tier.of(self._name)}-{architecture}"
        warm = self._settings.runners.warm
        args = BuildNodesArgs(
            stack=self._args.stack,
            architecture=architecture,
            nodes=self._settings.nodes[architecture],
            cluster_name=self._args.lookups.cluster.name,
            kubernetes_version=self._args.lookups.cluster.version,
            subnet_ids=self._args.lookups.cluster.subnet_ids,
            cluster_security_group_id=self._args.lookups.cluster.security_group_id,
            cni_role=self._settings.cluster.cni_role,
            partition=self._args.lookups.account.partition,
            user_namespaces=self._settings.runners.user_namespaces,
            iam=self._settings.iam,
            stopped=warm.jobs if warm.is_on(tier) else 0,
            tags=self._tags,
            running=existing.generations(name, self._args.lookups.running_nodes),
            own_tags=self._settings.tags,
        )
        return BuildNodes(name, args, pulumi.ResourceOptions(parent=self))

    def _create_identity(self, tier: Tier) -> PushIdentity:
        cluster, account = self._args.lookups.cluster, self._args.lookups.account
        args = PushIdentityArgs(
            identity=self._settings.identity,
            cluster_name=cluster.name,
            cluster_arn=cluster.arn,
            oidc_provider_arn=cluster.oidc_provider_arn,
            namespace=self._settings.runners.namespace_of(self._args.stack, tier),
            service_account=SERVICE_ACCOUNT,
            # Without the builder's: a build must not be able to change the image that all other builds run in.
            repository_arns=[account.repository_arn(name) for name in self._settings.pushed_repositories(tier)],
            pull_arns=[
                *(account.repository_arn(name) for name in self._settings.pulled_repositories(tier)),
                *registry_access.pull_arns(self._settings, account.as_registry),
            ],
            cache_arns=registry_access.cache_arns(self._settings, account.as_registry, tier),
            iam=self._settings.iam,
            tags=self._tags,
        )
        return PushIdentity(tier.of(self._name), args, pulumi.ResourceOptions(parent=self))

    def _create_runners(
        self,
        tier: Tier,
        tags: Mapping[Architecture, Sequence[str]],
        nodes: Mapping[Architecture, BuildNodes],
        identity: PushIdentity,
        depends_on: Sequence[pulumi.Resource],
    ) -> Runners:
        gitlab = self._args.lookups.gitlab
        args = RunnersArgs(
            stack=self._args.stack,
            tags=tags,
            access_level=self._settings.trust.access_level(tier),
            runners=self._settings.runners,
            drain=self._drain,
            gitlab_url=gitlab.url,
            group_id=gitlab.group_id,
            project_id=gitlab.project_id,
            other_projects=self._settings.runner_projects[1:],
            namespace=self._settings.runners.namespace_of(self._args.stack, tier),
            service_account=SERVICE_ACCOUNT,
            service_account_annotations=identity.service_account_annotations,
            builder_image=self._builder_image,
            cluster_name=self._args.lookups.cluster.name,
            node_groups={architecture: group.node_group_name for architecture, group in nodes.items()},
            caches={architecture for architecture in nodes if self._settings.nodes[architecture].cache},
            deny_networks=self._args.lookups.cluster.networks.denied,
            allow_networks=[
                *(Destination(cidr=address) for address in self._args.lookups.cluster.networks.vpc_endpoints),
                *proxy_destinations(self._settings.network.proxy),
                *self._settings.network.allow,
            ],
            network=self._settings.network,
            service_networks=self._args.lookups.cluster.networks.services,
            warm=self._settings.runners.warm.is_on(tier),
            service_monitor=self._settings.monitoring.service_monitor,
            depends_on=depends_on,
        )
        return Runners(tier.of(self._name), args, self._kubernetes)

    def _create_monitoring(self, runners: Sequence[Runners]) -> None:
        settings, stack = self._settings, self._args.stack
        if settings.monitoring.alerts or settings.monitoring.dashboard:
            tiers = settings.trust.tiers
            watched = Watched(
                stack=stack,
                namespaces=[settings.runners.namespace_of(stack, tier) for tier in tiers],
                managers=[f"{tier.of(self._name)}-{each}" for tier in tiers for each in settings.architectures],
                projects=[project.path for project in settings.projects],
                node_wait_minutes=settings.runners.node_wait_minutes,
            )
            args = MonitoringArgs(watched=watched, settings=settings.monitoring, depends_on=runners)
            StackMonitoring(self._name, args, self._kubernetes)

    def _connect_cluster(self) -> kubernetes.Provider:
        cluster = self._args.lookups.cluster
        return kubernetes.Provider(
            self._name,
            kubeconfig=kubeconfig(
                cluster_name=cluster.name,
                endpoint=cluster.endpoint,
                certificate_authority=cluster.certificate_authority,
                region=self._args.lookups.account.region,
                login=Login.configured(),
            ),
            # It identifies the cluster if its endpoint changes: a new kubeconfig must not replace everything in it.
            cluster_identifier=cluster.arn,
            # The certificates of the company's authorities change in place: pods that wait for a node need their name.
            enable_config_map_mutable=True if self._settings.network.ca_bundle else None,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _set_variables(self, project: Project) -> PipelineVariables:
        args = PipelineVariablesArgs(
            stack=self._args.stack,
            project=project.path,
            variables={BUILDER_VARIABLE: self._builder_image},
            protected_variables=({} if self._settings.trust is Trust.SHARED else {TIER_VARIABLE: str(Tier.PROTECTED)}),
        )
        return PipelineVariables(f"{self._name}-{project.path}", args, pulumi.ResourceOptions(parent=self))

    def _repositories(self, project: Project, registry: ImageRegistry) -> Iterator[pulumi.Resource]:
        """The repositories that a project's jobs push to."""
        for image in project.images:
            yield registry.repositories[self._settings.repository_of(project, image)]
            if review := self._settings.review_repository_of(project, image):
                yield registry.reviews[review]

    def _publish_pipeline(self, project: Project, depends_on: Sequence[pulumi.Resource]) -> dict[str, str]:
        """Publish one project's pipeline, and return its part of the outputs."""
        files = self._args.pipelines[project.path]
        args = PublishedPipelineArgs(
            stack=self._args.stack,
            project=project.path,
            branch=project.default_branch,
            files=files,
            depends_on=depends_on,
        )
        PublishedPipeline(f"{self._name}-{project.path}", args, pulumi.ResourceOptions(parent=self))
        return {
            "path": project.pipeline_path,
            "branch": project.default_branch,
            "sha256": hashlib.sha256("".join(file.text for file in files).encode()).hexdigest(),
        }
