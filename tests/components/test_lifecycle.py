"""Months of builds against the lifecycle policies: what ECR keeps, and what it deletes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest

from stacks import tags
from tests.components.lifecycle import Repository
from tests.components.mocks import NAME, declare

START = datetime(2026, 1, 1, 8, tzinfo=timezone.utc)
TOOLBOX = f"{NAME}-platform/images/toolbox"


@dataclass(kw_only=True)
class Months:
    """A project's builds from `START` on, and the digests that its jobs reported."""

    releases: Repository = field(default_factory=Repository)
    reviews: Repository = field(default_factory=Repository)
    default_branch: list[tuple[datetime, str]] = field(default_factory=list)
    git_tags: list[tuple[datetime, str]] = field(default_factory=list)
    requests: list[tuple[datetime, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def build(self, repository: Repository, now: datetime, *names: str) -> tuple[datetime, str]:
        """Push both architectures' images and caches, and the index under these tags."""
        number = next(self.numbers)
        children = (f"arm64-{number}", f"amd64-{number}")
        for child in children:
            repository.push(child, now)
        digest = f"index-{number}"
        repository.push(digest, now, *names, children=children)
        return now, digest

    def version(self, now: datetime) -> str:
        return f"{now:%y%m%d_%H%M%S}-0123abcd"

    def play(self, policies: dict[str, Any], days: int, *, pushes: int, every: int = 1, shared: bool) -> datetime:
        """Pushes and merge requests every few days, a Git tag a week, a failed build now and then."""
        prefix = tags.version_prefix("main")
        reviews = self.releases if shared else self.reviews
        now = START
        for day in range(days):
            for each in range(pushes if day % every == 0 else 0):
                now = START + timedelta(days=day, minutes=each)
                built = self.build(self.releases, now, f"{prefix}{self.version(now)}", tags.LATEST)
                self.default_branch.append(built)
                self.requests.append(self.build(reviews, now, self.version(now)))
                cache = f"cache-{next(self.numbers)}"
                self.releases.push(cache, now, f"{tags.CACHE_PREFIX}main-0a1b2c3d-arm64")
            if day % 7 == 0:
                self.git_tags.append(self.build(self.releases, now, f"v1.{day}"))
            if day % 3 == 0:
                self.releases.push(f"failed-{day}", now)
            self.releases.push(f"branch-cache-{day}", now, f"{tags.CACHE_PREFIX}topic-{day}-arm64")
            now = START + timedelta(days=day, hours=12)
            self.releases.apply(policies["releases"], now)
            if not shared:
                self.reviews.apply(policies["reviews"], now)
        return now


def policies(trust: str) -> dict[str, Any]:
    declared = declare(trust=trust).of("ecr:LifecyclePolicy")
    found = {"releases": declared[TOOLBOX].document("policy")}
    if trust == "isolated":
        found["reviews"] = declared[f"{TOOLBOX}/review"].document("policy")
    return found


@pytest.mark.parametrize("trust", ["isolated", "shared"])
@pytest.mark.parametrize(("pushes", "every"), [(5, 1), (1, 3)], ids=["busy", "quiet"])
def test_what_a_job_reported_stays_for_its_time(trust: str, pushes: int, every: int) -> None:
    months = Months()
    now = months.play(policies(trust), 160, pushes=pushes, every=every, shared=trust == "shared")
    images = months.releases.images
    newest = months.default_branch[-50:]
    young = [each for each in months.default_branch if now - each[0] < timedelta(days=90)]
    for built, digest in {*newest, *young, *months.git_tags}:
        assert digest in images, f"somebody who deployed {digest}, built {now - built} ago, can no longer pull it"
        assert all(child in images for child in images[digest].children), f"{digest} lacks an architecture"
    reviews = images if trust == "shared" else months.reviews.images
    for built, digest in months.requests:
        assert (digest in reviews) is (now - built <= timedelta(days=14)), "a merge request's image stays two weeks"


def test_this_is_left_after_four_months() -> None:
    months = Months()
    months.play(policies("isolated"), 120, pushes=5, shared=False)
    left = Counter(digest.rsplit("-", 1)[0] for digest in months.releases.images)
    assert left == {
        "index": 500 + 18,  # versions and Git tags
        "arm64": 518,
        "amd64": 518,
        "cache": 7 * 5,
        "branch-cache": 30,
        "failed": 2,
    }


def test_a_quiet_repository_keeps_its_latest_image_for_ever() -> None:
    months = Months()
    built = months.build(months.releases, START, f"{tags.version_prefix('main')}{months.version(START)}", tags.LATEST)
    months.releases.apply(policies("isolated")["releases"], START + timedelta(days=3650))
    assert months.releases.images.keys() == {built[1], "arm64-1", "amd64-1"}
