"""Repositories that exist before a stack, leave it, come back, and outlive it."""

import json
from typing import Any

from sandbox.scratch import ScratchProject
from tests.deployment.conftest import Cloud, update

Config = dict[str, Any]
WEB = "platform/images/web"
DELETED = ["platform/images/toolbox"]


def push(ecr: Any, repository: str, tag: str) -> None:
    layer = {"digest": f"sha256:{'0' * 64}", "size": 1}
    manifest = {"schemaVersion": 2, "config": layer, "layers": [layer], "annotations": {"of": repository}}
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag)


def tags_of(ecr: Any, repository: str) -> list[str]:
    return [each["imageTag"] for each in ecr.list_images(repositoryName=repository)["imageIds"]]


def up(project: ScratchProject, **changes: Any) -> str:
    """Deploy the stack with some keys changed: the CLI's output."""
    project.write_config({**project.read_config(), **changes})
    return update(project)


def images(project: ScratchProject, *names: str) -> list[dict[str, Any]]:
    """The projects' setting with these of the first project's images."""
    [first] = project.read_config()["buildyard:projects"]
    kept = [{**image, "depends-on": []} for image in first["images"] if image["name"] in names]
    return [{**first, "images": kept}]


def test_images_stay_until_the_settings_name_them(scratch: ScratchProject) -> None:
    config = scratch.read_config()
    del config["buildyard:nodes"]["amd64"]  # repositories are the same for one architecture
    scratch.write_config(config)
    shipped = config["buildyard:projects"]
    assert scratch.sandbox("start").returncode == 0
    ecr = Cloud(scratch).aws("ecr")
    ecr.create_repository(repositoryName=WEB, tags=[{"Key": "owner", "Value": "shop"}])
    push(ecr, WEB, "v1")

    refused = scratch.sandbox("up", "--skip-preview")
    assert refused.returncode == 1
    assert f"projects[0].images[1].name: the repository {WEB} exists already" in refused.stdout + refused.stderr
    assert [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]] == [WEB]

    said = up(scratch, **{"buildyard:registry": {"adopt": True, "delete-images": DELETED}})
    assert f"takes in the repository {WEB} with its images" in said
    [adopted] = ecr.describe_repositories(repositoryNames=[WEB])["repositories"]
    assert adopted["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert tags_of(ecr, WEB) == ["v1"]
    up(scratch, **{"buildyard:registry": {"delete-images": DELETED}})  # it is the stack's now, without the word

    for repository in ("platform/images/base", "platform/images/base/review", *DELETED):
        push(ecr, repository, "v1")
    web = images(scratch, "web")
    up(scratch, **{"buildyard:projects": web, "buildyard:registry": {}})
    found = {each["repositoryName"] for each in ecr.describe_repositories()["repositories"]}
    assert not found & {*DELETED, "platform/images/base/review"}
    assert tags_of(ecr, "platform/images/base") == ["v1"], "an image is lost though nobody named it"
    assert ecr.get_lifecycle_policy(repositoryName="platform/images/base")

    up(scratch, **{"buildyard:projects": shipped})
    assert tags_of(ecr, "platform/images/base") == ["v1"], "it is back, with its images"

    retired = [{**shipped[0], "images": [{**shipped[0]["images"][0], "retired": True}, *web[0]["images"]]}]
    up(scratch, **{"buildyard:projects": retired})
    assert tags_of(ecr, "platform/images/base") == ["v1"]
    assert f"{WEB}/review" in str(ecr.describe_repositories())
    assert "platform/images/base/review" not in str(ecr.describe_repositories())

    down = scratch.sandbox("destroy")
    assert down.returncode == 0, down.stdout + down.stderr
    assert tags_of(ecr, WEB) == tags_of(ecr, "platform/images/base") == ["v1"]
    up(scratch)  # the stack has its repositories again
