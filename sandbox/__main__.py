"""The sandbox's command line: `python -m sandbox COMMAND`.

Exit codes: 0 is success, 1 a failure, 130 an interruption. Standard output has the command's result alone; how it is
prepared is reported on standard error.
"""

import argparse
import errno
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from rich.text import Text

from sandbox import server
from sandbox.display import Terminal, print_endpoints, print_next_steps, print_outputs
from sandbox.endpoints import Endpoints, data_directory
from sandbox.engine import install
from sandbox.engine.arguments import refuse_other_stacks
from sandbox.engine.cli import INTERRUPTED, PulumiCli, open_stack
from sandbox.engine.errors import EngineError
from sandbox.engine.recovery import needs_recovery, recover
from sandbox.roles import acting_as

_PIPELINE_TYPE = "gitlab:index/repositoryFile:RepositoryFile"

_console = Terminal(highlight=False)
_notes = Terminal(stderr=True, highlight=False)


def main() -> int:
    parser = _parser()
    options, forwarded = parser.parse_known_args()
    if forwarded and not options.forwards:
        parser.error(f"unrecognized arguments: {' '.join(forwarded)}")
    try:
        code: int = options.command(*([forwarded, options.role] if options.forwards else [options]))
    except (EngineError, server.ServerError) as error:
        _notes.print(Text(f"error: {error}", style="bold red"), soft_wrap=True)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message = f"error: {data_directory()}: {error.strerror}. Make space, then run this again."
        _notes.print(Text(message, style="bold red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def start(_: argparse.Namespace) -> int:
    """Start the sandbox's services."""
    print_endpoints(_console, server.start(data_directory()), data_directory())
    return 0


def stop(_: argparse.Namespace) -> int:
    """Stop them; their data stays."""
    stopped = server.stop(data_directory())
    _console.print("The sandbox is stopped; its data stays." if stopped else "The sandbox was not running.")
    return 0


def status(_: argparse.Namespace) -> int:
    """Show what runs, and where."""
    found = server.status(data_directory())
    if found.endpoints is None:
        _console.print("The sandbox is not running; `make up` starts it.")
        return 1
    print_endpoints(_console, found.endpoints, data_directory())
    silent = [name for name, answers in found.answering.items() if not answers]
    if silent:
        _console.print(Text(f"Not answering: {', '.join(silent)}. `make stop up` starts them again.", style="bold red"))
    return 1 if silent else 0


def reset(_: argparse.Namespace) -> int:
    """Stop the sandbox and delete its data: the next `up` starts with a new one."""
    server.delete(data_directory())
    _console.print("The sandbox is stopped and its data is deleted.")
    return 0


def bootstrap(arguments: Sequence[str], role: str | None = None) -> int:
    """Deploy what an administrator creates once: the state's bucket, the roles of jobs and their access.

    With arguments, run that command of the pulumi CLI instead, such as `preview`, on the project in `bootstrap/`.
    """
    with _stack("", arguments, role, folder="bootstrap") as cli:
        return cli.run(list(arguments) or ["up", "--yes"])


def up(arguments: Sequence[str], role: str | None = None) -> int:
    """Start the sandbox if it is not running, preview and deploy, as `pulumi up`."""
    with _stack("up", arguments, role) as cli:
        cli = _recover(cli)
        code = cli.run(["up", "--yes", "--suppress-outputs", *arguments])
        if code == 0 and not {"--json", "-j"} & set(arguments):
            _console.print()
            print_outputs(_console, json.loads(cli.ask("stack", "output", "--json")))
            print_next_steps(_console, cli.endpoints, _projects_with_a_pipeline(cli))
    return code


def preview(arguments: Sequence[str], role: str | None = None) -> int:
    """Show what `up` would change, as `pulumi preview`; changes nothing."""
    with _stack("preview", arguments, role) as cli:
        return cli.run(["preview", *arguments])


def destroy(arguments: Sequence[str], role: str | None = None) -> int:
    """Delete everything that was deployed, as `pulumi destroy`."""
    with _stack("destroy", arguments, role) as cli:
        cli = _recover(cli)
        resources = cli.export()["deployment"].get("resources") or []
        # Only the program has the hooks that wait until runners are drained.
        hooks = ["--run-program"] if any(each.get("resourceHooks") for each in resources) else []
        return cli.run(["destroy", "--yes", "--suppress-outputs", *hooks, *arguments])


def down(arguments: Sequence[str], role: str | None = None) -> int:
    """Destroy, as `pulumi destroy`, then stop the sandbox."""
    return destroy(arguments, role) or stop(argparse.Namespace())


def pulumi(arguments: Sequence[str], role: str | None = None) -> int:
    """Run any command of the pulumi CLI on the sandbox's stack, such as `pulumi stack export`."""
    with _stack("", arguments, role) as cli:
        return cli.run(arguments)


def build(options: argparse.Namespace) -> int:
    """Run a published pipeline's jobs here: real BuildKit, a real registry, QEMU for other processors."""
    from sandbox.builds import command  # here, since no other command needs what it takes

    return command.build(_console, options, server.start(data_directory()), data_directory())


def runner(options: argparse.Namespace) -> int:
    """Run the jobs of pipelines that somebody started through GitLab's API, in place of the runners' managers."""
    from sandbox.builds import command  # as above

    return command.runner(_console, options, server.start(data_directory()), data_directory())


def doctor(arguments: Sequence[str], role: str | None = None) -> int:
    """Check the sandbox's stack, as `python -m delivery doctor`."""
    refuse_other_stacks(arguments)
    executable = install.pulumi(_notes)
    with _acting(role) as endpoints:
        with open_stack(executable, data_directory(), endpoints) as cli:
            pass  # it only reads, so other commands may be at work meanwhile
        return cli.doctor(arguments)


@contextmanager
def _acting(role: str | None) -> Iterator[Endpoints]:
    """The sandbox, which runs from now on. With a role, AWS's requests have its credentials alone."""
    endpoints = server.start(data_directory())
    with ExitStack() as session:
        yield session.enter_context(acting_as(role, data_directory(), endpoints)) if role else endpoints


@contextmanager
def _stack(command: str, arguments: Sequence[str], role: str | None, folder: str = "") -> Iterator[PulumiCli]:
    """The CLI on the sandbox's stack, with the sandbox running under it. What may not run is refused before that.

    `role` is as in `_acting`. `folder` is that of another project than the platform's.
    """
    refuse_other_stacks([*filter(None, [command]), *arguments])
    executable = install.pulumi(_notes)
    with _acting(role) as endpoints, open_stack(executable, data_directory(), endpoints, folder=folder) as cli:
        yield cli


def _recover(cli: PulumiCli) -> PulumiCli:
    """Bring the state in line with what an interrupted command made; the CLI on the sandbox as it runs afterwards."""
    if not needs_recovery(cli):
        return cli
    # A killed command's last requests may still be under way in the server: end them.
    server.stop(data_directory())
    cli = replace(cli, endpoints=server.start(data_directory()))
    recover(cli, lambda line: _notes.print(line, markup=False, soft_wrap=True))
    return cli


def _projects_with_a_pipeline(cli: PulumiCli) -> list[str]:
    resources = cli.export()["deployment"].get("resources") or []
    return sorted({str(each["inputs"]["project"]) for each in resources if each["type"] == _PIPELINE_TYPE})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="AWS, GitLab and Kubernetes, emulated on this machine, and the pulumi CLI that deploys the program "
        "to them. For real environments use the pulumi CLI itself.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Callable[..., int], forwards: str | None = None) -> argparse.ArgumentParser:
        text = (command.__doc__ or "").strip()
        usage = f"%(prog)s [OPTIONS OF `{forwards}`]" if forwards else None
        added = commands.add_parser(
            command.__name__, help=text, description=text, usage=usage, add_help=forwards != "pulumi"
        )
        added.set_defaults(command=command, forwards=forwards)
        if forwards:
            added.add_argument("--as", dest="role", metavar="ROLE", help="an AWS role that `bootstrap` made: its name")
        return added

    add(start)
    add(status)
    add(stop)
    add(reset)
    add(bootstrap, "pulumi")
    add(up, "pulumi up")
    add(preview, "pulumi preview")
    add(destroy, "pulumi destroy")
    add(down, "pulumi destroy")
    add(pulumi, "pulumi")
    building = add(build)
    building.add_argument("--event", default="schedule", help="push, merge-request, tag, schedule or web (%(default)s)")
    building.add_argument("--ref", help="the branch, or for `tag` the Git tag; default: the default branch")
    building.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what somebody chooses who starts the pipeline, such as BUILDYARD_IMAGES=base",
    )
    building.add_argument("--project", help="the GitLab project's path; default: the stack's first")
    running = add(runner)
    running.add_argument("--once", action="store_true", help="end when no job waits")
    add(doctor, "python -m delivery doctor")
    building.add_argument("--manual", action="append", default=[], metavar="JOB", help="also start this manual job")
    return parser


if __name__ == "__main__":
    sys.exit(main())
