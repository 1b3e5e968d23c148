"""`python -m sandbox build` and `runner`: read their arguments, run jobs, and print errors as messages."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from sandbox.builds.errors import BuildError
from sandbox.builds.events import Event, Trigger
from sandbox.builds.run import build as run_build
from sandbox.builds.waiting_jobs import run_waiting_jobs
from sandbox.endpoints import Endpoints
from stacks.names import SANDBOX
from stacks.problems import SettingsError


def build(console: Console, arguments: argparse.Namespace, endpoints: Endpoints, directory: Path) -> int:
    """Run a pipeline of the stack; returns the exit status."""
    try:
        passed = run_build(
            endpoints,
            directory,
            console,
            stack=SANDBOX,
            event=_event(arguments.event, arguments.ref, arguments.variable),
            manual=arguments.manual,
            project=arguments.project,
        )
    except (BuildError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if passed else 1


def runner(console: Console, arguments: argparse.Namespace, endpoints: Endpoints, directory: Path) -> int:
    """Run the jobs that wait in GitLab; returns the exit status."""
    # Like Ctrl-C, so that the registry and the other servers end, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        run_waiting_jobs(endpoints, directory, console, stack=SANDBOX, once=arguments.once)
    except (BuildError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _event(trigger: str, ref: str | None, variables: Sequence[str] = ()) -> Callable[[str], Event]:
    """The event that the arguments name, for a project's default branch: by default a schedule on that."""
    known = [str(each) for each in Trigger]
    if trigger not in known:
        raise BuildError(f"There is no event {trigger}; known are {', '.join(known)}.")
    if ref is None and trigger not in (Trigger.SCHEDULE, Trigger.WEB):
        raise BuildError(f"The event {trigger} needs a ref: --ref NAME.")
    wrong = next((each for each in variables if "=" not in each), None)
    if wrong is not None:
        raise BuildError(f"--variable {wrong} has no value: write NAME=VALUE.")
    chosen = dict(each.split("=", 1) for each in variables)
    return lambda branch: Event(trigger=Trigger(trigger), ref=ref or branch, chosen=chosen)
