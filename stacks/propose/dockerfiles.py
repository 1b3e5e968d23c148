"""A Dockerfile's place among other images: stages, bases, arguments, secrets and contexts."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.scripts.dockerfile import instructions
from stacks.propose.checkout import Checkout
from stacks.propose.text import expand, is_known

MAX_DOCKERFILES = 5_000
_MOST_COPIES = 30
"""How many paths decide which folder is the context."""

_NAME = re.compile(r"(?:.+\.)?(?:dockerfile|containerfile)(?:[.-].+)?", re.IGNORECASE)
_NOT_DOCKERFILES = re.compile(
    r"\.(?:dockerignore|md|ya?ml|j2|jinja2?|tpl|tmpl|template|erb|in|sh|py|txt|bak|orig|json)$", re.I
)
_OTHERS = re.compile(r"(?:^|/)(?:vendor|node_modules|third[_-]party|testdata|\.devcontainer|examples?|docs/.+)/")


@dataclass(frozen=True, kw_only=True)
class Base:
    """An image that a Dockerfile is made of, by `FROM` or `COPY --from`."""

    written: str
    """The reference as the Dockerfile has it."""
    reference: str
    """The reference with all known arguments."""
    argument: str | None
    """The argument that is all of the reference, so that a build argument can replace it."""


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    path: str
    bases: tuple[Base, ...]
    stages: frozenset[str]
    arguments: frozenset[str]
    secrets: tuple[str, ...]
    copied: tuple[str, ...]
    """The paths that it copies from its context."""
    platforms: tuple[str, ...]
    """The platforms that it demands, by `FROM --platform`."""

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.path) or "."


def paths(checkout: Checkout) -> list[str]:
    """The repository's Dockerfiles, by their names."""
    found = []
    for path in sorted(checkout.files):
        name = posixpath.basename(path)
        if _NAME.fullmatch(name) and not _NOT_DOCKERFILES.search(name):
            found.append(path)
    if len(found) > MAX_DOCKERFILES:
        checkout.notes.append(f"{len(found):,} Dockerfiles: only the first {MAX_DOCKERFILES:,} were read")
    return found[:MAX_DOCKERFILES]


def is_other(path: str) -> bool:
    """Whether a Dockerfile probably belongs to something else: a dependency, a test, an example."""
    return _OTHERS.search(path) is not None


def read(checkout: Checkout, path: str, given: Mapping[str, str]) -> Dockerfile | None:
    """Read a Dockerfile as a build with these arguments does."""
    data = checkout.read(path)
    if data is None:
        return None
    known: dict[str, str] = {}
    arguments: set[str] = set()
    bases: list[Base] = []
    stages, secrets, copied, platforms = list[str](), list[str](), list[str](), list[str]()
    for instruction in instructions(data.decode("utf-8-sig", "replace")):
        keyword, _, rest = instruction.partition(" ")
        match keyword.upper():
            case "ARG":
                for name, default in _arguments(rest):
                    arguments.add(name)
                    if not stages:
                        known[name] = given.get(name) or expand(default, known) or f"${{{name}}}"
            case "FROM":
                flags, words = _flags(rest)
                if not words:
                    continue
                if words[0].lower() not in stages:
                    bases.append(_base(words[0], known))
                platforms += [expand(value, known) for name, value in flags if name == "platform"]
                stages.append(words[2].lower() if len(words) > 2 and words[1].lower() == "as" else "")
            case "COPY" | "ADD":
                flags, words = _flags(rest)
                origin = next((value for name, value in flags if name == "from"), None)
                if origin is None:
                    copied += _sources(rest, words)
                elif origin.lower() not in stages and not origin.isdigit():
                    bases.append(_base(origin, known))
        for mount in re.findall(r"--mount=(\S+)", instruction):
            options = dict(part.partition("=")[::2] for part in mount.split(","))
            if options.get("type") == "secret" and options.get("id"):
                secrets.append(options["id"].strip("\"'"))
            origin = options.get("from", "")
            if origin and origin.lower() not in stages and not origin.isdigit():
                bases.append(_base(origin, known))
    return Dockerfile(
        path=path,
        bases=tuple(dict.fromkeys(base for base in bases if base.reference != "scratch")),
        stages=frozenset(stage for stage in stages if stage),
        arguments=frozenset(arguments),
        secrets=tuple(dict.fromkeys(secrets)),
        copied=tuple(copied),
        platforms=tuple(platform for platform in platforms if is_known(platform)),
    )


def context_of(checkout: Checkout, dockerfile: Dockerfile) -> tuple[str, bool]:
    """The folder that contains what the Dockerfile copies, and whether that is sure.

    Its own folder or the nearest above it. Where nothing fits, its own.
    """
    needed = [path for path in dockerfile.copied if is_known(path) and not path.startswith(("http:", "https:", "git@"))]
    needed = needed[:_MOST_COPIES]
    if not needed:
        return dockerfile.folder, not dockerfile.copied
    folder = dockerfile.folder
    while True:
        checkout.check_time()
        if all(_exists(checkout, posixpath.normpath(posixpath.join(folder, path.lstrip("/")))) for path in needed):
            return folder, folder == dockerfile.folder
        if folder == ".":
            return dockerfile.folder, False
        folder = posixpath.dirname(folder) or "."


def _exists(checkout: Checkout, path: str) -> bool:
    if path in checkout.files or path in checkout.folders:
        return True
    return bool(set("*?[") & set(path)) and bool(checkout.glob(path))


def _base(written: str, known: Mapping[str, str]) -> Base:
    text = written.strip("\"'")
    name = re.fullmatch(r"\$(?:(\w+)|\{(\w+)(?::?-[^}]*)?\})", text)
    return Base(
        written=text,
        reference=expand(text, known),
        argument=(name[1] or name[2]) if name else None,
    )


def _flags(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    words = text.split()
    flags = []
    while words and words[0].startswith("--"):
        name, _, value = words.pop(0)[2:].partition("=")
        flags.append((name, value))
    return flags, words


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    for part in re.findall(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""", text):
        name, _, value = part.partition("=")
        yield name, value.strip("\"'")


def _sources(text: str, words: list[str]) -> list[str]:
    if any(word.startswith("<<") for word in words):
        return []
    if "[" in text:
        try:
            listed = json.loads(text[text.index("[") :])
        except (ValueError, RecursionError):
            return []
        words = [word for word in listed if isinstance(word, str)] if isinstance(listed, list) else []
    return [expand(word.strip("\"'"), {}) for word in words[:-1]]
