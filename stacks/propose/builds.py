"""The builds in a pipeline's jobs."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stacks.propose import compose, shell
from stacks.propose.checkout import Checkout
from stacks.propose.commands import CLIENTS, Build, build, without_prefix
from stacks.propose.pipelines import Job
from stacks.propose.text import is_known, plain


@dataclass(frozen=True, kw_only=True)
class Found:
    """The builds of a pipeline, and what its jobs do that is not read."""

    builds: tuple[Build, ...]
    notes: tuple[str, ...]
    time_zone: str | None
    """The time zone in which a job takes the date."""


def find(checkout: Checkout, jobs: Sequence[Job]) -> Found:
    """All builds of the jobs. A job sees the variables that others write to their dotenv reports."""
    builds: list[Build] = []
    notes: list[str] = []
    zones: list[str] = []
    reported: dict[str, str] = {}

    def source(path: str) -> str | None:
        data = checkout.read(path) if path in checkout.files else None
        return data.decode("utf-8", "replace") if data and b"\0" not in data else None

    for job in jobs:
        checkout.check_time()
        script = shell.read("\n".join(job.lines), {**reported, **job.variables}, source, checkout.glob)
        reported |= _reported(job, script)
        aliases = _aliases(script)
        for command in script.commands:
            words = without_prefix(command.words)
            if found := build(checkout, job, command, words, aliases):
                builds.append(found)
            elif composed := list(compose.builds(checkout, job, command, words)):
                builds += composed
            elif what := _unread(words):
                notes.append(f"the job {plain(job.name)} runs {what}, which was not read")
            if words[:1] == ["date"] and (zone := command.variables.get("TZ")) and is_known(zone):
                zones.append(zone)
        zones += re.findall(r"\bTZ=[\"']?([A-Za-z][\w/+-]*)[\"']? +date\b", "\n".join(job.lines))
    return Found(
        builds=tuple(builds), notes=tuple(dict.fromkeys(notes)), time_zone=zones[0] if len(set(zones)) == 1 else None
    )


def _reported(job: Job, script: shell.Script) -> dict[str, str]:
    """The variables in the job's dotenv reports."""
    found: dict[str, str] = {}
    for path in job.reports:
        for line in script.written.get(posixpath.normpath(path), "").splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and re.fullmatch(r"[A-Za-z_]\w*", name):
                found[name] = value.strip("\"'")
    return found


def _aliases(script: shell.Script) -> dict[str, list[str]]:
    """The further names that `docker tag` and `buildah push` give an image."""
    found: dict[str, list[str]] = {}
    for command in script.commands:
        words = without_prefix(command.words)
        if len(words) >= 4 and words[0] in CLIENTS and words[1] in ("tag", "push") and not words[-1].startswith("-"):
            names = [word for word in words[2:] if not word.startswith("-")]
            if len(names) == 2:
                found.setdefault(names[0], []).append(names[1].removeprefix("docker://"))
    return found


def _unread(words: Sequence[str]) -> str | None:
    match words:
        case ["docker", "buildx", "bake", *_]:
            return "docker buildx bake"
        case ["docker", "compose", *rest] | ["docker-compose", *rest] if "build" in rest:
            return "docker compose build"
        case ["make", *rest] if any(re.search("docker|image|container", word) for word in rest):
            return plain(" ".join(words), 80)
    return None


def platforms_of(each: Build) -> Iterator[str]:
    """The architectures that a build names: by its platforms, its job's tags and the names of its job and image."""
    words = " ".join((*each.platforms, *each.job.tags)).lower()
    if re.search(r"arm64|aarch64|graviton", words):
        yield "arm64"
    if re.search(r"amd64|x86[_-]64|\bx64\b", words):
        yield "amd64"
