"""The hash of an image's inputs: its files in a commit, the options of its build, and the images that it is built on.

Two builds with equal hashes give the same image, but for what they fetch from elsewhere.
"""

import hashlib
import json
import re
import subprocess
import sys
from typing import Any

Image = dict[str, Any]
"""`name`, `repository`, `options` (a hash of the build's options), `paths` of its files and folders, `globs` (if it has
any), `on` (the names of the images that it is built on directly), `minutes` (its timeout) and `jobs` (those that build
it)."""


def git(directory: str, *arguments: str) -> str:
    """Run git in a repository, which may belong to another user, such as that of the runner's helper: its output."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", directory, *arguments], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def hashed(*parts: Any) -> str:
    """A hash of values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def own_hashes(images: list[Image], directory: str, commit: str) -> dict[str, str]:
    """For each image the hash of what is its own: its files in a commit of a repository, and its options."""
    found = {".": git(directory, "rev-parse", f"{commit}^{{tree}}").strip()}
    # All files and folders, as `MODE TYPE HASH<tab>PATH`. Named ones would hide the folders that they are in.
    for entry in git(directory, "ls-tree", "-r", "-t", "-z", "--full-tree", commit).split("\0"):
        about, _, path = entry.partition("\t")
        found[path] = about
    return {
        image["name"]: hashed(
            image["options"],
            [(path, found.get(path)) for path in image["paths"]],
            [sorted(matching(glob, found)) for glob in image.get("globs", ())],
        )
        for image in images
    }


def matching(glob: str, found: dict[str, str]) -> list[tuple[str, str]]:
    """The files and folders with a path that the glob matches: `*` is any part of a name, and `**/` any folders."""
    parts = re.findall(r"\*\*/|\*|[^*]+", glob)
    known = {"**/": "(?:.*/)?", "*": "[^/]*"}
    pattern = re.compile("".join(known.get(part) or re.escape(part) for part in parts), re.DOTALL)
    return [(path, about) for path, about in found.items() if pattern.fullmatch(path)]


def expected_hashes(images: list[Image], directory: str, commit: str) -> dict[str, str]:
    """For each image the hash that a commit gives. Every image follows those that it is built on."""
    own = own_hashes(images, directory, commit)
    expected: dict[str, str] = {}
    for image in images:
        expected[image["name"]] = hashed(own[image["name"]], {name: expected[name] for name in sorted(image["on"])})
    return expected
