"""`python -m sandbox build`: reads its arguments, runs the pipeline, and prints errors as messages."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from sandbox.builds.errors import BuildError
from sandbox.builds.events import Event, Trigger
from sandbox.builds.run import build as run_build
from sandbox.endpoints import Endpoints
from sandbox.engine.arguments import SANDBOX_STACK
from stacks.problems import SettingsError


def build(console: Console, arguments: argparse.Namespace, endpoints: Endpoints, directory: Path) -> int:
    """Run a pipeline of the stack; returns the exit status."""
    try:
        passed = run_build(
            endpoints,
            directory,
            console,
            stack=SANDBOX_STACK,
            event=_event(arguments.event, arguments.ref),
            manual=arguments.manual,
            project=arguments.project,
        )
    except (BuildError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if passed else 1


def _event(trigger: str, ref: str | None) -> Event | None:
    """The event that the arguments name; None for the default: a schedule on the default branch."""
    known = [str(each) for each in Trigger]
    if trigger not in known:
        raise BuildError(f"There is no event {trigger}; known are {', '.join(known)}.")
    if ref is None and trigger == Trigger.SCHEDULE:
        return None
    if ref is None:
        raise BuildError(f"The event {trigger} needs a ref: --ref NAME.")
    return Event(trigger=Trigger(trigger), ref=ref)
