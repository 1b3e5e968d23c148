"""Pushes of an image that is built on another one: with ECR's blob mounting, none of the base's layers is uploaded."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sandbox.builds.events import Event
from tests.sandbox.builds.environments import FILES, Environment, on_branch, words
from tests.sandbox.builds.example_group import ImageProject

pytestmark = pytest.mark.builds
IMAGES = (
    {"name": "app", "context": "app", "architectures": ["amd64"]},
    {"name": "above", "context": "above", "architectures": ["amd64"], "depends-on": ["app"]},
)
MOUNTING = {"blob-mounting": "elsewhere"}
ABOVE = {**FILES, "above/Dockerfile": "FROM app\nCOPY source /above\n", "above/source": "print 3\n"}


@pytest.fixture
def mounting(environment: Environment) -> Iterator[Environment]:
    """The environment with ECR's blob mounting."""
    ecr = environment.group.client("ecr")
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    yield environment
    ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")


def layers(environment: Environment, repository: str) -> set[str]:
    """The layers of the image that a pipeline for amd64 published."""
    images = environment.builds.images
    manifest: Mapping[str, Any] = images.read(f"{repository}/manifests/latest")
    for child in manifest.get("manifests", ()):
        manifest = images.read(f"{repository}/manifests/{child['digest']}")
    return {layer["digest"] for layer in manifest["layers"]}


def uploads(environment: Environment, repository: str) -> set[str]:
    return {blob.digest for blob in environment.builds.ecr.traffic.uploaded if blob.repository == repository}


def mounts(environment: Environment, repository: str) -> set[str]:
    return {blob.digest for blob in environment.builds.ecr.traffic.mounted if blob.repository == repository}


def built(environment: Environment, project: ImageProject, event: Event | None = None) -> None:
    result = environment.build(project, event)
    assert result.passed, [words(each) for each in result.jobs if not each.passed]


def test_without_the_setting_the_base_is_uploaded_again(environment: Environment) -> None:
    project = environment.project(IMAGES, ABOVE, registry=MOUNTING)
    built(environment, project)
    base = layers(environment, f"{project.path}/app")
    assert base <= uploads(environment, f"{project.path}/above"), "the next test would show nothing"
    assert not mounts(environment, f"{project.path}/above")


def test_with_the_setting_no_layer_of_the_base_is_uploaded(mounting: Environment) -> None:
    project = mounting.project(IMAGES, ABOVE, registry=MOUNTING)
    built(mounting, project)
    base, above = layers(mounting, f"{project.path}/app"), layers(mounting, f"{project.path}/above")
    assert base < above
    sent = uploads(mounting, f"{project.path}/above")
    assert not base & sent, "the layers of the base were uploaded again"
    assert above - base <= sent
    assert mounts(mounting, f"{project.path}/above") >= base


def test_a_merge_request_takes_the_layers_of_its_own_tier(mounting: Environment) -> None:
    project = mounting.project(IMAGES, ABOVE, registry=MOUNTING)
    project.commit({"above/source": "print 4\n"}, branch="change", start="master")
    built(mounting, project, on_branch("change"))
    sent, taken = (each(mounting, f"{project.path}/above/review") for each in (uploads, mounts))
    assert len(taken) == 4, "BusyBox's layer and the three of app"
    assert not sent & taken


def test_a_base_with_another_encryption_is_uploaded(mounting: Environment) -> None:
    project = mounting.project(IMAGES, ABOVE, registry=MOUNTING)
    ecr, repository = mounting.group.client("ecr"), f"{project.path}/above"
    [settings] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    ecr.delete_repository(repositoryName=repository)
    ecr.create_repository(
        repositoryName=repository,
        imageTagMutability=settings["imageTagMutability"],
        imageTagMutabilityExclusionFilters=settings["imageTagMutabilityExclusionFilters"],
        encryptionConfiguration={"encryptionType": "KMS"},
    )
    built(mounting, project)
    assert layers(mounting, f"{project.path}/app") <= uploads(mounting, repository)


def test_a_last_step_with_link_pulls_and_uploads_nothing_of_the_base(mounting: Environment) -> None:
    linked = {**ABOVE, "above/Dockerfile": "FROM app\nCOPY --link source /above\n"}
    project = mounting.project(IMAGES, linked)  # whose pipeline asks for no mounts: BuildKit does
    built(mounting, project)
    base = layers(mounting, f"{project.path}/app")
    assert not base & uploads(mounting, f"{project.path}/above")
    pulled = {
        blob.digest for blob in mounting.builds.ecr.traffic.downloaded if blob.repository == f"{project.path}/app"
    }
    assert not base & pulled, "the advice to use COPY --link would be wrong"
