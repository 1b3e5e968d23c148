"""Checks of a `pulumi` command line before it runs."""

from collections.abc import Iterator, Sequence

from sandbox.engine.errors import EngineError
from stacks.names import SANDBOX

_RUN_THE_PROGRAM = frozenset({"up", "update", "preview", "pre", "refresh", "destroy", "down", "dn", "import", "watch"})
_WRITE_SETTINGS = frozenset({"set", "set-all", "rm", "rm-all", "cp", "env"})
_OTHER_STACKS = frozenset({"init", "select", "rename", "unselect", "change-secrets-provider"})
_OTHER_PROJECTS = ("-C", "--cwd", "--config-file")


def runs_the_program(arguments: Sequence[str]) -> bool:
    """Whether the command may run the program. Also true for other commands with such a word among their arguments."""
    return not _RUN_THE_PROGRAM.isdisjoint(arguments)


def refuse_other_stacks(arguments: Sequence[str]) -> None:
    """Raise EngineError for a command that would reach another stack or project, or settings that nobody reads."""
    for option, value in _options(arguments):
        if option in ("-s", "--stack") and value.rpartition("/")[2] != SANDBOX:
            raise EngineError(
                f"The sandbox has the stack {SANDBOX!r} alone. For {value!r} use the pulumi CLI itself: "
                f"`pulumi {arguments[0]} --stack {value}`."
            )
        if option in _OTHER_PROJECTS:
            raise EngineError(f"{option} would lead the CLI out of the sandbox; leave it out.")
    words = [argument for argument in arguments if not argument.startswith("-")]
    if words[:1] == ["config"] and not _WRITE_SETTINGS.isdisjoint(words):
        raise EngineError(f"The sandbox's settings are what stacks/Pulumi.{SANDBOX}.yaml says: edit that file.")
    if words[:1] == ["new"] or (words[:1] == ["stack"] and not _OTHER_STACKS.isdisjoint(words[1:2])):
        raise EngineError(f"The sandbox has the stack {SANDBOX!r} alone, and makes it by itself.")


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every option with its value: after `=`, joined to a short one, or the next argument."""
    for index, argument in enumerate(arguments):
        if not argument.startswith("-"):
            continue
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        name, equals, value = argument.partition("=")
        if not argument.startswith("--") and len(name) > 2 and name[1] in "sC":
            yield name[:2], name[2:] + equals + value
        else:
            yield name, value if equals else following
