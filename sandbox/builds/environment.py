"""The environment of a pipeline's jobs: a registry, a proxy, an identity and a runner."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from sandbox.builds.aws_api import aws_api
from sandbox.builds.base_images import stock
from sandbox.builds.distribution import Distribution, distribution
from sandbox.builds.docker_hub import HOST as DOCKER_HUB
from sandbox.builds.docker_hub import docker_hub
from sandbox.builds.ecr import Callers, Ecr
from sandbox.builds.other_registries import GITLAB_REGISTRY, Login, gitlab_registry, private_registry
from sandbox.builds.pod_identity import ServiceAccount, pod_identity
from sandbox.builds.pod_settings import PodSettings
from sandbox.builds.proxy import proxy
from sandbox.builds.runner import Runner
from sandbox.builds.worker import Worker


@dataclass(frozen=True, kw_only=True)
class BuildEnvironment:
    """The running registry and runner. `ecr` answers as the registry that jobs know."""

    images: Distribution
    runner: Runner
    ecr: Ecr

    @property
    def registry_host(self) -> str:
        return self.ecr.registry_host


@contextmanager
def build_environment(
    *,
    aws: str,
    region: str,
    accounts: Mapping[str, ServiceAccount],
    token_key: bytes,
    directory: Path,
    worker: Worker,
    ecr_hosts: Iterable[str] = (),
    logins: Sequence[Login] = (),
    pods: PodSettings | None = None,
) -> Iterator[BuildEnvironment]:
    """Start everything with the AWS at `aws`; the registry stores its images in `directory`.

    `accounts` are the service accounts of the pods of each of GitLab's runners, and `token_key` signs their tokens.
    `ecr_hosts` are the registries of other accounts and regions, and `logins` those of other private registries, from
    which builds may only pull. `pods` is what the runners' configuration gives every pod, if anything.
    """
    with ExitStack() as stack:
        images = stack.enter_context(distribution(directory / "registry", worker))
        stock(images)
        callers: Callers = {}
        ecr = Ecr(aws=aws, account=_account_id(aws, region), region=region, images=images, callers=callers)
        others = [_other(host, aws, images, callers) for host in set(ecr_hosts) - {ecr.registry_host}]
        job_tokens: set[str] = set()
        hosts = {
            **{each.api_host: each.answer_api for each in [*others, ecr]},
            **{each.registry_host: each.answer_registry for each in [*others, ecr]},
            DOCKER_HUB: docker_hub(images),
            **dict.fromkeys((f"sts.{region}.amazonaws.com", f"eks-auth.{region}.api.aws"), aws_api(aws)),
            GITLAB_REGISTRY: gitlab_registry(images, job_tokens),
            **{each.host: private_registry(images, each) for each in logins},
        }
        network = stack.enter_context(proxy(hosts, directory / "certificates"))
        identities = stack.enter_context(pod_identity(set(accounts.values()), aws=aws, region=region, key=token_key))
        pods, nodes = pods or PodSettings(), directory / "nodes"
        runner = Runner(
            worker=worker,
            environment={**network.environment, **pods.place(directory / "pods", worker)},
            identities={
                # Each tier has nodes of its own. Those of both architectures are one here: see `Runner`.
                name: {**identities[account], **pods.place_node_folders(nodes / account.namespace, worker)}
                for name, account in accounts.items()
            },
            job_tokens=job_tokens,
        )
        yield BuildEnvironment(images=images, runner=runner, ecr=ecr)


def _other(host: str, aws: str, images: Distribution, callers: Callers) -> Ecr:
    """The registry of another account or region."""
    account, _, _, region, *_ = host.split(".")
    return Ecr(aws=aws, account=account, region=region, images=images, folder=f"{account}/{region}/", callers=callers)


def _account_id(aws: str, region: str) -> str:
    sts = boto3.Session("sandbox", "sandbox", region_name=region).client("sts", endpoint_url=aws)
    return str(sts.get_caller_identity()["Account"])
