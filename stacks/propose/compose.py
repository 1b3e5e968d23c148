"""The builds of `docker compose build`, from its files.

Source: https://docs.docker.com/reference/compose-file/build/
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from stacks.documents import DocumentError, read_yaml
from stacks.propose import shell
from stacks.propose.checkout import Checkout
from stacks.propose.commands import Build, argument, local_path, named_contexts
from stacks.propose.pipelines import Job
from stacks.propose.text import expand, plain

_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_MAX_SERVICES = 500


def builds(checkout: Checkout, job: Job, command: shell.Command, words: Sequence[str]) -> Iterator[Build]:
    """The builds of a command, one for each service that has one; nothing for other commands."""
    match list(words):
        case ["docker", "compose", *rest] | ["docker-compose", *rest] if "build" in rest:
            pass
        case _:
            return
    options, wanted = rest[: rest.index("build")], rest[rest.index("build") + 1 :]
    named = [word for word in wanted if not word.startswith("-")]
    given = [value for option, value in pairwise(options) if option in ("-f", "--file")]
    paths = [path for name in given or _FILES if (path := local_path(command.folder, name)) in checkout.files]
    for path in paths if given else paths[:1]:
        for name, service in _services(checkout, path).items():
            if named and name not in named:
                continue
            if found := _build(job, command, posixpath.dirname(path) or ".", name, service):
                yield found


def _services(checkout: Checkout, path: str) -> dict[str, Mapping[str, Any]]:
    try:
        content = read_yaml(checkout.read(path) or b"")
    except DocumentError as error:
        checkout.notes.append(f"{path} was not read: {plain(error.faults[0].message)}")
        return {}
    services = content.get("services") if isinstance(content, dict) else None
    found = services.items() if isinstance(services, dict) else ()
    return {name: service for name, service in [*found][:_MAX_SERVICES] if isinstance(service, dict)}


def _build(job: Job, command: shell.Command, folder: str, name: str, service: Mapping[str, Any]) -> Build | None:
    given = service.get("build")
    build = {"context": given} if isinstance(given, str) else given
    if not isinstance(build, dict):
        return None

    def text(value: Any) -> str:
        return expand(str(value), command.variables)

    context = local_path(folder, text(build.get("context", ".")))
    dockerfile = None if context is None else local_path(context, text(build.get("dockerfile", "Dockerfile")))
    platforms, target, image = build.get("platforms"), build.get("target"), service.get("image")
    return Build(
        job=job,
        tool="compose",
        context=context,
        dockerfile=dockerfile,
        names=(text(image) if isinstance(image, str) else name,),
        arguments=dict(argument(each, command.variables) for each in map(text, _pairs(build.get("args")))),
        target=text(target) if isinstance(target, str) else None,
        platforms=tuple(map(text, platforms)) if isinstance(platforms, list) else (),
        secrets={},
        contexts=named_contexts(folder, map(text, _pairs(build.get("additional_contexts")))),
        unread=(),
        where=plain(f"docker compose build {name}", 80),
    )


def _pairs(value: Any) -> list[str]:
    """A mapping or a list of `NAME=value`, as such a list."""
    if isinstance(value, dict):
        return [name if each is None else f"{name}={each}" for name, each in value.items()]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
