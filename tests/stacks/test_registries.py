"""Settings of other registries: what is refused, and why."""

from typing import Any

import pytest

from stacks.registries import MAX_CACHE_PREFIX, cache_folder, cached_upstreams, split_reference
from stacks.trust import Tier
from tests.stacks.stack_settings import problems, project, settings

ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
SECRET = "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"


@pytest.mark.parametrize(
    ("registry", "key", "said"),
    [
        ({"pull-from": ["shared/base:1"]}, "pull-from[0]", "has a tag or a digest"),
        ({"pull-from": ["shared/base@sha256:1"]}, "pull-from[0]", "has a tag or a digest"),
        ({"pull-from": ["a*"]}, "pull-from[0]", "wrong format"),
        ({"pull-from": ["shared/*/base"]}, "pull-from[0]", "wrong format"),
        ({"pull-from": ["docker.io/Library/alpine"]}, "pull-from[0]", "wrong format"),
        (
            {"logins": {"https://nexus.example.com": {"job-token": True}}},
            "logins.https://nexus.example.com",
            "https://",
        ),
        ({"logins": {ECR: {"job-token": True}}}, f"logins.{ECR}", "buildyard:registry.pull-from"),
        ({"logins": {"a.example": {}}}, "logins.a.example", "has no complete login"),
        ({"logins": {"a.example": {"user": "x"}}}, "logins.a.example", "has no complete login"),
        ({"logins": {"a.example": {"password": "X"}}}, "logins.a.example", "has no complete login"),
        ({"logins": {"a.example": {"job-token": True, "user": "x"}}}, "logins.a.example", "Remove job-token"),
        (
            {"logins": {"a.example": {"job-token": True, "pasword": "X"}}},
            "logins.a.example.pasword",
            "Did you mean password",
        ),
        (
            {"logins": {"a.example": {"user": "x", "password": "AWS_SECRET_ACCESS_KEY"}}},
            "logins.a.example.password",
            "every job unsets AWS_SECRET_ACCESS_KEY",
        ),
        ({"pull-through": {"docker-hub": {}}}, "pull-through.docker-hub.credentials", "is missing"),
        ({"pull-through": {"quay": {"credentials": SECRET}}}, "pull-through.quay.credentials", "there is no such key"),
        ({"pull-through": {"dockerhub": {}}}, "pull-through.dockerhub", "Did you mean docker-hub?"),
        (
            {"pull-through": {"ghcr": {"credentials": SECRET.replace("ecr-pullthroughcache/", "")}}},
            "pull-through.ghcr.credentials",
            "ecr-pullthroughcache/, as ECR requires",
        ),
        ({"pull": {"accounts": [123456789012]}}, "pull.accounts[0]", 'Write it in quotes: "123456789012"'),
        ({"pull": {"accounts": ["12345678901"]}}, "pull.accounts[0]", "12 digits"),
        ({"pull": {"principals": ["arn:aws:iam::123456789012:role/*"]}}, "pull.principals[0]", "wrong format"),
        ({"pull": {"principals": ["arn:aws:iam::123456789012:root"]}}, "pull.principals[0]", "use accounts"),
        ({"pull": {"principals": ["arn:aws:iam::12345678901:role/x"]}}, "pull.principals[0]", "wrong format"),
        ({"pull": {"principals": ["arn:aws:sts::123456789012:assumed-role/x/y"]}}, "pull.principals[0]", "IAM role"),
        ({"pull": {"organizations": ["example"]}}, "pull.organizations[0]", "o-a1b2c3d4e5"),
        ({"pull": {"lambda-accounts": ["lambda"]}}, "pull.lambda-accounts[0]", "12 digits"),
    ],
)
def test_a_wrong_key_is_refused_with_its_path(registry: dict[str, Any], key: str, said: str) -> None:
    found = problems(registry=registry)
    problem = found[f"buildyard:registry.{key}"]
    assert said in str(problem)
    assert len(found) == 1


def test_everything_at_once_is_accepted() -> None:
    read = settings(
        registry={
            "pull-from": ["shared/base", "golden/*", f"{ECR}/base", f"{ECR}/golden/*"],
            "logins": {
                "registry.gitlab.example.com:5050": {"job-token": True},
                "docker.io": {"user": "somebody", "password": "HUB_TOKEN"},
            },
            "pull-through": {
                "docker-hub": {"credentials": SECRET},
                "ghcr": {"credentials": SECRET},
                "gitlab": {"credentials": SECRET},
                "kubernetes": {},
                "quay": {},
            },
            "pull": {
                "accounts": ["111122223333"],
                "principals": ["arn:aws:iam::111122223333:role/path/deploy", "arn:aws:iam::111122223333:user/x"],
                "organizations": ["o-a1b2c3d4e5"],
                "lambda-accounts": ["111122223333"],
            },
        }
    )
    assert [each.upstream.key for each in cached_upstreams(read.registry.pull_through)] == [
        "docker-hub",
        "ghcr",
        "gitlab",
        "kubernetes",
        "quay",
    ]


@pytest.mark.parametrize("pattern", ["platform/*", "platform/images/*", "platform/images/a/review", "cache/review/*"])
def test_releases_pull_nothing_that_merge_requests_write(pattern: str) -> None:
    keys: dict[str, Any] = {"registry": {"pull-from": [pattern], "pull-through": {"quay": {}}}}
    projects = [project({"name": "a"})]
    found = problems(projects=projects, trust="isolated", **keys)["buildyard:registry.pull-from[0]"]
    assert "which merge requests write to and releases never read" in found.message
    assert settings(projects=projects, trust="shared", **keys), "with one tier, there is nothing to separate"


def test_another_registrys_repository_may_have_the_name_of_ours() -> None:
    assert settings(projects=[project({"name": "a"})], trust="isolated", registry={"pull-from": [f"{ECR}/platform/*"]})


def test_builds_push_nothing_into_a_cache() -> None:
    images = [{"name": "a", "repository": "cache/hub/library/alpine"}, {"name": "b", "repository": "cached/b"}]
    keys: dict[str, Any] = {"projects": [project(*images)]}
    found = problems(**keys, registry={"pull-through": {"quay": {}}})
    assert list(found) == ["buildyard:projects[0].images[0].repository"], "a build could replace what others pull"
    assert settings(**keys), "without caches, the name is as good as any"


@pytest.mark.parametrize(("trust", "longest"), [("isolated", 10), ("shared", 17)])
def test_a_caches_prefix_has_at_most_ecrs_length(trust: str, longest: int) -> None:
    keys: dict[str, Any] = {"pull-through": {"gitlab": {"credentials": SECRET}}}
    assert settings(trust=trust, registry={"prefix": "p" * longest, **keys})
    found = problems(trust=trust, registry={"prefix": "p" * (longest + 1), **keys})
    assert f"ECR takes {MAX_CACHE_PREFIX} at most" in found["buildyard:registry.pull-through.gitlab"].message


def test_no_prefix_of_a_tiers_caches_contains_the_other_tiers() -> None:
    pull_through = settings(registry={"pull-through": {"quay": {}, "kubernetes": {}}}).registry.pull_through
    protected, other = ([f"{each.prefix(None, tier)}/" for each in cached_upstreams(pull_through)] for tier in Tier)
    assert not [1 for a in protected for b in other if a.startswith(b) or b.startswith(a)]
    assert cache_folder("dev", Tier.UNPROTECTED) == "dev/cache/review"


def test_a_reference_without_a_host_is_of_the_stacks_registry() -> None:
    assert split_reference("shared/base", "ours") == ("ours", "shared/base")
    assert split_reference(f"{ECR}/shared/*", "ours") == (ECR, "shared/*")
    assert split_reference(f"{ECR}.cn/base", "ours") == (f"{ECR}.cn", "base")
