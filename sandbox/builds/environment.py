"""The environment of a pipeline's jobs: a registry, a proxy, an identity and a runner."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from sandbox.builds.aws_api import aws_api
from sandbox.builds.base_images import stock
from sandbox.builds.distribution import Distribution, distribution
from sandbox.builds.docker_hub import HOST as DOCKER_HUB
from sandbox.builds.docker_hub import docker_hub
from sandbox.builds.ecr import Ecr
from sandbox.builds.pod_identity import ServiceAccount, pod_identity
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
    *, aws: str, region: str, accounts: Mapping[str, ServiceAccount], token_key: bytes, directory: Path, worker: Worker
) -> Iterator[BuildEnvironment]:
    """Start everything with the AWS at `aws`; the registry stores its images in `directory`.

    `accounts` are the service accounts of the pods of each of GitLab's runners, and `token_key` signs their tokens.
    """
    with ExitStack() as stack:
        images = stack.enter_context(distribution(directory / "registry", worker))
        stock(images)
        ecr = Ecr(aws=aws, account=_account_id(aws, region), region=region, images=images)
        hosts = {
            ecr.registry_host: ecr.answer_registry,
            ecr.api_host: ecr.answer_api,
            DOCKER_HUB: docker_hub(images),
            **dict.fromkeys((f"sts.{region}.amazonaws.com", f"eks-auth.{region}.api.aws"), aws_api(aws)),
        }
        network = stack.enter_context(proxy(hosts, directory / "certificates"))
        identities = stack.enter_context(pod_identity(set(accounts.values()), aws=aws, region=region, key=token_key))
        runner = Runner(
            worker=worker,
            environment=network.environment,
            identities={name: identities[account] for name, account in accounts.items()},
        )
        yield BuildEnvironment(images=images, runner=runner, ecr=ecr)


def _account_id(aws: str, region: str) -> str:
    sts = boto3.Session("sandbox", "sandbox", region_name=region).client("sts", endpoint_url=aws)
    return str(sts.get_caller_identity()["Account"])
