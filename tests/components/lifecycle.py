"""ECR's lifecycle policies, as AWS documents them: which images of a repository a policy expires.

Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(kw_only=True)
class StoredImage:
    """An image or an index, with the digests that an index lists."""

    digest: str
    pushed: datetime
    tags: set[str] = field(default_factory=set)
    children: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Repository:
    """A repository's images, by digest."""

    images: dict[str, StoredImage] = field(default_factory=dict)

    def push(self, digest: str, now: datetime, *tags: str, children: tuple[str, ...] = ()) -> None:
        """Push an image, and take its tags from the images that have them."""
        image = self.images.setdefault(digest, StoredImage(digest=digest, pushed=now, children=children))
        for other in self.images.values():
            other.tags -= set(tags)
        image.tags |= set(tags)

    def apply(self, policy: Mapping[str, Any], now: datetime) -> None:
        """Delete what the policy expires, and then what only a deleted index kept."""
        while expired := self._expired(policy["rules"], now):
            for digest in expired:
                del self.images[digest]

    def _expired(self, rules: Sequence[Mapping[str, Any]], now: datetime) -> set[str]:
        listed = {digest for image in self.images.values() for digest in image.children}
        expired: set[str] = set()
        decided: set[str] = set()
        for rule in sorted(rules, key=lambda rule: int(rule["rulePriority"])):
            selection = rule["selection"]
            selected = [image for image in self.images.values() if _selects(selection, image)]
            expired |= {
                image.digest
                for image in _beyond(selection, selected, now)
                if image.digest not in decided and image.digest not in listed
            }
            decided |= {image.digest for image in selected}
        return expired


def _selects(selection: Mapping[str, Any], image: StoredImage) -> bool:
    """Whether an image meets a rule's requirements of its tags: each of the patterns matches one of them."""
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not image.tags
        case _:
            patterns = [re.escape(pattern).replace(r"\*", ".*") for pattern in selection["tagPatternList"]]
            return all(any(re.fullmatch(pattern, tag) for tag in image.tags) for pattern in patterns)


def _beyond(selection: Mapping[str, Any], images: Sequence[StoredImage], now: datetime) -> Sequence[StoredImage]:
    """The images beyond a rule's count or age."""
    if selection["countType"] == "imageCountMoreThan":
        return sorted(images, key=lambda image: image.pushed, reverse=True)[selection["countNumber"] :]
    age = timedelta(**{selection["countUnit"]: selection["countNumber"]})
    return [image for image in images if now - image.pushed > age]
