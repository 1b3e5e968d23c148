"""Repositories: which tags may move, and what expires."""

from fnmatch import fnmatchcase

from stacks import tags
from tests.components.answers import REGISTRY
from tests.components.mocks import NAME, declare
from tests.stacks.stack_settings import project


def test_every_image_has_a_repository_of_its_own() -> None:
    declared = declare(projects=[project({"name": "base"}, {"name": "web", "repository": "shop/web"})])
    names = {each.inputs["name"] for each in declared.of("ecr:Repository").values()}
    assert names == {"platform/images/base", "shop/web", "buildyard/builder"}


def test_only_latest_and_cache_tags_can_be_moved() -> None:
    repository = declare().of("ecr:Repository")[f"{NAME}-platform/images/toolbox"].inputs
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    filters = repository["imageTagMutabilityExclusionFilters"]
    assert filters == [{"filter": tag, "filterType": "WILDCARD"} for tag in tags.movable()]
    assert len(filters) <= 5, "ECR accepts at most five filters"


def test_with_semver_only_releases_and_dated_versions_are_immutable() -> None:
    declared = declare(projects=[project({"name": "web", "semver": True}, {"name": "other"})])
    repository = declared.of("ecr:Repository")[f"{NAME}-platform/images/web"].inputs
    assert repository["imageTagMutability"] == "MUTABLE_WITH_EXCLUSION"
    filters = [each["filter"] for each in repository["imageTagMutabilityExclusionFilters"]]
    assert len(filters) <= 5
    assert all(each.count("*") <= 2 for each in filters), "ECR accepts at most two wildcards in a filter"
    for tag in ("v1.4.2", "v1.4.2-rc.1", "main-260102_163000-01234567", "260102_163000-01234567"):
        assert any(fnmatchcase(tag, each) for each in filters), f"{tag} could be overwritten"
    for tag in ("1.4", "1", "20.3", "3", tags.LATEST, f"{tags.CACHE_PREFIX}main-0-arm64"):
        assert not any(fnmatchcase(tag, each) for each in filters), f"{tag} could not move"
    other = declared.of("ecr:Repository")[f"{NAME}-platform/images/other"].inputs
    assert other["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"


def test_repositories_are_scanned_encrypted_and_kept() -> None:
    repository = declare().of("ecr:Repository")[f"{NAME}-platform/images/toolbox"].inputs
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
    assert repository["forceDelete"] is False, "removing an image from the settings would delete its releases"


def test_images_outlive_the_stack_unless_the_settings_name_their_repository() -> None:
    images = [project({"name": "base"}, {"name": "web"})]
    declared = declare(projects=images, trust="isolated", registry={"delete-images": ["platform/images/web"]})
    for kind in ("ecr:Repository", "ecr:LifecyclePolicy"):
        retained = {name.removeprefix(f"{NAME}-"): each.retained for name, each in declared.of(kind).items()}
        assert retained == {
            "platform/images/base": True,
            "platform/images/base/review": False,
            "platform/images/web": False,
            "platform/images/web/review": False,
            "buildyard/builder": True,
        }
    forced = {
        name for name, each in declared.of("ecr:Repository").items() if each.inputs["forceDelete"] is each.retained
    }
    assert not forced, "a repository that is deleted must be deletable, and no other"


def test_another_encryption_replaces_no_repository() -> None:
    for repository in declare(trust="isolated").of("ecr:Repository").values():
        assert "encryptionConfigurations" in repository.ignored, "every image of the stack would be lost"


def test_others_lose_their_rights_on_images_that_leave_the_stack() -> None:
    declared = declare(registry={"pull": {"accounts": ["111122223333"]}})
    assert not any(each.retained for each in declared.of("ecr:RepositoryPolicy").values())


def test_a_retired_image_keeps_its_releases_and_nothing_else() -> None:
    images = [project({"name": "base", "retired": True}, {"name": "web"})]
    declared = declare(projects=images, trust="isolated", registry={"pull": {"accounts": ["111122223333"]}})
    names = {each.inputs["name"] for each in declared.of("ecr:Repository").values()}
    assert "platform/images/base" in names
    assert "platform/images/base/review" not in names
    assert f"{NAME}-platform/images/base" in declared.of("ecr:RepositoryPolicy"), "others can no longer pull it"
    policies = [each.inputs["policy"] for each in declared.of("iam:Policy").values()]
    assert policies
    assert not any("platform/images/base" in policy for policy in policies), "a job could still push to it"
    [file] = declared.of("gitlab:RepositoryFile").values()
    assert "build-base" not in file.inputs["content"]


def test_a_project_without_builds_has_no_pipeline() -> None:
    other = {**project({"name": "old", "retired": True}), "path": "platform/old"}
    declared = declare(projects=[project({"name": "web"}), other], runners={"group": "platform"})
    assert {each.inputs["project"] for each in declared.of("gitlab:RepositoryFile").values()} == {"platform/images"}
    assert f"{NAME}-platform/old/old" in declared.of("ecr:Repository")


def test_a_kms_key_encrypts_the_images() -> None:
    declared = declare(registry={"kms-key": "arn:aws:kms:ap-east-1:123456789012:key/1"})
    for repository in declared.of("ecr:Repository").values():
        assert repository.inputs["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:ap-east-1:123456789012:key/1"}
        ]


def test_every_repository_expires_its_caches() -> None:
    declared = declare(trust="isolated", registry={"keep-untagged-days": 3, "keep-cache-days": 14, "keep-versions": 60})
    assert declared.of("ecr:LifecyclePolicy").keys() == declared.of("ecr:Repository").keys()
    for name, policy in declared.of("ecr:LifecyclePolicy").items():
        if name.endswith("/review"):
            continue
        counts = [rule["selection"]["countNumber"] for rule in policy.document("policy")["rules"]]
        versions = [] if name.endswith("builder") else [60]
        assert counts == [1, 14, *versions, 3], "ECR would not use the numbers of the settings"


def test_every_repository_has_the_prefix() -> None:
    declared = declare(registry={"prefix": "dev"})
    names = {each.inputs["name"] for each in declared.of("ecr:Repository").values()}
    assert names == {"dev/platform/images/toolbox", "dev/buildyard/builder"}, (
        "two stacks in one account would use the same repositories"
    )
    assert declared.outputs["builder-image"].startswith(f"{REGISTRY}/dev/buildyard/builder:")


def test_another_builder_image_needs_no_repository() -> None:
    declared = declare(runners={"builder-image": "registry.example.com/builder:7"})
    assert f"{NAME}-buildyard/builder" not in declared.of("ecr:Repository")
    assert declared.outputs["builder-image"] == "registry.example.com/builder:7"


def test_one_stack_turns_on_blob_mounting_for_the_account() -> None:
    setting = declare(registry={"blob-mounting": True}).only("ecr:AccountSetting")
    assert (setting.inputs["name"], setting.inputs["value"]) == ("BLOB_MOUNTING", "ENABLED")
    for others in ({}, {"blob-mounting": "elsewhere"}):
        assert not declare(registry=others).of("ecr:AccountSetting"), "a stack would change what others own"
