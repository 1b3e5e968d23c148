"""Sentences for reviewers about repositories that leave a stack, their images, and the new ones.

Removing an image keeps its repository, unless the deployed settings allow its deletion. A new name of an image is
another repository, unless the settings name the old one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from delivery.markdown import code
from delivery.preview import Change, Operation
from delivery.resource_types import REPOSITORY
from stacks.names import IMAGE_TAG
from stacks.trust import TIER_TAG, Tier


def losses(changes: Sequence[Change], because: Callable[[Change], str]) -> Iterator[str]:
    """Warn of images that are lost, left alone, or can be lost from now on.

    `because` gives the end of the sentence that a repository is replaced.
    """
    found = [change for change in changes if change.type == REPOSITORY]
    names = _Names(found)
    for change in found:
        name = code(str(change.old.get("name") or change.name))
        if change.operation is Operation.UPDATE and change.new.get("forceDelete") and not change.old.get("forceDelete"):
            yield (
                f"From now on, the repository {name} is deleted **with all its images** when its image leaves the "
                "settings, and by `pulumi destroy`."
            )
        if change.operation in (Operation.DELETE, Operation.REPLACE):
            yield f"The repository {name} {_end(change, because)}{names.successor(change)}"


def _end(change: Change, because: Callable[[Change], str]) -> str:
    replaced = change.operation is Operation.REPLACE
    verb = f"is replaced{because(change)}" if replaced else "is deleted"
    if _is_for_reviews(change.old):
        return f"{verb}, with the images and caches of merge requests."
    # The state counts: the update deletes the repository as it is now, not as it would become.
    if change.retained and replaced:
        return f"{verb}. The old one stays as it is, with its images."
    if change.retained:
        return (
            "leaves the stack. It stays as it is, with its images; nothing builds it, and the rights of "
            "`registry.pull` on it end. To keep it in the stack without builds, set `retired: true` on its image."
        )
    if change.old_values.get("forceDelete") is True:
        return f"{verb}. **All images in it are lost**, its build cache too."
    return f"{verb}. Its `forceDelete` is off: the update fails if it holds images."


class _Names:
    """The new repositories of releases, in which a renamed image's may be."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._by_image: dict[str, list[Change]] = {}
        self._by_name: dict[str, list[Change]] = {}
        self._by_project: dict[str, list[Change]] = {}
        self._left: Counter[str] = Counter()
        for change in changes:
            if change.operation is Operation.CREATE and not _is_for_reviews(change.new):
                image = _image(change.new)
                project, _, name = image.rpartition("/")
                self._by_image.setdefault(image, []).append(change)
                self._by_name.setdefault(name, []).append(change)
                self._by_project.setdefault(project, []).append(change)
            if change.operation is Operation.DELETE and not _is_for_reviews(change.old):
                self._left[_image(change.old).rpartition("/")[0]] += 1

    def successor(self, change: Change) -> str:
        """The image's new repository, or its probable new name, as a sentence; empty if there is none."""
        image = _image(change.old)
        if change.operation is not Operation.DELETE or not image or _is_for_reviews(change.old):
            return ""
        if same := self._by_image.get(image):
            return (
                f" {code(image)} gets the new repository {_name(same[0])}, which is empty. To go on with the old one, "
                "keep the image's `repository` and `registry.prefix`."
            )
        project, _, name = image.rpartition("/")
        candidates = self._by_name.get(name) or (self._by_project.get(project) if self._left[project] == 1 else None)
        if candidates and len(candidates) == 1:
            [other] = candidates
            return (
                f" If {code(image)} becomes {code(_image(other.new))}: {_name(other)} is a new repository, which is "
                "empty. To go on with the old one, set `repository` to its name, without `registry.prefix`."
            )
        return ""


def _name(change: Change) -> str:
    return code(str(change.new.get("name") or change.name))


def _tag(inputs: Mapping[str, object], key: str) -> str:
    tags = inputs.get("tags")
    return str(tags.get(key) or "") if isinstance(tags, Mapping) else ""


def _image(inputs: Mapping[str, object]) -> str:
    return _tag(inputs, IMAGE_TAG)


def _is_for_reviews(inputs: Mapping[str, object]) -> bool:
    return _tag(inputs, TIER_TAG) == str(Tier.UNPROTECTED)
