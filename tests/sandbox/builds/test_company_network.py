"""Builds in a company's network, with what the runner's own configuration gives their pods.

The base image is in a registry with a certificate of the company's authority, and only the company's proxy leads there.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.company_network import CA_CONFIG_MAP, CA_FILE, job_variables
from components.runner_config import RunnerConfig, config_toml
from sandbox.builds.pod_settings import read_pod_settings
from sandbox.builds.progress import Job
from sandbox.builds.worker import Worker
from stacks.architecture import Architecture
from stacks.cluster import Network
from stacks.runners import Runners
from tests.sandbox.builds.company import FILES, REGISTRY, Company, company
from tests.sandbox.builds.environments import Environment, job, open_environment, words
from tests.sandbox.builds.example_group import ExampleGroup, ImageProject

pytestmark = pytest.mark.builds
BUILD = "build-app:amd64"
DOCKERFILE = f"""\
FROM {REGISTRY}/library/busybox:1.37
RUN wget -qO /file http://{FILES}/ && grep -q 'through the proxy' /file
COPY source /source
"""


@pytest.fixture(scope="module")
def opened(example: tuple[ExampleGroup, Path], worker: Worker) -> Iterator[Environment]:
    with open_environment(example, worker, "company") as environment:
        yield environment


@pytest.fixture(scope="module")
def corporation(opened: Environment) -> Iterator[Company]:
    proxy = opened.builds.runner.environment["HTTPS_PROXY"]
    with company(opened.builds.images, opened.directory / "authority", proxy) as running:
        yield running


def inside(environment: Environment, **keys: Any) -> Environment:
    """The environment whose pods have what the runner's configuration of these network settings gives them."""
    network = Network.model_validate({key.replace("_", "-"): value for key, value in keys.items()})
    config = config_toml(
        RunnerConfig(
            stack="test",
            architecture=Architecture.AMD64,
            runners=Runners(),
            node_group="nodes",
            namespace="builds",
            service_account="builds",
            image="builder",
            environment=job_variables(network.proxy, network.ca_bundle, services=["172.20.0.0/16"]),
            ca_bundle=network.ca_bundle is not None,
        )
    )
    config_maps = {CA_CONFIG_MAP: {CA_FILE: network.ca_bundle or ""}}
    runner = environment.builds.runner
    pods = read_pod_settings(config, lambda name: config_maps[name])
    variables = pods.place(environment.directory / "pods", runner.worker)
    builds = replace(environment.builds, runner=replace(runner, environment={**runner.environment, **variables}))
    return replace(environment, builds=builds)


def project(environment: Environment) -> ImageProject:
    return environment.project(files={"app/Dockerfile": DOCKERFILE, "app/source": "print 1\n"})


def built(environment: Environment, made: ImageProject) -> Job:
    return job(environment.build(made), BUILD)


def test_a_build_pulls_by_the_companys_authority_and_proxy(opened: Environment, corporation: Company) -> None:
    proxy, another = ({"http": url, "https": url} for url in corporation.proxies)
    here = inside(opened, ca_bundle=corporation.authority, proxy=proxy)
    made = project(here)
    first = built(here, made)
    assert first.passed, words(first)
    assert (len(first.steps), first.cached) == (2, 0)
    assert {REGISTRY, FILES, opened.builds.registry_host, opened.builds.ecr.api_host} <= {*corporation.asked}, (
        "something did not use the proxy"
    )

    there = inside(opened, ca_bundle=corporation.authority, proxy=another)
    made.commit({"app/source": "print 2\n"})
    again = built(there, made)
    assert again.passed, words(again)
    cached = [step.instruction for step in again.steps.values() if step.cached]
    assert any(each.startswith("RUN wget") for each in cached), "another proxy makes every RUN step run again"

    [image] = there.build(made).images
    text = str(image.labels)
    for digest in _digests(opened, made, image.report["IMAGE_TAG"]):
        manifest = opened.builds.images.read(f"{made.path}/app/manifests/{digest}")
        text += str(opened.builds.images.read(f"{made.path}/app/blobs/{manifest['config']['digest']}"))
    assert "RUN /bin/sh -c wget" in text
    assert not any(url in text for url in corporation.proxies), "the image says which proxy built it"


def _digests(environment: Environment, made: ImageProject, tag: str) -> list[str]:
    manifest = environment.builds.images.read(f"{made.path}/app/manifests/{tag}")
    return [each["digest"] for each in manifest["manifests"]] if "manifests" in manifest else [tag]


def test_without_the_authority_the_registry_is_not_trusted(opened: Environment, corporation: Company) -> None:
    proxy = {"http": corporation.proxies[0], "https": corporation.proxies[0]}
    here = inside(opened, proxy=proxy)
    failed = built(here, project(here))
    assert failed.passed is False
    assert "x509: certificate signed by unknown authority" in words(failed)


def test_without_the_proxy_the_registry_is_not_reached(opened: Environment, corporation: Company) -> None:
    here = inside(opened, ca_bundle=corporation.authority)
    failed = built(here, project(here))
    assert failed.passed is False
    assert "is not part of the sandbox, and builds reach no other host" in words(failed)


def test_a_run_step_without_the_proxy_reaches_nothing(opened: Environment, corporation: Company) -> None:
    """The other half of the first test: the machine itself does not know the host."""
    here = inside(opened, ca_bundle=corporation.authority, proxy={"https": corporation.proxies[0]})
    failed = built(here, project(here))
    assert failed.passed is False
    assert f"bad address '{FILES}" in words(failed)
