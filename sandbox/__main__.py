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

from sandbox import server
from sandbox.engine import operation
from sandbox.engine.display import Display, Terminal, print_details, print_outputs, print_summary
from sandbox.engine.errors import EngineError
from sandbox.engine.interrupt import INTERRUPTED
from sandbox.engine.journal import Silence
from sandbox.engine.operation import SANDBOX_STACK, Report, Stack
from sandbox.engine.preview_json import preview_digest
from sandbox.values import mask, reveal
from sandbox.world import World, data_directory

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
    if found.world is None:
        console.print("The sandbox is not running; `python -m sandbox start` starts it.")
        return 1
    _print_world(console, found.world)
    silent = [name for name, answers in found.answering.items() if not answers]
    if silent:
        console.print(Text(f"Not answering: {', '.join(silent)}.", style="bold red"))
    return 1 if silent else 0


def up(console: Console, arguments: argparse.Namespace) -> int:
    """Start the sandbox if it is not running, preview and deploy."""
    stack, world = _open(arguments)
    planned = _run(console, "Preview", arguments, stack, operation.preview)
    if not planned.ok:
        return _exit_code(planned)
    report = planned
    if planned.unchanged:
        console.print("Everything is as the program wants it: nothing to deploy.")
    else:
        report = _run(console, "Update", arguments, stack, operation.update)
    if report.ok:
        console.print()
        print_outputs(console, report.outputs)
        _print_next(console, stack, world)
    return _exit_code(report)


def preview(console: Console, arguments: argparse.Namespace) -> int:
    """Show what `up` would change; changes nothing."""
    stack, _ = _open(arguments)
    if not arguments.json:
        report = _run(console, "Preview", arguments, stack, operation.preview)
        if arguments.diff:
            print_details(console, report)
        return _exit_code(report)
    report = operation.preview(stack, Silence(), with_refresh=arguments.refresh)
    print(json.dumps(preview_digest(report.journal, stack.config, report.duration), indent=4))
    return _exit_code(report)


def build(console: Console, arguments: argparse.Namespace) -> int:
    """Run a published pipeline's jobs here: real BuildKit, a real registry, QEMU for other processors."""
    from sandbox.builds import command  # here, since no other command needs what it takes

    return command.build(console, arguments, server.start(data_directory()), data_directory())


def outputs(console: Console, arguments: argparse.Namespace) -> int:
    """Print what the program exported when it was last deployed."""
    stack = _open_stack(arguments, world=None)
    values = stack.outputs()
    if arguments.json:
        print(json.dumps(reveal(values) if arguments.show_secrets else mask(values), indent=2, sort_keys=True))
    else:
        print_outputs(console, values, show_secrets=arguments.show_secrets)
    return 0


def destroy(console: Console, arguments: argparse.Namespace) -> int:
    """Delete everything that was deployed."""
    stack, _ = _open(arguments)
    with Display(console, "Destroy") as display:
        report = operation.destroy(stack, display)
    print_summary(console, report, planned=False)
    return _exit_code(report)


def down(console: Console, arguments: argparse.Namespace) -> int:
    """Destroy, then stop the sandbox."""
    return destroy(console, arguments) or stop(console, arguments)


def _run(
    console: Console, title: str, arguments: argparse.Namespace, stack: Stack, operate: Callable[..., Report]
) -> Report:
    with Display(console, title) as display:
        report = operate(stack, display, with_refresh=arguments.refresh)
    print_summary(console, report, planned=operate is operation.preview)
    return report


def _exit_code(report: Report) -> int:
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.ok else 1


def _open(arguments: argparse.Namespace) -> tuple[Stack, World]:
    """The stack, with the sandbox running under it."""
    _open_stack(arguments, world=None)  # a wrong stack is refused before anything is started
    world = server.start(data_directory())
    return _open_stack(arguments, world), world


def _open_stack(arguments: argparse.Namespace, world: World | None) -> Stack:
    return operation.open_stack(
        arguments.stack,
        project_root=_PROJECT_ROOT,
        data=data_directory(),
        ports=world.providers if world else {},
        environment=_program_environment(world),
    )


def _program_environment(world: World | None) -> dict[str, str]:
    """What the program inherits: nothing of the user's AWS settings, so that nothing can reach a real account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | (world.environment() if world else {})


def _print_world(console: Console, world: World) -> None:
    for name, value in (
        ("AWS", world.aws),
        ("GitLab", world.gitlab),
        ("Kubernetes", world.kubernetes),
        *((f"{name} provider", f"127.0.0.1:{port}") for name, port in world.providers.items()),
        ("data", str(data_directory())),
    ):
        console.print(f"{name:20} {value}", soft_wrap=True)


def _print_next(console: Console, stack: Stack, world: World) -> None:
    """Where to look at what was deployed."""
    resources, _ = stack.file.load()
    projects = sorted({str(state.inputs["project"]) for state in resources if state.type == _PIPELINE_TYPE})
    console.print(Text("\nWhere to look next", style="bold"))
    for project in projects:
        console.print(f"  pipeline:  git clone {world.gitlab}/{project}.git", soft_wrap=True)
    aws = " ".join(f"{name}={value}" for name, value in world.environment().items() if name.startswith("AWS_"))
    console.print(f"  AWS:       {aws} aws ecr describe-repositories", soft_wrap=True)
    console.print("  the rest:  python -m sandbox status", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A replica of AWS, GitLab and Kubernetes on this machine, and an engine that deploys the program "
        "to it. For real environments use the pulumi CLI.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Callable[[Console, argparse.Namespace], int]) -> argparse.ArgumentParser:
        text = (command.__doc__ or "").strip()
        added = commands.add_parser(command.__name__, help=text, description=text)
        added.set_defaults(command=command, refresh=False)
        added.add_argument("--stack", default=SANDBOX_STACK, help="the stack (default: %(default)s, the only one)")
        return added

    for command in (start, status, stop, destroy, down):
        add(command)
    refresh_help = "first ask the cloud what has drifted"
    add(up).add_argument("--refresh", action="store_true", help=refresh_help)
    previewing = add(preview)
    previewing.add_argument("--refresh", action="store_true", help=refresh_help)
    previewing.add_argument("--json", action="store_true", help="print the form of `pulumi preview --json`")
    previewing.add_argument("--diff", action="store_true", help="show every property that changes")
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
