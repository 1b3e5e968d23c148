"""The runners of one trust tier: one per architecture in GitLab, and its manager, which starts the jobs' pods."""

import base64
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_gitlab as gitlab
import pulumi_kubernetes as kubernetes

from components.admission_policy import PausePods
from components.authorities import Authorities, AuthoritiesArgs
from components.company_network import CA_CONFIG_MAP, job_variables, proxy_variables
from components.labels import kubernetes_labels, node_labels
from components.node_cache import HOST_FOLDER
from components.pod_rules import PodRules, PodRulesArgs
from components.preview_access import PreviewAccess, PreviewAccessArgs
from components.runner_chart import Manager, chart_source, chart_values, escape_template
from components.runner_config import RunnerConfig, WarmPods, config_toml
from stacks.architecture import Architecture
from stacks.cluster import Destination, Network
from stacks.fields import LABEL_NAME
from stacks.monitoring import ServiceMonitor
from stacks.runners import Runners as RunnerSettings
from stacks.versions import RUNNER_CHART_VERSION


@dataclass(frozen=True, kw_only=True)
class RunnersArgs:
    stack: str
    tags: Mapping[Architecture, Sequence[str]]
    """The GitLab tags of each architecture's runner."""
    access_level: str
    """GitLab's access level: whether the runners take jobs of unprotected refs."""
    runners: RunnerSettings
    drain: pulumi.ResourceHookBinding
    """The hook that waits until a runner has no jobs. The program registers it also when no runner uses it."""
    gitlab_url: str
    group_id: int | None
    project_id: int | None
    """The GitLab group whose projects may use the runners, or the project that owns them. One of the two is None."""
    other_projects: Sequence[str]
    """The paths of the other projects that may use them."""
    namespace: str
    service_account: str
    """The name of the build pods' service account. The push identity belongs to it."""
    service_account_annotations: Mapping[str, pulumi.Input[str]]
    builder_image: str
    """The image of jobs that name none."""
    cluster_name: str
    node_groups: Mapping[Architecture, pulumi.Input[str]]
    """The EKS node groups that the jobs of each architecture run on."""
    caches: AbstractSet[Architecture]
    """The architectures whose nodes have a disk that keeps BuildKit's state."""
    deny_networks: Sequence[str]
    """The networks that build pods cannot reach, except for `allow_networks`."""
    allow_networks: Sequence[Destination]
    network: Network
    """The company's proxy, certificate authorities and mirrors."""
    service_networks: Sequence[str]
    """The networks of the cluster's services, which are reached without the proxy."""
    warm: bool = False
    """Whether the tier keeps capacity warm, as the settings of `runners` say."""
    service_monitor: ServiceMonitor | None = None
    depends_on: Sequence[pulumi.Resource] = ()
    """The resources that must exist before the runners take jobs: the build nodes and the push identity."""


class Runners(pulumi.ComponentResource):
    """The runners of a tier, by architecture."""

    runner_ids: Mapping[Architecture, pulumi.Output[str]]

    def __init__(self, name: str, args: RunnersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:Runners", name, {}, opts)
        self._name = name
        self._args = args
        namespace = self._create_namespace()
        access = self._open_to_previews(namespace)
        pods: list[pulumi.Resource] = [self._create_service_account(namespace, access)]
        self._pause = self._pause_pods()
        if self._pause:
            pods.append(self._create_priority_class(self._pause))
        authorities = self._create_authorities(namespace)
        before = [*pods, *authorities, *args.depends_on]
        runners = {architecture: self._create_runner(architecture) for architecture in args.tags}
        for architecture, runner in runners.items():
            self._enable(architecture, runner)
        managers = []
        for architecture, runner in runners.items():
            if args.warm:
                runner.token.apply(partial(_warn_of_cold_runner, f"{self._name}-{architecture}"))
            secret = self._create_token_secret(architecture, runner, namespace)
            managers.append(self._create_manager(architecture, runner, secret, authorities, before))
        self._create_pod_rules(access, managers)
        self.runner_ids = {architecture: runner.id for architecture, runner in runners.items()}
        self.register_outputs({"runnerIds": {str(key): value for key, value in self.runner_ids.items()}})

    def _create_namespace(self) -> kubernetes.core.v1.Namespace:
        # The stricter levels of pod security forbid the unconfined seccomp profile, without which rootless BuildKit
        # cannot create its namespaces. config.toml limits the pods, and jobs cannot overwrite that.
        labels = {**kubernetes_labels(self._args.stack), "pod-security.kubernetes.io/enforce": "privileged"}
        return kubernetes.core.v1.Namespace(
            self._name,
            metadata={"name": self._args.namespace, "labels": labels},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _open_to_previews(self, namespace: kubernetes.core.v1.Namespace) -> PreviewAccess:
        """Let previews read the namespace, before there is anything in it: one that may not read an object fails."""
        access = PreviewAccessArgs(stack=self._args.stack, namespace=self._args.namespace, after_namespace=namespace)
        return PreviewAccess(self._name, access, pulumi.ResourceOptions(parent=self))

    def _create_service_account(
        self, namespace: kubernetes.core.v1.Namespace, access: PreviewAccess
    ) -> kubernetes.core.v1.ServiceAccount:
        return kubernetes.core.v1.ServiceAccount(
            f"{self._name}-{self._args.service_account}",
            metadata={
                "name": self._args.service_account,
                "namespace": namespace.metadata.name,
                "labels": kubernetes_labels(self._args.stack),
                "annotations": self._args.service_account_annotations,
            },
            # Builds do not use the Kubernetes API. AWS's token is a separate mount.
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[access]),
        )

    def _create_authorities(self, namespace: kubernetes.core.v1.Namespace) -> Sequence[Authorities]:
        """Create the company's certificate authorities, if the settings name any."""
        if self._args.network.ca_bundle is None:
            return []
        args = AuthoritiesArgs(
            stack=self._args.stack,
            namespace=namespace.metadata.name,
            pem=self._args.network.ca_bundle,
            gitlab_url=self._args.gitlab_url,
        )
        return [Authorities(self._name, args, pulumi.ResourceOptions(parent=self))]

    def _pause_pods(self) -> PausePods | None:
        """The pods that keep capacity warm, if there are any."""
        if not self._args.warm:
            return None
        image = self._args.runners.warm.pause_image or self._args.builder_image
        # Such an object is in no namespace, but of a cluster's namespaces no two have one name.
        return PausePods(image=image, priority_class=f"{self._args.namespace}-pause")

    def _create_priority_class(self, pause: PausePods) -> kubernetes.scheduling.v1.PriorityClass:
        return kubernetes.scheduling.v1.PriorityClass(
            f"{self._name}-pause",
            metadata={"name": pause.priority_class, "labels": kubernetes_labels(self._args.stack)},
            # Less than a job's, which is 0. Cluster Autoscaler starts no nodes for pods below -10.
            value=-1,
            preemption_policy="Never",
            description="Holds capacity for build jobs until one needs it",
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_runner(self, architecture: Architecture) -> gitlab.UserRunner:
        args = self._args
        return gitlab.UserRunner(
            f"{self._name}-{architecture}",
            runner_type="project_type" if args.project_id is not None else "group_type",
            group_id=args.group_id,
            project_id=args.project_id,
            # GitLab enables a locked runner for no other project.
            locked=args.project_id is not None and not args.other_projects,
            description=f"{self._name}-{architecture}",
            maintenance_note=pulumi.Output.format(
                "Jobs run on the node group {0} of the EKS cluster {1}, in the namespace {2}.",
                args.node_groups[architecture],
                args.cluster_name,
                args.namespace,
            ),
            # This also ends the pause of an interrupted deletion.
            paused=False,
            tag_lists=list(args.tags[architecture]),
            untagged=False,
            access_level=args.access_level,
            maximum_timeout=args.runners.maximum_timeout_minutes * 60,
            opts=pulumi.ResourceOptions(
                parent=self,
                # What its jobs use is deleted after it, a replaced role for example.
                depends_on=args.depends_on,
                # A runner per node group and namespace: these are not in use any more when their runner has no jobs.
                replace_on_changes=["maintenanceNote"],
                hooks=self._args.drain,
            ),
        )

    def _enable(self, architecture: Architecture, runner: gitlab.UserRunner) -> None:
        for project in self._args.other_projects:
            gitlab.ProjectRunnerEnablement(
                f"{self._name}-{architecture}-{project}",
                project=project,
                runner_id=runner.id.apply(int),
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _create_token_secret(
        self, architecture: Architecture, runner: gitlab.UserRunner, namespace: kubernetes.core.v1.Namespace
    ) -> kubernetes.core.v1.Secret:
        return kubernetes.core.v1.Secret(
            f"{self._name}-{architecture}",
            metadata={
                "name": f"{self._name}-{architecture}",
                "namespace": namespace.metadata.name,
                "labels": kubernetes_labels(self._args.stack),
            },
            # The chart mounts both keys. Runners with an authentication token have no registration token.
            # In base64, since the provider turns stringData into data as soon as it knows all values: an update would
            # differ from its plan, which was made when the token was unknown, and Pulumi would say so with the token.
            data={"runner-token": runner.token.apply(_base64), "runner-registration-token": ""},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_manager(
        self,
        architecture: Architecture,
        runner: gitlab.UserRunner,
        secret: kubernetes.core.v1.Secret,
        authorities: Sequence[Authorities],
        depends_on: Sequence[pulumi.Resource],
    ) -> kubernetes.helm.v3.Release:
        args = self._args
        name = f"{self._name}-{architecture}"
        manager = Manager(
            name=name,
            gitlab_url=args.gitlab_url,
            token_secret=secret.metadata.name,
            runner=runner.id,
            config=pulumi.Output.from_input(args.node_groups[architecture]).apply(partial(self._config, architecture)),
            concurrent=args.runners.concurrent,
            longest_job_seconds=args.runners.maximum_timeout_minutes * 60,
            image=args.network.mirrors.runner_image,
            environment=proxy_variables(args.network.proxy, services=args.service_networks),
            added=args.runners.chart_values,
            certs_secret=authorities[0].secret_name if authorities else None,
            service_monitor=args.service_monitor,
            warm=args.warm,
        )
        return kubernetes.helm.v3.Release(
            name,
            name=name,
            version=RUNNER_CHART_VERSION,
            **chart_source(args.network.mirrors.chart),
            namespace=args.namespace,
            values=chart_values(manager),
            # A manager that cannot register never becomes ready. Then Helm keeps the previous one.
            atomic=True,
            # Each is a Secret, and every refresh reads them all.
            max_history=10,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[secret, *depends_on], hooks=self._args.drain),
        )

    def _create_pod_rules(
        self, after_namespace: pulumi.Resource, managers: Sequence[kubernetes.helm.v3.Release]
    ) -> None:
        args = self._args
        rules = PodRulesArgs(
            stack=args.stack,
            namespace=args.namespace,
            service_account=args.service_account,
            managers=[f"{self._name}-{architecture}" for architecture in args.tags],
            node_labels=node_labels(args.stack),
            runners=args.runners,
            config_maps=[CA_CONFIG_MAP] if args.network.ca_bundle else [],
            host_folders=[HOST_FOLDER] if args.caches else [],
            deny=args.deny_networks,
            allow=args.allow_networks,
            pause=self._pause,
            after_namespace=after_namespace,
            after_managers=managers,
        )
        PodRules(self._name, rules, pulumi.ResourceOptions(parent=self))

    def _config(self, architecture: Architecture, node_group: str) -> str:
        args = self._args
        config = RunnerConfig(
            stack=args.stack,
            architecture=architecture,
            runners=args.runners,
            node_group=node_group,
            namespace=args.namespace,
            service_account=args.service_account,
            image=args.builder_image,
            environment=job_variables(args.network.proxy, args.network.ca_bundle, services=args.service_networks),
            ca_bundle=args.network.ca_bundle is not None,
            cache=architecture in args.caches,
            helper_image=args.network.mirrors.helper_image,
            warm=WarmPods(warm=args.runners.warm, image=self._pause.image, priority_class=self._pause.priority_class)
            if self._pause
            else None,
        )
        return escape_template(config_toml(config))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _warn_of_cold_runner(name: str, token: str) -> None:
    """Warn of a runner whose manager cannot create pause pods, since a part of its token is no valid label.

    Source: https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/executors/kubernetes/autoscaler/pause_pod_manager.go
    """
    if not re.fullmatch(LABEL_NAME, token.removeprefix("glrt-")[:9]):
        pulumi.warn(
            f"The runner {name} keeps no warm capacity: GitLab Runner labels pause pods with a part of its token, "
            "which Kubernetes refuses here. Give it another token: `pulumi stack -s STACK --show-urns` prints the URN "
            "of this UserRunner; then run `pulumi up -s STACK --replace URN`."
        )
