"""The patterns of the files that images are made from, as GitLab's `changes` takes them."""

import re
from collections.abc import Mapping
from functools import lru_cache

from pipeline.inputs import PipelineInputs
from stacks.projects import Image

MAX_CHANGES = 50
"""Patterns in one rule; an image with more gets several rules. Source: https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/ci/config/entry/rules/rule/changes.rb"""


def changed(inputs: PipelineInputs, image: Image) -> tuple[str, ...]:
    """The patterns of the files that the image is made from, with those of the images that it is built on."""
    images = inputs.with_dependencies(image)
    return tuple(dict.fromkeys(path for each in images for path in own(each)))


def lists(patterns: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """The patterns in lists that are short enough for a rule: `paths`, `paths-2`, ..."""
    parts = (patterns[start : start + MAX_CHANGES] for start in range(0, len(patterns), MAX_CHANGES))
    return {"paths" if number == 1 else f"paths-{number}": part for number, part in enumerate(parts, start=1)}


def own(image: Image) -> tuple[str, ...]:
    """The patterns of an image's own files."""
    return _patterns(image.folders, image.dockerfile_path, image.watch or ())


@lru_cache(maxsize=4096)
def _patterns(folders: tuple[str, ...], file: str, watch: tuple[str, ...]) -> tuple[str, ...]:
    if "." in (watch or folders):
        return ("**/*",)
    if watch:
        # The path of a folder and that of a file look the same, so each is both.
        watched = [pattern for path in watch for pattern in (_literal(path, "*"), f"{_literal(path, '*')}/**/*")]
        return tuple(dict.fromkeys([*watched, _literal(file)]))
    patterns = [f"{_literal(folder)}/**/*" for folder in folders]
    return tuple(patterns if any(file.startswith(f"{folder}/") for folder in folders) else [*patterns, _literal(file)])


def _literal(path: str, special: str = "") -> str:
    """The glob pattern that matches only this path. The signs in `special` keep their meaning.

    GitLab expands `$NAME` and `%NAME%` in patterns before it matches them, and has no escape for them here. Brackets
    around the sign prevent the expansion.
    """
    escaped = "".join(f"\\{sign}" if sign in set("\\*?[]{}") - set(special) else sign for sign in path)
    return re.sub(r"[$%]", r"[\g<0>]", escaped)
