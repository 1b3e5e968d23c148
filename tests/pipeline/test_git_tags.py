"""Which images a Git tag releases in a project whose images are released one by one."""

from typing import Any

import pytest

from tests.pipeline import events
from tests.pipeline.published import files, jobs
from tests.stacks.stack_settings import project

IMAGES: list[dict[str, Any]] = [
    {"name": "base"},
    {"name": "tools", "git-tags": ["tools/v*", "tools-v1.*"]},
    {"name": "web", "depends-on": ["base", "tools"]},
    {"name": "kit", "depends-on": ["tools"], "git-tags": ["kit/*"]},
]
JOBS = jobs(files(projects=[project(*IMAGES, **{"default-branch": "master"})]))


def images(event: events.Event, how: str = "on_success") -> set[str]:
    """The images that the event's pipeline builds."""
    found = events.selected(JOBS, event)
    built = {name for name, when in found.items() if name.endswith(":arm64") and when == how}
    joined = {name.removesuffix(":manual") for name in found if "manifest" in name}
    named = {name.removeprefix("build-").removesuffix(":arm64") for name in built}
    if how == "on_success":
        assert joined == {f"build-{name}:manifest" for name in named}, "a manifest job would need a job that is absent"
    return named


@pytest.mark.parametrize(
    ("tag", "released"),
    [
        ("tools/v1.0", {"tools"}),
        ("tools/x/v1.0", set()),
        ("tools/v/1", {"tools"}),
        ("tools-v1.2", {"tools"} | {"base", "web"}),
        ("tools-v1x2", {"base", "web"}),
        ("kit/1", {"kit"}),
        ("xkit/1", set()),
        ("v1.0", {"base", "web"}),
        ("docs/v1", set()),
    ],
)
def test_a_git_tag_releases_the_images_whose_pattern_it_matches(tag: str, released: set[str]) -> None:
    assert images(events.tag(tag)) == released
    assert images(events.tag(tag), "manual") == set(), "somebody could release an image under another one's tag"


def test_other_pipelines_know_no_patterns() -> None:
    assert images(events.started_by("schedule")) == {"base", "tools", "web", "kit"}
    change = events.push("images/tools/Dockerfile")
    built = {name for name, how in events.selected(JOBS, change).items() if how == "on_success" and ":arm64" in name}
    assert built == {"build-tools:arm64", "build-web:arm64", "build-kit:arm64"}


def test_without_patterns_every_git_tag_releases_every_image() -> None:
    every = jobs(files(projects=[project({"name": "base"}, {"name": "web"})]))
    assert {"build-base:arm64", "build-web:arm64"} <= events.selected(every, events.tag("a/b")).keys(), (
        "a tag that no image can have would pass without a word"
    )
