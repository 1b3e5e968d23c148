"""Builds and ECR's rules: rights, outages, and no access to other hosts."""

from pathlib import Path

import pytest

from components import policy_documents
from pipeline.scripts.registry import PAUSES
from sandbox.builds.distribution import Distribution
from sandbox.builds.worker import Worker
from tests.sandbox.builds.environments import FILES, Environment, job, open_environment, words
from tests.sandbox.builds.example_group import BUILDS, ExampleGroup, role_of

pytestmark = pytest.mark.builds
BUILD = "build-app:amd64"


def test_a_role_without_push_rights_fails_as_in_aws(environment: Environment) -> None:
    project = environment.project()
    environment.group.grant(policy_documents.push(["arn:aws:ecr:ap-east-1:123456789012:repository/somebody/elses"]))
    try:
        result = environment.build(project)
    finally:
        environment.group.grant_push()
    assert not result.passed, "a build pushed to a repository that its role has no rights on"
    said = words(job(result, BUILD))
    assert f"assumed-role/{role_of(BUILDS)}/" in said
    assert "is not authorized to perform: ecr:" in said
    assert not environment.tags(project)


def test_a_repository_that_a_build_pushed_to_is_deleted_by_force_only(environment: Environment) -> None:
    project = environment.project()
    [image] = environment.build(project).images
    ecr, repository = environment.group.client("ecr"), f"{project.path}/app"
    [published] = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert published["imageDigest"] == image.report["IMAGE_DIGEST"]
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException):
        ecr.delete_repository(repositoryName=repository)
    ecr.delete_repository(repositoryName=repository, force=True)


def test_a_registry_that_is_down_is_named_as_the_cause(example: tuple[ExampleGroup, Path], worker: Worker) -> None:
    with open_environment(example, worker, "outage") as environment:
        checkout = environment.check_out(environment.project(files=FILES))
        shorten_pauses(checkout.directory / ".gitlab-ci.yml")
        environment.builds.images.url = Distribution("http://127.0.0.1:1").url
        built = job(environment.run(checkout), BUILD)
    assert built.passed is False
    assert "503" in words(built), f"nobody could tell from this that the registry is down: {words(built)}"


def shorten_pauses(pipeline: Path) -> None:
    """Let jobs wait seconds instead of two minutes for a registry."""
    text = pipeline.read_text()
    assert str(PAUSES) in text
    pipeline.write_text(text.replace(str(PAUSES), str(PAUSES[:3])))


def test_a_build_reaches_no_host_outside_the_sandbox(environment: Environment) -> None:
    project = environment.project(
        files={**FILES, "app/Dockerfile": "FROM ghcr.io/somebody/image:1\nCOPY source /source\n"}
    )
    built = job(environment.build(project), BUILD)
    assert built.passed is False
    assert "ghcr.io:443 is not part of the sandbox" in words(built)
