"""Trust tiers in the settings: which tiers there are, their names and their tags."""

import pytest

from stacks.architecture import Architecture
from stacks.parsing import parse
from stacks.settings import Settings
from stacks.trust import Tier, Trust, review_repository
from tests.stacks.stack_settings import problems, project, raw, settings


@pytest.mark.parametrize(
    ("trust", "tiers"),
    [
        ("isolated", (Tier.PROTECTED, Tier.UNPROTECTED)),
        ("shared", (Tier.PROTECTED,)),
        ("protected-only", (Tier.PROTECTED,)),
    ],
)
def test_only_isolation_has_a_second_tier(trust: str, tiers: tuple[Tier, ...]) -> None:
    assert settings(trust=trust).trust.tiers == tiers


def test_a_stack_that_says_nothing_isolates_merge_requests() -> None:
    keys = {key: value for key, value in raw().items() if key != "trust"}
    assert parse(keys, source="test").trust is Trust.ISOLATED


def test_another_word_is_refused_with_the_three() -> None:
    [problem] = problems(trust="isolate").values()
    assert problem.path == "buildyard:trust"
    for word in Trust:
        assert str(word) in f"{problem.message} {problem.hint}"


@pytest.mark.parametrize("trust", list(Trust))
def test_only_a_shared_runner_takes_jobs_of_unprotected_refs_besides_that_tiers_own(trust: Trust) -> None:
    open_to_all = {tier for tier in trust.tiers if trust.access_level(tier) == "not_protected"}
    expected = {Trust.ISOLATED: {Tier.UNPROTECTED}, Trust.SHARED: {Tier.PROTECTED}, Trust.PROTECTED_ONLY: set()}
    assert open_to_all == expected[trust], "a merge request's job would get the role that publishes releases"


def test_a_job_that_names_a_tier_fits_only_that_tiers_runner() -> None:
    tags = {tier: set(Trust.ISOLATED.runner_tags(tier, Architecture.ARM64)) for tier in Tier}
    for tier in Tier:
        takers = [other for other in Tier if {"arm64", "linux", str(tier)} <= tags[other]]
        assert takers == [tier], "GitLab would pick one of the two runners by chance"


def test_the_protected_tier_has_the_names_of_a_stack_with_one_tier() -> None:
    isolated, shared = settings(trust="isolated").runners, settings(trust="shared").runners
    assert isolated.namespace_of("dev", Tier.PROTECTED) == shared.namespace_of("dev", Tier.PROTECTED), (
        "a change of trust would replace the release tier's namespace"
    )
    assert isolated.namespace_of("dev", Tier.UNPROTECTED) == "buildyard-dev-unprotected"
    named = settings(runners={"namespace": "builds"}).runners
    assert named.namespace_of("dev", Tier.UNPROTECTED) == "builds-unprotected"


def repositories(stack: Settings, tier: Tier) -> tuple[list[str], list[str]]:
    return list(stack.pushed_repositories(tier)), list(stack.pulled_repositories(tier))


def test_merge_requests_push_to_a_repository_that_releases_do_not_read() -> None:
    stack = settings(trust="isolated", registry={"prefix": "dev"})
    released = "dev/platform/images/toolbox"
    assert repositories(stack, Tier.PROTECTED) == ([released], [])
    assert repositories(stack, Tier.UNPROTECTED) == ([review_repository(released)], [released])


def test_a_repository_cannot_be_the_review_repository_of_another_image() -> None:
    images = project({"name": "web"}, {"name": "other", "repository": "platform/images/web/review"})
    found = problems(trust="isolated", projects=[images])
    assert "platform/images/web/review already exists" in found["buildyard:projects[0].images[1].repository"].message
    assert settings(trust="shared", projects=[images])


def test_a_namespace_has_room_for_the_tiers_suffix() -> None:
    long = {"namespace": "n" * 52}
    found = problems(trust="isolated", runners=long)["buildyard:runners.namespace"]
    assert "63" in found.message
    assert settings(trust="shared", runners=long)
    assert settings(trust="isolated", runners={"namespace": "n" * 51})


def test_a_repository_has_room_for_the_review_suffix() -> None:
    images = project({"name": "web", "repository": "r" * 250})
    assert "256" in problems(trust="isolated", projects=[images])["buildyard:projects[0].images[0].repository"].message
    assert settings(trust="shared", projects=[images])
