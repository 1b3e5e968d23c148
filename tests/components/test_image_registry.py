"""Repositories: what may change in them, and what they forget."""

from stacks import tags
from tests.components.mocks import NAME, REGISTRY, declare
from tests.stacks.stack_settings import project


def test_every_image_has_a_repository_of_its_own() -> None:
    declared = declare(projects=[project({"name": "base"}, {"name": "web", "repository": "shop/web"})])
    names = {each.inputs["name"] for each in declared.of("ecr:Repository").values()}
    assert names == {"platform/images/base", "shop/web", "buildyard/builder"}


def test_release_tags_cannot_be_moved_but_latest_and_caches_can() -> None:
    repository = declare().of("ecr:Repository")[f"{NAME}-platform/images/toolbox"].inputs
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    filters = repository["imageTagMutabilityExclusionFilters"]
    assert filters == [{"filter": tag, "filterType": "WILDCARD"} for tag in tags.movable()]
    assert len(filters) <= 5, "ECR takes five filters at most"


def test_repositories_are_scanned_encrypted_and_kept() -> None:
    repository = declare().of("ecr:Repository")[f"{NAME}-platform/images/toolbox"].inputs
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
    assert repository["forceDelete"] is False, "an image dropped from the settings would take its releases with it"


def test_a_key_of_ones_own_encrypts_the_images() -> None:
    declared = declare(registry={"kms-key": "arn:aws:kms:ap-east-1:123456789012:key/1"})
    for repository in declared.of("ecr:Repository").values():
        assert repository.inputs["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:ap-east-1:123456789012:key/1"}
        ]


def test_every_repository_expires_its_caches() -> None:
    declared = declare(registry={"keep-untagged-days": 3, "keep-cache-days": 14})
    assert declared.of("ecr:LifecyclePolicy").keys() == declared.of("ecr:Repository").keys()
    for policy in declared.of("ecr:LifecyclePolicy").values():
        days = [rule["selection"]["countNumber"] for rule in policy.document("policy")["rules"]]
        assert days == [3, 14], "the settings' days are not those that ECR keeps to"


def test_a_prefix_stands_before_every_repository() -> None:
    declared = declare(registry={"prefix": "dev"})
    names = {each.inputs["name"] for each in declared.of("ecr:Repository").values()}
    assert names == {"dev/platform/images/toolbox", "dev/buildyard/builder"}, "two stacks of one account would collide"
    assert declared.outputs["builder-image"].startswith(f"{REGISTRY}/dev/buildyard/builder:")


def test_a_builder_image_of_ones_own_needs_no_repository() -> None:
    declared = declare(runners={"builder-image": "registry.example.com/builder:7"})
    assert f"{NAME}-buildyard/builder" not in declared.of("ecr:Repository")
    assert declared.outputs["builder-image"] == "registry.example.com/builder:7"
