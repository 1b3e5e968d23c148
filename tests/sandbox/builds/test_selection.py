"""Which runner gets a job, as GitLab decides it."""

import pytest

from sandbox.builds.selection import GitLabRunner, choose, expanded


def runner(name: str, *tags: str, only_protected: bool = False, paused: bool = False) -> GitLabRunner:
    return GitLabRunner(name=name, tags=frozenset(tags), only_protected=only_protected, untagged=False, paused=paused)


RUNNERS = [
    runner("released", "arm64", "linux", "protected", only_protected=True),
    runner("review", "arm64", "linux", "unprotected"),
]


@pytest.mark.parametrize(
    ("tags", "protected", "chosen"),
    [
        (["arm64", "protected"], True, "released"),
        (["arm64", "protected"], False, None),
        (["arm64", "unprotected"], False, "review"),
        (["arm64", "linux"], False, "review"),
        (["amd64"], True, None),
        ([], True, None),
    ],
)
def test_a_protected_runner_takes_only_jobs_of_protected_refs(
    tags: list[str], protected: bool, chosen: str | None
) -> None:
    found = choose(RUNNERS, tags, protected=protected)
    assert (found and found.name) == chosen


def test_a_paused_runner_takes_nothing() -> None:
    assert choose([runner("paused", "arm64", paused=True)], ["arm64"], protected=True) is None


def test_tags_contain_the_values_of_variables() -> None:
    assert expanded(["arm64", "$TIER", "${TIER}-x", "$NONE"], {"TIER": "protected"}) == [
        "arm64",
        "protected",
        "protected-x",
        "",
    ]
