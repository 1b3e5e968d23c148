"""The hash of what an image is made from changes with that, and with nothing else."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.scripts.inputs import Image, expected_hashes

FILES = {
    "images/base/Dockerfile": "FROM scratch\n",
    "images/base/deep/file": "one\n",
    "images/web/source": "one\n",
    "docker/web.Dockerfile": "FROM base\n",
    "README.md": "one\n",
}


def image(name: str, *paths: str, globs: tuple[str, ...] = (), on: tuple[str, ...] = ()) -> Image:
    return {"name": name, "options": name, "paths": list(paths), "globs": list(globs), "on": list(on)}


BASE = image("base", "images/base", "images/base/Dockerfile")
WEB = image("web", "images/web", "docker/web.Dockerfile", on=("base",))
ALL = image("all", ".")
WATCH = image("watch", globs=("**/f*e", "images/w*b"))
IMAGES = [BASE, WEB, ALL, WATCH]


@pytest.fixture
def commit(tmp_path: Path) -> Callable[[Mapping[str, str]], dict[str, str]]:
    """`commit(files)` commits these files, and returns the hashes of the images."""

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
        subprocess.run(["git", *who, "-C", tmp_path, *arguments], check=True, capture_output=True)

    git("init")

    def commit(files: Mapping[str, str]) -> dict[str, str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        git("add", "--all")
        git("commit", "--allow-empty", "--message=x")
        return expected_hashes(IMAGES, str(tmp_path), "HEAD")

    return commit


@pytest.mark.parametrize(
    ("path", "images"),
    [
        ("images/base/deep/file", {"base", "web", "all", "watch"}),
        ("images/base/Dockerfile", {"base", "web", "all"}),
        ("images/base/new", {"base", "web", "all"}),
        ("images/web/source", {"web", "all", "watch"}),
        ("docker/web.Dockerfile", {"web", "all"}),
        ("README.md", {"all"}),
        ("images/base2/Dockerfile", {"all"}),
    ],
)
def test_a_file_changes_the_images_that_are_made_from_it(
    commit: Callable[[Mapping[str, str]], dict[str, str]], path: str, images: set[str]
) -> None:
    before = commit(FILES)
    assert commit({}) == before, "a commit that changes no file changes no image"
    after = commit({path: "two\n"})
    assert {name for name in after if after[name] != before[name]} == images


def test_options_change_an_image_and_those_built_on_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *who, "-C", tmp_path, "commit", "--quiet", "--allow-empty", "--message=x"], check=True)
    before = expected_hashes(IMAGES, str(tmp_path), "HEAD")
    after = expected_hashes([{**BASE, "options": "z"}, WEB, ALL, WATCH], str(tmp_path), "HEAD")
    assert {name for name in after if after[name] != before[name]} == {"base", "web"}
