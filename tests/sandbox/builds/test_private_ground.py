"""Builds on private images: of other ECR repositories, of registries with a login, and through ECR's caches.

Each of the images holds a file that says where it comes from.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from components import policy_documents
from components.preflight.account import Account
from components.registry_access import pull_policy
from sandbox.builds.other_registries import GITLAB_REGISTRY, Login
from sandbox.builds.worker import Worker
from sandbox.endpoints import REGION
from stacks.registries import Pull
from stacks.trust import Tier, Trust
from tests.sandbox.builds.environments import Environment, job, open_environment, words
from tests.sandbox.builds.example_group import BRANCH, HOST, ExampleGroup, ImageProject, account, role_of
from tests.sandbox.builds.other_images import (
    BUILD,
    CACHES,
    HUB,
    assert_built,
    both_tiers,
    create_caches,
    project_on,
    put_into_ecr,
    store,
)

pytestmark = pytest.mark.builds
OTHER_ACCOUNT = "111122223333"
OTHER = f"{OTHER_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ELSEWHERE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
REPOSITORIES = f"arn:aws:ecr:{REGION}:123456789012:repository"
NEXUS = Login(host="nexus.example.com", user="builds", password="the-password-of-nexus")


@pytest.fixture(scope="module")
def ground(example: tuple[ExampleGroup, Path], worker: Worker) -> Iterator[Environment]:
    """An environment with other registries."""
    with open_environment(example, worker, "ground", ecr_hosts=[OTHER, ELSEWHERE], logins=[NEXUS]) as opened:
        yield opened


def client_of(environment: Environment, account_id: str, region: str = REGION) -> Any:
    """A client of an account's ECR."""
    session = boto3.Session("test", "test", region_name=region)
    client = session.client("ecr", endpoint_url=environment.group.aws)

    def name_account(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = account_id

    client.meta.events.register("before-sign", name_account)
    return client


def refusal(environment: Environment, project: ImageProject) -> str:
    """The end of the output of a build that must fail."""
    built = job(environment.build(project), BUILD)
    assert built.passed is False
    return words(built)


@pytest.mark.parametrize("pattern", ["shared/exact", "shared/*"])
def test_both_tiers_pull_from_a_repository_of_the_account(ground: Environment, pattern: str) -> None:
    name = "shared/exact" if pattern == "shared/exact" else "shared/any"
    put_into_ecr(ground, ground.group.client("ecr"), "", name, "this account")
    project = project_on(ground, f"{HOST}/{name}:1", "this account", {"pull-from": [pattern]})
    assert_built(both_tiers(ground, project))


def test_both_tiers_pull_from_another_region(ground: Environment) -> None:
    put_into_ecr(
        ground, client_of(ground, "123456789012", "eu-west-1"), "123456789012/eu-west-1/", "base", "another region"
    )
    project = project_on(ground, f"{ELSEWHERE}/base:1", "another region", {"pull-from": [f"{ELSEWHERE}/base"]})
    assert_built(both_tiers(ground, project))


def test_both_tiers_pull_from_another_account_whose_policy_allows_it(ground: Environment) -> None:
    ecr = client_of(ground, OTHER_ACCOUNT)
    put_into_ecr(ground, ecr, f"{OTHER_ACCOUNT}/{REGION}/", "golden/base", "another account")
    project = project_on(ground, f"{OTHER}/golden/base:1", "another account", {"pull-from": [f"{OTHER}/golden/*"]})
    said = refusal(ground, project)
    assert "its repository policy in the account 111122223333 does not let" in said
    assert f"the role {role_of(account(Trust.ISOLATED))} pull" in said
    registry = Account(id=OTHER_ACCOUNT, region=REGION, partition="aws").as_registry
    policy = pull_policy(Pull(accounts=("123456789012",)), registry)
    ecr.set_repository_policy(repositoryName="golden/base", policyText=json.dumps(policy))
    assert_built(both_tiers(ground, project))


def test_a_repository_that_the_settings_do_not_name_is_refused_with_the_key(ground: Environment) -> None:
    put_into_ecr(ground, ground.group.client("ecr"), "", "unnamed/base", "this account")
    said = refusal(ground, project_on(ground, f"{HOST}/unnamed/base:1", "this account"))
    assert "Builds may not pull from unnamed/base. Add it to buildyard:registry.pull-from" in said


def test_both_tiers_log_in_to_gitlabs_registry_with_the_jobs_token(ground: Environment) -> None:
    store(ground, f"{GITLAB_REGISTRY}/platform/tools/base", "gitlab")
    image = f"{GITLAB_REGISTRY}/platform/tools/base:1"
    project = project_on(ground, image, "gitlab", {"logins": {GITLAB_REGISTRY: {"job-token": True}}})
    assert_built(both_tiers(ground, project))


def test_a_registry_without_a_login_is_refused_with_the_key(ground: Environment) -> None:
    store(ground, f"{GITLAB_REGISTRY}/platform/tools/base", "gitlab")
    said = refusal(ground, project_on(ground, f"{GITLAB_REGISTRY}/platform/tools/base:1", "gitlab"))
    assert f"Add {GITLAB_REGISTRY} to buildyard:registry.logins" in said


PASSWORD = {"key": "NEXUS_PASSWORD", "value": NEXUS.password}
LOGIN = {"logins": {NEXUS.host: {"user": NEXUS.user, "password": "NEXUS_PASSWORD"}}}


def test_both_tiers_log_in_with_a_password_that_nobody_reads(ground: Environment) -> None:
    store(ground, f"{NEXUS.host}/base", "nexus")
    project = project_on(ground, f"{NEXUS.host}/base:1", "nexus", LOGIN, [PASSWORD])
    results = both_tiers(ground, project)
    assert_built(results)
    blob = project.repository.blob(project.repository.commit_id(BRANCH) or "", ".gitlab-ci.yml")
    assert blob
    assert NEXUS.password not in blob.content.decode()
    for result in results.values():
        assert NEXUS.password not in words(job(result, BUILD))


def test_a_wrong_password_is_named_by_its_variable(ground: Environment) -> None:
    store(ground, f"{NEXUS.host}/base", "nexus")
    wrong = {**PASSWORD, "value": "another"}
    said = refusal(ground, project_on(ground, f"{NEXUS.host}/base:1", "nexus", LOGIN, [wrong]))
    assert "nexus.example.com refused the user builds of buildyard:registry.logins" in said
    assert "NEXUS_PASSWORD" in said


def test_a_protected_password_is_missed_before_the_build_in_an_unprotected_pipeline(ground: Environment) -> None:
    store(ground, f"{NEXUS.host}/base", "nexus")
    project = project_on(ground, f"{NEXUS.host}/base:1", "nexus", LOGIN, [{**PASSWORD, "protected": True}])
    results = both_tiers(ground, project)
    assert results[Tier.PROTECTED].passed
    failed = job(results[Tier.UNPROTECTED], BUILD)
    assert failed.passed is False
    assert "The CI/CD variable NEXUS_PASSWORD, for the login to nexus.example.com, is empty or not set." in words(
        failed
    )
    assert "GitLab passes a protected variable only to pipelines of protected branches and tags." in words(failed)
    assert not failed.steps, "BuildKit started"


def test_docker_auth_config_logs_in_where_the_stack_has_no_login(ground: Environment) -> None:
    store(ground, f"{NEXUS.host}/base", "nexus")
    auth = json.dumps({"auths": {NEXUS.host: {"username": NEXUS.user, "password": NEXUS.password}}})
    project = project_on(
        ground, f"{NEXUS.host}/base:1", "nexus", variables=[{"key": "DOCKER_AUTH_CONFIG", "value": auth}]
    )
    assert_built(both_tiers(ground, project))


def test_from_goes_through_the_cache_of_the_builds_tier_unchanged(ground: Environment) -> None:
    create_caches(ground, ("hub", "registry-1.docker.io", HUB), ("quay", "quay.io", None))
    store(ground, "docker.io/library/through", "docker hub")
    store(ground, "quay.io/team/base", "quay")
    dockerfile = (
        "FROM quay.io/team/base:1 AS other\n"
        "FROM through:1\n"
        'RUN test "$(cat /origin)" = "docker hub"\n'
        "COPY --from=other /origin /other\n"
        'RUN test "$(cat /other)" = quay\n'
    )
    project = ground.project(files={"app/Dockerfile": dockerfile}, registry=CACHES)
    ecr = ground.group.client("ecr")
    results = both_tiers(ground, project)
    assert_built(results)
    for folder, tier in (("cache", Tier.PROTECTED), ("cache/review", Tier.UNPROTECTED)):
        for name in ("hub/library/through", "quay/team/base"):
            images = ecr.list_images(repositoryName=f"{folder}/{name}")["imageIds"]
            assert "1" in {each.get("imageTag") for each in images}, f"{tier} builds did not use their own cache"
            policy = json.loads(ecr.get_lifecycle_policy(repositoryName=f"{folder}/{name}")["lifecyclePolicyText"])
            assert policy["rules"][0]["action"] == {"type": "expire"}, "the repository does not have the template's"


def test_the_dockerfiles_frontend_comes_through_the_cache(ground: Environment) -> None:
    """`# syntax=` names an image, too. This one is no frontend, so that the build ends when BuildKit has started it."""
    create_caches(ground, ("hub", "registry-1.docker.io", HUB))
    store(ground, "docker.io/docker/dockerfile", "docker hub")
    dockerfile = "# syntax=docker/dockerfile:1\nFROM busybox:1.37\n"
    said = refusal(ground, ground.project(files={"app/Dockerfile": dockerfile}, registry=CACHES))
    assert "docker-image://docker.io/docker/dockerfile:1" in said
    images = ground.group.client("ecr").list_images(repositoryName="cache/hub/docker/dockerfile")["imageIds"]
    assert "1" in {each.get("imageTag") for each in images}, "BuildKit asked Docker Hub for the frontend"


def test_a_cache_that_refuses_does_not_stop_the_build(ground: Environment) -> None:
    create_caches(ground, ("hub", "registry-1.docker.io", HUB))
    store(ground, "docker.io/library/fallback", "docker hub")
    project = project_on(ground, "fallback:1", "docker hub", CACHES)
    tier = account(Trust.ISOLATED)
    ground.group.grant(policy_documents.push([f"{REPOSITORIES}/{project.path}/app"]), tier)
    try:
        result = ground.build(project)
    finally:
        ground.group.grant_push()
    assert_built({Tier.PROTECTED: result})
    names = {each["repositoryName"] for each in ground.group.client("ecr").describe_repositories()["repositories"]}
    assert "cache/hub/library/fallback" not in names
