"""One command that builds an image: docker, buildx, BuildKit, kaniko, Buildah, Podman and nerdctl."""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stacks.propose import shell
from stacks.propose.checkout import Checkout
from stacks.propose.pipelines import Job
from stacks.propose.text import expand, is_known, plain

_PREFIXES = ("sudo", "time", "exec", "command", "env", "retry", "travis_retry", "nice")
CLIENTS = ("docker", "podman", "nerdctl", "buildah", "img")
_SHORT = {"t": "tag", "f": "file", "o": "output", "D": "debug", "q": "quiet", "c": "context", "d": "destination"}
_KANIKO_SHORT = {"f": "dockerfile"}
_SWITCHES = re.compile(
    # Options without a value. Everything else takes the next word, unless a value follows after `=`.
    """
    all | cache | cache-copy-layers | cache-run-layers | check | cleanup | compress | compressed-caching | debug
    | disable-content-trust | force | force-rm | insecure | insecure-pull | insecure-registry | layers | load | no-cache
    | no-hosts | no-push | no-push-cache | pull | pull-always | pull-never | push | quiet | reproducible | rm
    | single-snapshot | skip-push-permission-check | skip-tls-verify | skip-tls-verify-pull | skip-unused-stages
    | squash | tls-verify | use-new-run
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Build:
    """One command that builds an image."""

    job: Job
    tool: str
    context: str | None
    """The context's folder from the repository's root; None if only the job knows it."""
    dockerfile: str | None
    """The Dockerfile's path from the repository's root."""
    names: tuple[str, ...]
    """The image's names, with tags: those in a registry before those of the job's own machine."""
    arguments: Mapping[str, str]
    target: str | None
    platforms: tuple[str, ...]
    secrets: Mapping[str, str]
    """The ids of secrets, with the options that say where each comes from."""
    contexts: Mapping[str, str]
    unread: tuple[str, ...]
    """The words of the command that only the job knows."""
    where: str
    """The command, short, for comments."""


def without_prefix(words: Sequence[str]) -> list[str]:
    rest = list(words)
    while rest and (rest[0] in _PREFIXES or re.match(r"[A-Za-z_]\w*=", rest[0])):
        rest.pop(0)
    return rest


@dataclass
class _Options:
    """A command's options, by their long names, and its other words."""

    values: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def last(self, *names: str) -> str | None:
        found = [value for name in names for value in self.values.get(name, ())]
        return found[-1] if found else None

    def all(self, *names: str) -> list[str]:
        return [value for name in names for value in self.values.get(name, ())]


def _options(words: Sequence[str], short: Mapping[str, str]) -> _Options:
    options, pending = _Options(), list(words)
    while pending:
        word = pending.pop(0)
        if word == "--" or word in (">", "2>&1", "&"):
            continue
        if word.startswith("--") or (word.startswith("-") and len(word) > 1):
            name, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("--"):
                if len(name) > 1 and name[0] in short:  # -tNAME
                    name, equals, value = name[0], "=", word[2:].removeprefix("=")
                name = short.get(name, name)
            if not equals:
                value = "" if _SWITCHES.fullmatch(name) or not pending else pending.pop(0)
            options.values.setdefault(name, []).append(value)
        else:
            options.words.append(word)
    return options


def build(
    checkout: Checkout, job: Job, command: shell.Command, words: Sequence[str], aliases: Mapping[str, list[str]]
) -> Build | None:
    tool, options = _recognized(words)
    if options is None:
        return None
    match tool:
        case "kaniko":
            context, dockerfile = _kaniko(checkout, command, options)
            names = options.all("destination")
            arguments = options.all("build-arg")
        case "buildctl":
            context, dockerfile = _buildctl(command, options)
            outputs = [_pairs(value) for value in options.all("output")]
            names = [name for pairs in outputs for name in pairs.get("name", "").split(",") if name]
            given = [value.partition("=") for value in options.all("opt")]
            arguments = [f"{key.removeprefix('build-arg:')}={value}" for key, _, value in given if "build-arg:" in key]
        case _:
            context, dockerfile = _docker(checkout, command, options)
            names = options.all("tag")
            arguments = options.all("build-arg")
    names += [alias for name in [*names] for alias in aliases.get(name, ())]
    opts = dict(value.partition("=")[::2] for value in options.all("opt"))
    secrets = [_pairs(value) for value in options.all("secret")]
    return Build(
        job=job,
        tool=tool,
        context=context,
        dockerfile=dockerfile,
        names=tuple(sorted(dict.fromkeys(names), key=lambda name: "/" not in name)),
        arguments=dict(argument(text, command.variables) for text in arguments if text),
        target=options.last("target") or opts.get("target"),
        platforms=tuple(
            platform
            for value in [*options.all("platform", "custom-platform"), opts.get("platform", "")]
            for platform in value.split(",")
            if platform
        ),
        secrets={
            pairs["id"]: pairs.get("src") or pairs.get("source") or pairs.get("env", "")
            for pairs in secrets
            if pairs.get("id")
        },
        contexts=named_contexts(command.folder, options.all("build-context")),
        unread=tuple(word for word in options.words[:-1] if not is_known(word)),
        where=plain(" ".join(words), 80),
    )


def _recognized(words: Sequence[str]) -> tuple[str, _Options | None]:
    if not words:
        return "", None
    program = posixpath.basename(words[0])
    rest = list(words[1:])
    if program == "executor" or words[0].endswith("kaniko/executor"):
        return "kaniko", _options(rest, {**_SHORT, **_KANIKO_SHORT})
    if program in ("buildctl", "buildctl-daemonless.sh") and "build" in rest:
        return "buildctl", _options(rest[rest.index("build") + 1 :], {**_SHORT, "o": "output"})
    if program in CLIENTS:
        while rest and rest[0].startswith("-"):  # docker --context x build
            rest = rest[2:] if "=" not in rest[0] and rest[0] not in ("--debug", "-D") else rest[1:]
        if rest[:1] and rest[0] in ("buildx", "image", "builder"):
            rest = rest[1:]
        if rest[:1] and rest[0] in ("build", "bud", "build-using-dockerfile"):
            return program, _options(rest[1:], _SHORT)
    return "", None


def _docker(checkout: Checkout, command: shell.Command, options: _Options) -> tuple[str | None, str | None]:
    given = options.words[-1] if options.words else "."
    context = local_path(command.folder, given)
    file = options.last("file", "dockerfile")
    if file is None:
        return context, None if context is None else _first(checkout, posixpath.join(context, "Dockerfile"))
    inside = None if context is None else local_path(context, file)
    return context, _first(checkout, local_path(command.folder, file), inside)


def _kaniko(checkout: Checkout, command: shell.Command, options: _Options) -> tuple[str | None, str | None]:
    given = (options.last("context") or ".").removeprefix("dir://")
    context = local_path(command.folder, given)
    if context is not None and (inner := options.last("context-sub-path")):
        context = local_path(context, inner)
    file = options.last("dockerfile") or "Dockerfile"
    inside = None if context is None else local_path(context, file)
    return context, _first(checkout, inside, local_path(command.folder, file))


def _buildctl(command: shell.Command, options: _Options) -> tuple[str | None, str | None]:
    local = dict(value.partition("=")[::2] for value in options.all("local"))
    opts = dict(value.partition("=")[::2] for value in options.all("opt"))
    context = local_path(command.folder, local.get("context", "."))
    folder = local_path(command.folder, local.get("dockerfile", local.get("context", ".")))
    return context, None if folder is None else local_path(folder, opts.get("filename", "Dockerfile"))


def local_path(folder: str, given: str) -> str | None:
    """A path from the repository's root; None if it is not known, not local, or outside."""
    if not given or not is_known(given) or not is_known(folder) or "://" in given or given == "-":
        return None
    if given.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(folder, given))
    return None if path.split("/")[0] == ".." or path.startswith("/") else path


def _first(checkout: Checkout, *paths: str | None) -> str | None:
    """The first path that is a file; else the first that is known."""
    known = [posixpath.normpath(path) for path in paths if path is not None]
    return next((path for path in known if path in checkout.files), known[0] if known else None)


def named_contexts(folder: str, given: Iterable[str]) -> dict[str, str]:
    """Named contexts, with folders from the repository's root. What is not one stays as it is."""
    pairs = (text.partition("=")[::2] for text in given)
    return {name: local_path(folder, source) or source for name, source in pairs}


def argument(text: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """A build argument. Without a value, it has that of the variable of its name."""
    name, equals, value = text.partition("=")
    return name, value if equals else expand(f"${{{name}}}", variables)


def _pairs(text: str) -> dict[str, str]:
    """`type=image,name=a`, as a mapping."""
    return dict(part.strip('"').partition("=")[::2] for part in text.split(","))
