"""Rights on registries: what builds may pull besides the stack's images, and who may pull these."""

import json
from typing import Any

import pytest

from components import policy_documents
from components.registry_access import RegistryAccount, pull_policy
from sandbox.services.aws.rights import allows, grants
from stacks.registries import Pull
from tests.components.answers import ACCOUNT, REGION, REGISTRY
from tests.components.mocks import NAME, Declared, declare
from tests.components.test_lookups import refused
from tests.policy_linter import findings

REPOSITORIES = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
OWN = RegistryAccount(id=ACCOUNT, region=REGION, partition="aws", host=REGISTRY)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ecr-pullthroughcache/hub-AbCdEf"
CACHES = {"docker-hub": {"credentials": SECRET}, "quay": {}}
OTHER = "111122223333"
ROLE = f"arn:aws:iam::{OTHER}:role/deploy"


def rights(declared: Declared, tier: str) -> list[dict[str, Any]]:
    """The policies of a tier's role."""
    return [declared.of("iam:Policy")[f"{tier}-push-1"].document("policy")]


@pytest.fixture(scope="module")
def declared() -> Declared:
    return declare(
        trust="isolated",
        registry={
            "pull-from": ["shared/base", "golden/*", f"{OTHER}.dkr.ecr.eu-west-1.amazonaws.com/base"],
            "pull-through": CACHES,
        },
    )


@pytest.mark.parametrize("tier", [NAME, f"{NAME}-unprotected"])
@pytest.mark.parametrize(
    ("action", "repository", "allowed", "reason"),
    [
        ("ecr:BatchGetImage", f"{REPOSITORIES}/shared/base", True, "it is in pull-from"),
        ("ecr:GetDownloadUrlForLayer", f"{REPOSITORIES}/golden/any/image", True, "the pattern is in pull-from"),
        ("ecr:BatchGetImage", f"arn:aws:ecr:eu-west-1:{OTHER}:repository/base", True, "another account's registry"),
        ("ecr:BatchGetImage", f"{REPOSITORIES}/shared/other", False, "it is not in pull-from"),
        ("ecr:BatchGetImage", f"{REPOSITORIES}/golden", False, "the pattern is for what is below it"),
        ("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:{OTHER}:repository/base", False, "another region"),
        ("ecr:PutImage", f"{REPOSITORIES}/shared/base", False, "builds only pull there"),
        ("ecr:PutImage", f"arn:aws:ecr:eu-west-1:{OTHER}:repository/base", False, "builds only pull there"),
        ("ecr:CreateRepository", f"{REPOSITORIES}/golden/new", False, "builds only pull there"),
    ],
)
def test_both_tiers_may_pull_from(
    declared: Declared, tier: str, action: str, repository: str, allowed: bool, reason: str
) -> None:
    assert allows(rights(declared, tier), action, repository) is allowed, reason


@pytest.mark.parametrize(
    ("tier", "own", "other"), [(NAME, "cache", "cache/review"), (f"{NAME}-unprotected", "cache/review", "cache")]
)
def test_a_tier_pulls_through_its_own_cache_alone(declared: Declared, tier: str, own: str, other: str) -> None:
    cached = f"{REPOSITORIES}/{own}/hub/library/alpine"
    for action in ("ecr:BatchGetImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"):
        assert allows(rights(declared, tier), action, cached), "builds would not use the cache"
        assert not allows(rights(declared, tier), action, f"{REPOSITORIES}/{other}/hub/library/alpine"), (
            "merge requests could create the repositories that releases pull from, with tags that never change"
        )
    for action in ("ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:TagResource", "ecr:SetRepositoryPolicy"):
        assert not allows(rights(declared, tier), action, cached), "a build could replace what others pull"
    assert not allows(rights(declared, tier), "ecr:CreateRepository", f"{REPOSITORIES}/{own}/hub2/x")


def test_each_tier_has_a_rule_and_a_template_per_upstream(declared: Declared) -> None:
    rules = {each.inputs["ecrRepositoryPrefix"]: each for each in declared.of("ecr:PullThroughCacheRule").values()}
    assert rules.keys() == {"cache/hub", "cache/quay", "cache/review/hub", "cache/review/quay"}
    assert rules["cache/hub"].inputs["upstreamRegistryUrl"] == "registry-1.docker.io", "ECR's name of Docker Hub"
    assert rules["cache/hub"].inputs["credentialArn"] == SECRET
    assert "credentialArn" not in rules["cache/quay"].inputs
    templates = declared.of("ecr:RepositoryCreationTemplate")
    assert {each.inputs["prefix"] for each in templates.values()} == rules.keys()
    for rule in rules.values():
        template = templates[rule.name]
        assert template.id in rule.depends_on, "the first repositories would not get the template's settings"
        assert template.inputs["appliedFors"] == ["PULL_THROUGH_CACHE"]
        assert template.inputs["imageTagMutability"] == "MUTABLE", "the cache could not follow the upstream's tags"
        assert template.inputs["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
        assert "customRoleArn" not in template.inputs
        [expiry] = template.document("lifecyclePolicy")["rules"]
        assert (expiry["selection"]["tagStatus"], expiry["selection"]["countNumber"]) == ("any", 30)


def test_one_tier_has_one_cache() -> None:
    declared = declare(registry={"pull-through": {"kubernetes": {}}, "prefix": "dev", "keep-cache-days": 5})
    assert declared.only("ecr:PullThroughCacheRule").inputs["ecrRepositoryPrefix"] == "dev/cache/k8s"
    [expiry] = declared.only("ecr:RepositoryCreationTemplate").document("lifecyclePolicy")["rules"]
    assert expiry["selection"]["countNumber"] == 5


def test_without_the_setting_there_is_no_cache_and_no_policy() -> None:
    for kind in ("ecr:PullThroughCacheRule", "ecr:RepositoryCreationTemplate", "ecr:RepositoryPolicy"):
        assert not declare().of(kind)


def test_a_kms_key_encrypts_cached_images_by_a_role_of_ecr() -> None:
    declared = declare(registry={"kms-key": KEY, "pull-through": {"quay": {}}})
    template = declared.only("ecr:RepositoryCreationTemplate")
    assert template.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY}]
    assert template.inputs["customRoleArn"].endswith(f"role/{NAME}-pull-through")
    assert f"aws:iam/rolePolicyAttachment:RolePolicyAttachment {NAME}-pull-through" in template.depends_on
    policy = declared.of("iam:Policy")[f"{NAME}-pull-through"].document("policy")
    assert allows([policy], "ecr:CreateRepository", f"{REPOSITORIES}/cache/quay/x")
    assert not allows([policy], "ecr:CreateRepository", f"{REPOSITORIES}/platform/x")
    assert allows([policy], "kms:CreateGrant", KEY)
    assert not allows([policy], "kms:CreateGrant", f"{KEY}2")


def test_a_keys_alias_is_a_condition_since_iam_knows_no_aliases_as_resources() -> None:
    _, use = policy_documents.encrypted_repositories([], f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/images")["Statement"]
    assert use["Resource"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
    assert use["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/images"}}


PULL = Pull.model_validate(
    {
        "accounts": [OTHER],
        "principals": ["arn:aws:iam::444455556666:role/deploy"],
        "organizations": ["o-a1b2c3d4e5"],
        "lambda-accounts": ["777788889999", ACCOUNT],
    }
)


@pytest.mark.parametrize(
    ("principal", "organization", "allowed"),
    [
        (f"arn:aws:iam::{OTHER}:root", "o-other", True),
        ("arn:aws:iam::444455556666:role/deploy", "o-other", True),
        ("arn:aws:iam::444455556666:root", "o-other", False),
        ("arn:aws:iam::444455556666:role/other", "o-other", False),
        ("arn:aws:iam::999999999999:role/any", "o-a1b2c3d4e5", True),
        ("arn:aws:iam::999999999999:role/any", "o-other", False),
        ("arn:aws:iam::777788889999:root", "o-other", True),
    ],
)
def test_others_may_pull_and_nothing_else(principal: str, organization: str, allowed: bool) -> None:
    policy = pull_policy(PULL, OWN)
    assert policy
    context = {"aws:PrincipalOrgID": organization}
    assert grants(policy, principal, "ecr:BatchGetImage", context) is allowed
    assert grants(policy, principal, "ecr:GetDownloadUrlForLayer", context) is allowed
    for action in ("ecr:PutImage", "ecr:BatchDeleteImage", "ecr:SetRepositoryPolicy", "ecr:DescribeImages"):
        assert not grants(policy, principal, action, context)


def test_lambda_pulls_for_functions_of_the_named_accounts_in_the_region() -> None:
    policy = pull_policy(Pull.model_validate({"lambda-accounts": [OTHER, ACCOUNT]}), OWN)
    assert policy
    accounts, functions = policy["Statement"]
    assert accounts["Principal"] == {"AWS": [f"arn:aws:iam::{OTHER}:root"]}, (
        "Lambda in another account needs the account's right, too, and the own account has it already"
    )
    assert functions["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert functions["Condition"] == {
        "ArnLike": {
            "aws:SourceArn": [f"arn:aws:lambda:{REGION}:{each}:function:*" for each in (OTHER, ACCOUNT)],
        }
    }, "functions of any account in the world could run the images"


def test_release_repositories_alone_have_the_policy() -> None:
    declared = declare(trust="isolated", registry={"pull": {"accounts": [OTHER]}})
    policies = declared.of("ecr:RepositoryPolicy")
    assert {each.inputs["repository"] for each in policies.values()} == {"platform/images/toolbox"}, (
        "nobody may deploy what a merge request has pushed, and others do not need the builder"
    )
    for each in policies.values():
        assert grants(each.document("policy"), f"arn:aws:iam::{OTHER}:root", "ecr:BatchGetImage", {})


def test_the_linter_finds_nothing() -> None:
    def found(pull: Pull) -> dict[str, Any]:
        policy = pull_policy(pull, OWN)
        assert policy
        return findings(policy, own=f"{REPOSITORIES}/platform/images/web")

    assert found(PULL) == {}
    for document in policy_documents.push(
        [f"{REPOSITORIES}/web"], pull_arns=[f"{REPOSITORIES}/shared/*"], cache_arns=[f"{REPOSITORIES}/cache/hub/*"]
    ):
        # Its list is older than ECR's own examples, which name the repositories:
        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-create-pullthroughcache.html
        wrong = [each["action"] for each in findings(document).pop("RESOURCE_MISMATCH")]
        assert wrong == ["ecr:BatchImportUpstreamImage"]
        assert findings(document).keys() == {"RESOURCE_MISMATCH"}
    assert findings(policy_documents.registry_trust()) == {}
    encryption = policy_documents.encrypted_repositories([f"{REPOSITORIES}/cache/quay/*"], KEY)
    assert findings(encryption).keys() == {"PERMISSIONS_MANAGEMENT_ACTIONS"}, "a grant on the key is what it is for"


@pytest.mark.parametrize(
    ("registry", "key", "said"),
    [
        (
            {"pull-through": {"docker-hub": {"credentials": SECRET.replace(REGION, "eu-west-1")}}},
            "pull-through.docker-hub.credentials",
            f"the secret is not in {REGION} of the account {ACCOUNT}",
        ),
        (
            {"pull-through": {"docker-hub": {"credentials": SECRET.replace(ACCOUNT, OTHER)}}},
            "pull-through.docker-hub.credentials",
            f"the secret is not in {REGION} of the account {ACCOUNT}",
        ),
        ({"pull": {"principals": [ROLE.replace("aws", "aws-cn")]}}, "pull.principals[0]", "not in the partition aws"),
        ({"pull": {"principals": [f"{ROLE}-{n}" for n in range(300)]}}, "pull", "ECR takes 10,240 at most"),
        ({"pull-from": [f"{REGISTRY}/platform/*"]}, "pull-from[0]", "which merge requests write to"),
    ],
)
def test_what_does_not_match_the_account_fails_the_preview(registry: dict[str, Any], key: str, said: str) -> None:
    message = refused(trust="isolated", registry=registry)
    assert f"buildyard:registry.{key}: " in message
    assert said in message


def test_the_largest_repository_policy_is_accepted() -> None:
    pull = {"accounts": [f"{n:012}" for n in range(200)]}
    document = declare(registry={"pull": pull}).only("ecr:RepositoryPolicy").inputs["policy"]
    assert len(json.dumps(json.loads(document))) <= 10_240
