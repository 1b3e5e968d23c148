"""Attacks on what releases pull through ECR's cache."""

import pytest

from stacks.trust import Trust
from tests.attacks.attacker import DENIED, Attacker
from tests.sandbox.builds.environments import Environment, job, words
from tests.sandbox.builds.example_group import HOST
from tests.sandbox.builds.other_images import CACHES, HUB, assert_built, both_tiers, create_caches, project_on, store

pytestmark = pytest.mark.builds


def test_no_branch_changes_what_releases_pull_through_the_cache(environment: Environment) -> None:
    create_caches(environment, ("hub", "registry-1.docker.io", HUB))
    store(environment, "docker.io/library/attacked", "docker hub")
    project = project_on(environment, "attacked:1", "docker hub", CACHES)
    assert_built(both_tiers(environment, project))
    attacker = Attacker(environment=environment, project=project, trust=Trust.ISOLATED)
    for target in ("cache/hub/library/attacked", "cache/review/hub/library/attacked", "cache/hub/library/new"):
        attack = attacker.run(f"crane copy {attacker.review}@{pushed(attacker)} {HOST}/{target}:1\n")
        assert not attack.passed
        assert any(said in words(job(attack, "attack")) for said in (DENIED, "403 Forbidden")), "it failed otherwise"
    reading = attacker.run(f"crane digest {HOST}/cache/hub/library/attacked:1\n")
    assert not reading.passed, "the tiers share a cache: a branch decides how its repositories are created"


def pushed(attacker: Attacker) -> str:
    """The digest of an image that the attacker has pushed."""
    images = attacker.environment.group.client("ecr").list_images(repositoryName=f"{attacker.repository}/review")
    return str(images["imageIds"][0]["imageDigest"])
