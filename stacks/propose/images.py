"""The images of a repository: what its jobs build, and its Dockerfiles that no job builds."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacks.projects import WHOLE_PIPELINE
from stacks.propose import dockerfiles
from stacks.propose.checkout import Checkout
from stacks.propose.commands import Build
from stacks.propose.dockerfiles import Dockerfile
from stacks.propose.text import is_known, repository, some

_ARCHITECTURE = re.compile(
    r"[-_.](?:arm64v?8?|aarch64|amd64|x86[_-]64|x64|arm|amd)$|^(?:arm64|aarch64|amd64|x86_64)$", re.I
)
_GENERIC = ("docker", "build", "ci", "container", "containers", "dockerfiles", "deploy", "package", ".docker", "image")
_LONGEST_NAME = 60


@dataclass
class Draft:
    """An image as it will be proposed: its settings, and what a person must decide."""

    dockerfile: Dockerfile
    context: str
    builds: tuple[Build, ...] = ()
    name: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)

    @property
    def repositories(self) -> frozenset[str]:
        """The image's names in registries today, without tags."""
        names = (repository(name) for build in self.builds for name in build.names)
        return frozenset(_ARCHITECTURE.sub("", name) or name for name in names)


def find(checkout: Checkout, builds: Sequence[Build], project: str, *, complete: bool) -> list[Draft]:
    """All images, each with a name that no other has.

    `complete`: whether the pipeline has no other builds, so that it needs no Dockerfile that none of these builds.
    """
    drafts = list(_built(checkout, builds))
    covered = {draft.dockerfile.path for draft in drafts}
    others = [path for path in dockerfiles.paths(checkout) if path not in covered]
    complete = complete and bool(builds) and all(_is_clear(checkout, build) for build in builds)
    wanted = [] if complete else others
    drafts += _unbuilt(checkout, [path for path in wanted if not dockerfiles.is_other(path)])
    proposed = {draft.dockerfile.path for draft in drafts}
    if left := [path for path in others if path not in proposed]:
        checkout.notes.append(
            f"not proposed, since no job was found that builds them, or they look like examples: {some(left, 10)}"
        )
    _name(drafts, project)
    return drafts


def _is_clear(checkout: Checkout, build: Build) -> bool:
    return (build.context or ".") in checkout.folders and build.dockerfile in checkout.files


def _built(checkout: Checkout, builds: Sequence[Build]) -> Iterator[Draft]:
    groups: dict[tuple[str, str, str | None, str], list[Build]] = {}
    unclear: dict[str, list[str]] = {}
    for build in builds:
        if build.dockerfile is None:
            unclear.setdefault(f"what only the job knows: {build.where}", []).append(build.job.name)
        elif build.dockerfile not in checkout.files or (build.context or ".") not in checkout.folders:
            missing = f"{build.dockerfile} in {build.context}, which no commit contains: {build.where}"
            unclear.setdefault(missing, []).append(build.job.name)
        else:
            key = (build.context or "", build.dockerfile, build.target, _registry_name(build))
            groups.setdefault(key, []).append(build)
    for what, jobs in unclear.items():
        checkout.notes.append(f"{some(jobs)}: builds {what}")
    for (context, path, _, _), group in groups.items():
        for variant in _variants(group):
            dockerfile = dockerfiles.read(checkout, path, variant[0].arguments)
            if dockerfile is None:
                continue
            draft = Draft(dockerfile=dockerfile, context=context, builds=tuple(variant))
            if not context:
                draft.context, _ = dockerfiles.context_of(checkout, dockerfile)
                draft.decisions.append(f"only the job knows the context; this is a guess, from what {path} copies")
            yield draft


def _variants(group: Sequence[Build]) -> list[list[Build]]:
    """Builds of one repository that differ in arguments and in tags are images of their own, as those of a matrix."""
    by_arguments: dict[tuple[tuple[str, str], ...], list[Build]] = {}
    for build in group:
        signature = tuple(sorted((key, value) for key, value in build.arguments.items() if not _names_machine(value)))
        by_arguments.setdefault(signature, []).append(build)
    tags = [frozenset(tag for build in builds for tag in known_tags(build)) for builds in by_arguments.values()]
    apart = all(tags) and sum(map(len, tags)) == len(frozenset[str]().union(*tags))
    return list(by_arguments.values()) if apart else [list(group)]


def _names_machine(value: str) -> bool:
    return re.search(r"arm64|aarch64|amd64|x86_64", value) is not None


def known_tags(build: Build) -> Iterator[str]:
    """The tags of a build that do not depend on the job, without the architecture."""
    for name in build.names:
        tag = name.rpartition(":")[2]
        if ":" in name and "/" not in tag and is_known(tag) and tag != "latest":
            yield _ARCHITECTURE.sub("", tag)


def _registry_name(build: Build) -> str:
    return next((_ARCHITECTURE.sub("", repository(name)) for name in build.names), "")


def _unbuilt(checkout: Checkout, paths: Iterable[str]) -> Iterator[Draft]:
    for path in paths:
        dockerfile = dockerfiles.read(checkout, path, {})
        if dockerfile is None or (not dockerfile.bases and not dockerfile.stages and not dockerfile.copied):
            continue
        context, sure = dockerfiles.context_of(checkout, dockerfile)
        draft = Draft(dockerfile=dockerfile, context=context)
        if WHOLE_PIPELINE in checkout.files:
            draft.decisions.append("no job was found that builds it: remove it if nobody needs it")
        if not sure:
            draft.decisions.append(f"the context is a guess, from what {path} copies")
        yield draft


def _name(drafts: Sequence[Draft], project: str) -> None:
    taken: set[str] = set()
    for draft in drafts:
        candidates = [name for name in map(clean, _candidates(draft, project)) if name] or ["image"]
        numbered = (f"{candidates[0]}-{number}" for number in range(2, len(drafts) + 3))
        draft.name = next(name for name in (*candidates, *numbered) if _key(name) not in taken)
        if draft.name != candidates[0]:
            draft.decisions.append(f"another image is called {candidates[0]}: choose a name for this one")
        taken.add(_key(draft.name))


def _key(name: str) -> str:
    """Two names with the same key would report the same variables."""
    return re.sub("[^a-z0-9]", "_", name)


def _candidates(draft: Draft, project: str) -> Iterator[str]:
    """Names, the best first."""
    for build in draft.builds:
        name = _registry_name(build)
        last = name.rpartition("/")[2]
        if name.endswith(("CI_REGISTRY_IMAGE}", "CI_PROJECT_PATH}", "CI_PROJECT_NAME}")):
            last = project
        if is_known(last):
            yield last
            yield from (f"{last}-{tag}" for tag in known_tags(build))
        if build.target and is_known(build.target):
            yield build.target if last in build.target else f"{last if is_known(last) else project}-{build.target}"
    folder, file = posixpath.split(draft.dockerfile.path)
    parts = [part for part in folder.split("/") if part]
    named = re.sub(r"(?i)^(?:dockerfile|containerfile)[.-]?|[.-]?(?:dockerfile|containerfile)$", "", file)
    meaningful = [part for part in parts if part.lower() not in _GENERIC]
    own = meaningful[-1] if meaningful else project
    yield f"{own}-{named}" if named and meaningful else named or own
    yield "-".join([*meaningful[-2:], *([named] if named else [])])
    yield "-".join([*parts, *([named] if named else [])])


def clean(text: str) -> str:
    """The text as an image's name: lower-case words, joined by a single sign."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text[:200]).lower()
    words = re.findall(r"[a-z0-9]+", text)
    joined = re.sub(r"[^a-z0-9._-]+", "-", text)
    joined = re.sub(r"([._-])[._-]+", r"\1", joined).strip("._-")
    return (joined if words else "")[:_LONGEST_NAME].rstrip("._-")


def by_repository(drafts: Sequence[Draft]) -> Mapping[str, Draft]:
    """The images by each of their names in registries today."""
    found: dict[str, Draft] = {}
    for draft in drafts:
        for name in sorted(draft.repositories):
            found.setdefault(name, draft)
    return found
