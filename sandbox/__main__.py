"""The sandbox's command line: `python -m sandbox COMMAND`.

Exit codes: 0 is success, 1 a failure, 130 an interruption.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sandbox import pulumi_cli, server
from sandbox.engine import operation
from sandbox.engine.display import Terminal, print_outputs
from sandbox.engine.errors import EngineError
from sandbox.engine.interrupt import INTERRUPTED
from sandbox.engine.operation import SANDBOX_STACK, Stack
from sandbox.engine.state import StateFile
from sandbox.engines import ENGINE_VARIABLE, Engine, choose, current_state
from sandbox.pulumi_cli import PulumiCli
from sandbox.values import mask, reveal
from sandbox.endpoints import Endpoints, data_directory

_PROJECT_ROOT = Path(__file__).resolve().parent.parent
_PIPELINE_TYPE = "gitlab:index/repositoryFile:RepositoryFile"


def main() -> int:
    arguments = _parser().parse_args()
    console = Terminal(highlight=False)
    try:
        code: int = arguments.command(console, arguments)
    except (EngineError, server.ServerError) as error:
        Terminal(stderr=True, highlight=False).print(Text(f"error: {error}", style="bold red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def start(console: Console, arguments: argparse.Namespace) -> int:  # noqa: ARG001 (a command's signature)
    """Start the sandbox's services."""
    _print_world(console, server.start(data_directory()))
    return 0


def stop(console: Console, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Stop them; their data stays."""
    stopped = server.stop(data_directory())
    console.print("The sandbox is stopped; its data stays." if stopped else "The sandbox was not running.")
    return 0


def status(console: Console, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Show what runs, and where."""
    found = server.status(data_directory())
    if found.endpoints is None:
        console.print("The sandbox is not running; `python -m sandbox start` starts it.")
        return 1
    _print_world(console, found.endpoints)
    silent = [name for name, answers in found.answering.items() if not answers]
    if silent:
        console.print(Text(f"Not answering: {', '.join(silent)}.", style="bold red"))
    return 1 if silent else 0


def up(console: Console, arguments: argparse.Namespace) -> int:
    """Start the sandbox if it is not running, preview and deploy."""
    engine, stack, endpoints = _open(console, arguments)
    code = engine.up(refresh=arguments.refresh)
    if code == 0:
        state = current_state(stack)
        console.print()
        print_outputs(console, stack.outputs(state))
        _print_next(console, state, endpoints)
    return code


def preview(console: Console, arguments: argparse.Namespace) -> int:
    """Show what `up` would change; changes nothing."""
    engine, _, _ = _open(console, arguments)
    return engine.preview(refresh=arguments.refresh, diff=arguments.diff, as_json=arguments.json)


def build(console: Console, arguments: argparse.Namespace) -> int:
    """Run a published pipeline's jobs here: real BuildKit, a real registry, QEMU for other processors."""
    from sandbox.builds import command  # here, since no other command needs what it takes

    return command.build(console, arguments, server.start(data_directory()), data_directory())


def pulumi(console: Console, arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Run the pulumi CLI's own command on the sandbox's stack, such as `pulumi up -s sandbox --replace URN`."""
    if not pulumi_cli.installed():
        raise EngineError("`pulumi` and `pulumi-language-python` are not on PATH.")
    return PulumiCli(_open_stack(arguments, server.start(data_directory()))).run(arguments.arguments)


def outputs(console: Console, arguments: argparse.Namespace) -> int:
    """Print what the program exported when it was last deployed."""
    stack = _open_stack(arguments, endpoints=None)
    values = stack.outputs(current_state(stack))
    if arguments.json:
        print(json.dumps(reveal(values) if arguments.show_secrets else mask(values), indent=2, sort_keys=True))
    else:
        print_outputs(console, values, show_secrets=arguments.show_secrets)
    return 0


def destroy(console: Console, arguments: argparse.Namespace) -> int:
    """Delete everything that was deployed."""
    engine, _, _ = _open(console, arguments)
    return engine.destroy()


def down(console: Console, arguments: argparse.Namespace) -> int:
    """Destroy, then stop the sandbox."""
    return destroy(console, arguments) or stop(console, arguments)


def _open(console: Console, arguments: argparse.Namespace) -> tuple[Engine, Stack, Endpoints]:
    """The stack and its engine, with the sandbox running under them."""
    # A wrong stack or engine is refused before anything is started.
    choose(arguments.engine, console, _open_stack(arguments, endpoints=None))
    endpoints = server.start(data_directory())
    stack = _open_stack(arguments, endpoints)
    engine = choose(arguments.engine, console, stack)
    if not getattr(arguments, "json", False):  # which programs read
        console.print(f"Engine: {engine.name}", soft_wrap=True)
    return engine, stack, endpoints


def _open_stack(arguments: argparse.Namespace, endpoints: Endpoints | None) -> Stack:
    return operation.open_stack(
        arguments.stack,
        project_root=_PROJECT_ROOT,
        data=data_directory(),
        ports=endpoints.providers if endpoints else {},
        environment=_program_environment(endpoints),
    )


def _program_environment(endpoints: Endpoints | None) -> dict[str, str]:
    """What the program inherits: nothing of the user's AWS settings, so that nothing can reach a real account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | (endpoints.environment() if endpoints else {})


def _print_world(console: Console, endpoints: Endpoints) -> None:
    for name, value in (
        ("AWS", endpoints.aws),
        ("GitLab", endpoints.gitlab),
        ("Kubernetes", endpoints.kubernetes),
        *((f"{name} provider", f"127.0.0.1:{port}") for name, port in endpoints.providers.items()),
        ("data", str(data_directory())),
    ):
        console.print(f"{name:20} {value}", soft_wrap=True)


def _print_next(console: Console, state: StateFile, endpoints: Endpoints) -> None:
    """Where to look at what was deployed."""
    resources, _ = state.load()
    projects = sorted({str(state.inputs["project"]) for state in resources if state.type == _PIPELINE_TYPE})
    console.print(Text("\nWhere to look next", style="bold"))
    for project in projects:
        console.print(f"  pipeline:  git clone {endpoints.gitlab}/{project}.git", soft_wrap=True)
    aws = " ".join(f"{name}={value}" for name, value in endpoints.environment().items() if name.startswith("AWS_"))
    console.print(f"  AWS:       {aws} aws ecr describe-repositories", soft_wrap=True)
    console.print("  the rest:  python -m sandbox status", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A replica of AWS, GitLab and Kubernetes on this machine, and two engines that deploy the program "
        "to it: the pulumi CLI, and one that needs no installation. For real environments use the pulumi CLI itself.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Callable[[Console, argparse.Namespace], int]) -> argparse.ArgumentParser:
        text = (command.__doc__ or "").strip()
        added = commands.add_parser(command.__name__, help=text, description=text)
        added.set_defaults(command=command, refresh=False)
        added.add_argument("--stack", default=SANDBOX_STACK, help="the stack (default: %(default)s, the only one)")
        return added

    def add_operation(command: Callable[[Console, argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = add(command)
        engine_help = f"pulumi or embedded (default: ${ENGINE_VARIABLE}, else pulumi where it is on PATH)"
        added.add_argument("--engine", default=os.environ.get(ENGINE_VARIABLE), help=engine_help)
        return added

    for command in (start, status, stop):
        add(command)
    for command in (destroy, down):
        add_operation(command)
    refresh_help = "first ask the cloud what has drifted"
    add_operation(up).add_argument("--refresh", action="store_true", help=refresh_help)
    previewing = add_operation(preview)
    previewing.add_argument("--refresh", action="store_true", help=refresh_help)
    previewing.add_argument("--json", action="store_true", help="print the form of `pulumi preview --json`")
    previewing.add_argument("--diff", action="store_true", help="show every property that changes")
    add(pulumi).add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="as `pulumi` takes them")
    building = add(build)
    building.add_argument("--event", default="schedule", help="push, merge-request, tag, schedule or web (%(default)s)")
    building.add_argument("--ref", help="the branch, or for `tag` the Git tag; default: the default branch")
    building.add_argument("--project", help="the GitLab project's path; default: the stack's first")
    building.add_argument("--manual", action="append", default=[], metavar="JOB", help="also start this job by hand")
    printing = add(outputs)
    printing.add_argument("--json", action="store_true", help="print JSON")
    printing.add_argument("--show-secrets", action="store_true", help="print secrets in clear text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
