"""ECR's API after pushes: what it lists, moves, refuses and deletes."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import server
from tests.sandbox.conftest import AwsClient, aws_clients
from tests.sandbox.manifests import digest, image, index

NAMES = (f"images-{number}" for number in itertools.count())


def repository(aws: AwsClient, **options: Any) -> str:
    name = next(NAMES)
    aws("ecr").create_repository(repositoryName=name, **options)
    return name


def put(aws: AwsClient, name: str, manifest: str, tag: str | None = None) -> None:
    aws("ecr").put_image(repositoryName=name, imageManifest=manifest, **({"imageTag": tag} if tag else {}))


def listed(aws: AwsClient, name: str) -> dict[str, set[str]]:
    """The tags of each image, by its digest."""
    found = aws("ecr").describe_images(repositoryName=name)["imageDetails"]
    return {each["imageDigest"]: set(each.get("imageTags", [])) for each in found}


def test_an_image_is_listed_with_its_digest_its_tags_and_its_size(aws: AwsClient) -> None:
    name = repository(aws)
    for tag in (None, "1.0", "latest"):
        put(aws, name, image(), tag)
    [found] = aws("ecr").describe_images(repositoryName=name)["imageDetails"]
    assert found["imageDigest"] == digest(image())
    assert found["imageSizeInBytes"] == 110
    assert set(found["imageTags"]) == {"1.0", "latest"}
    ids = aws("ecr").list_images(repositoryName=name)["imageIds"]
    assert sorted(each["imageTag"] for each in ids) == ["1.0", "latest"]


def test_an_index_is_as_large_as_its_largest_image(aws: AwsClient) -> None:
    name = repository(aws)
    put(aws, name, image(100))
    put(aws, name, image(300))
    put(aws, name, index(image(100), image(300)), "latest")
    [found] = aws("ecr").describe_images(repositoryName=name, imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert found["imageSizeInBytes"] == 310


def test_an_image_whose_tag_moved_on_stays_without_a_tag(aws: AwsClient) -> None:
    name = repository(aws)
    put(aws, name, image(1), "latest")
    put(aws, name, image(2), "latest")
    assert listed(aws, name) == {digest(image(1)): set(), digest(image(2)): {"latest"}}
    untagged = aws("ecr").list_images(repositoryName=name, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": digest(image(1))}]


def test_an_immutable_tag_does_not_move(aws: AwsClient) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "buildcache-*"}]
    name = repository(aws, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
    for tag in ("v1", "buildcache-a"):
        put(aws, name, image(1), tag)
    put(aws, name, image(2), "buildcache-a")
    with pytest.raises(ClientError, match=r"'v1' already exists in the .* the tag is immutable") as refused:
        put(aws, name, image(2), "v1")
    assert refused.value.response["Error"]["Code"] == "ImageTagAlreadyExistsException"
    assert listed(aws, name) == {digest(image(1)): {"v1"}, digest(image(2)): {"buildcache-a"}}


def test_the_same_image_under_the_same_tag_is_refused(aws: AwsClient) -> None:
    name = repository(aws)
    put(aws, name, image(), "v1")
    with pytest.raises(ClientError, match="ImageAlreadyExistsException"):
        put(aws, name, image(), "v1")
    with pytest.raises(ClientError, match="ImageAlreadyExistsException"):
        put(aws, name, image())


def test_a_wrong_digest_is_refused(aws: AwsClient) -> None:
    name = repository(aws)
    with pytest.raises(ClientError, match="ImageDigestDoesNotMatchException"):
        aws("ecr").put_image(repositoryName=name, imageManifest=image(1), imageDigest=digest(image(2)))
    assert listed(aws, name) == {}


def test_a_repository_with_images_is_deleted_by_force_only(aws: AwsClient) -> None:
    name = repository(aws)
    put(aws, name, image(), "latest")
    with pytest.raises(ClientError, match="cannot be deleted because it still contains images") as refused:
        aws("ecr").delete_repository(repositoryName=name)
    assert refused.value.response["Error"]["Code"] == "RepositoryNotEmptyException"
    aws("ecr").delete_repository(repositoryName=name, force=True)
    aws("ecr").create_repository(repositoryName=name)
    assert listed(aws, name) == {}


def test_an_image_of_an_index_is_not_deleted_before_the_index(aws: AwsClient) -> None:
    name = repository(aws)
    put(aws, name, image())
    put(aws, name, index(image()), "latest")
    child, whole = {"imageDigest": digest(image())}, {"imageDigest": digest(index(image()))}
    [failure] = aws("ecr").batch_delete_image(repositoryName=name, imageIds=[child])["failures"]
    assert failure["failureCode"] == "ImageReferencedByManifestList"
    assert digest(index(image())) in failure["failureReason"]
    for each in (whole, child):
        done = aws("ecr").batch_delete_image(repositoryName=name, imageIds=[each])
        assert done["failures"] == []
        assert done["imageIds"][0]["imageDigest"] == each["imageDigest"]
    assert listed(aws, name) == {}


def test_an_image_goes_with_its_last_tag(aws: AwsClient) -> None:
    name = repository(aws)
    for tag in ("a", "b"):
        put(aws, name, image(), tag)
    aws("ecr").batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "a"}])
    assert listed(aws, name) == {digest(image()): {"b"}}
    aws("ecr").batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "b"}])
    assert listed(aws, name) == {}


def test_images_are_still_there_after_a_restart(tmp_path: Path) -> None:
    aws = aws_clients(server.start(tmp_path))
    try:
        name = repository(aws)
        put(aws, name, image(1), "latest")
        put(aws, name, image(2), "latest")
        before = aws("ecr").describe_images(repositoryName=name)["imageDetails"]
        server.stop(tmp_path)
        aws = aws_clients(server.start(tmp_path))
        assert aws("ecr").describe_images(repositoryName=name)["imageDetails"] == before
        assert len(before) == 2
    finally:
        server.stop(tmp_path)


def test_caches_and_other_accounts_repositories_are_still_there_after_a_restart(tmp_path: Path) -> None:
    def name_account(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = "111122223333"

    def of_both(aws: AwsClient) -> tuple[Any, Any]:
        own, other = aws("ecr"), aws("ecr")
        other.meta.events.register("before-sign", name_account)
        return own, other

    own, other = of_both(aws_clients(server.start(tmp_path)))
    try:
        own.create_pull_through_cache_rule(ecrRepositoryPrefix="cache/quay", upstreamRegistryUrl="quay.io")
        own.create_repository_creation_template(prefix="cache/quay", appliedFor=["PULL_THROUGH_CACHE"])
        other.create_repository(repositoryName="golden/base")
        server.stop(tmp_path)
        own, other = of_both(aws_clients(server.start(tmp_path)))
        [rule] = own.describe_pull_through_cache_rules()["pullThroughCacheRules"]
        assert (rule["ecrRepositoryPrefix"], rule["upstreamRegistry"]) == ("cache/quay", "quay")
        [template] = own.describe_repository_creation_templates()["repositoryCreationTemplates"]
        assert template["imageTagMutability"] == "MUTABLE"
        [found] = other.describe_repositories()["repositories"]
        assert found["repositoryArn"] == "arn:aws:ecr:ap-east-1:111122223333:repository/golden/base"
        assert own.describe_repositories()["repositories"] == []
    finally:
        server.stop(tmp_path)
