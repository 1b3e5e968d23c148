"""The two engines that deploy to the sandbox, behind one interface: the pulumi CLI and the embedded one."""

import json
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from rich.console import Console

from sandbox import pulumi_cli
from sandbox.engine import operation
from sandbox.engine.display import Display, print_details, print_summary
from sandbox.engine.errors import EngineError
from sandbox.engine.interrupt import INTERRUPTED
from sandbox.engine.journal import Silence
from sandbox.engine.operation import Report, Stack
from sandbox.engine.preview_json import preview_digest
from sandbox.engine.state import StateFile
from sandbox.pulumi_cli import PulumiCli

ENGINE_VARIABLE = "BUILDYARD_SANDBOX_ENGINE"


class EngineName(str, Enum):
    """What `--engine` and the variable take."""

    PULUMI = "pulumi"
    EMBEDDED = "embedded"

    def __str__(self) -> str:
        return self.value


class Engine(Protocol):
    """Operates on the sandbox's stack and shows it. Operations return an exit code: 0, 1, or 130 if interrupted."""

    @property
    def name(self) -> str:
        """What people are told is at work."""

    def preview(self, *, refresh: bool, diff: bool = False, as_json: bool = False) -> int:
        """Show what `up` would change; changes nothing."""

    def up(self, *, refresh: bool) -> int:
        """Preview and deploy."""

    def destroy(self) -> int:
        """Delete everything in the stack."""


def choose(wanted: str | None, console: Console, stack: Stack) -> Engine:
    """The engine of that name; without one the CLI where it is installed, else the embedded one."""
    known = [str(name) for name in EngineName]
    if wanted and wanted not in known:
        raise EngineError(f"There is no engine {wanted!r}; there are {' and '.join(known)}.")
    if wanted == EngineName.EMBEDDED or not (wanted or pulumi_cli.installed()):
        return Embedded(console, stack)
    if not pulumi_cli.installed():
        raise EngineError("`pulumi` and `pulumi-language-python` are not on PATH; `--engine embedded` needs neither.")
    return PulumiCli(stack)


def current_state(stack: Stack) -> StateFile:
    """The stack's state, whichever engine has it."""
    return PulumiCli(stack).state() if pulumi_cli.installed() else stack.file


class Embedded:
    """The sandbox's own engine."""

    name = "embedded"

    def __init__(self, console: Console, stack: Stack) -> None:
        self._console = console
        self._stack = stack

    def preview(self, *, refresh: bool, diff: bool = False, as_json: bool = False) -> int:
        self._take_over()
        if as_json:
            report = operation.preview(self._stack, Silence(), with_refresh=refresh)
            print(json.dumps(preview_digest(report.journal, self._stack.config, report.duration), indent=4))
            return _exit_code(report)
        report = self._show("Preview", operation.preview, refresh=refresh)
        if diff:
            print_details(self._console, report)
        return _exit_code(report)

    def up(self, *, refresh: bool) -> int:
        self._take_over()
        report = self._show("Preview", operation.preview, refresh=refresh)
        if report.unchanged:
            self._console.print("Everything is as the program wants it: nothing to deploy.")
        elif report.ok:
            report = self._show("Update", operation.update, refresh=refresh)
        return _exit_code(report)

    def destroy(self) -> int:
        self._take_over()
        with Display(self._console, "Destroy") as display:
            report = operation.destroy(self._stack, display)
        print_summary(self._console, report, planned=False)
        return _exit_code(report)

    def _take_over(self) -> None:
        if self._stack.file.lent and pulumi_cli.installed():
            PulumiCli(self._stack).hand_back()

    def _show(self, title: str, operate: Callable[..., Report], *, refresh: bool) -> Report:
        with Display(self._console, title) as display:
            report = operate(self._stack, display, with_refresh=refresh)
        print_summary(self._console, report, planned=operate is operation.preview)
        return report


def _exit_code(report: Report) -> int:
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.ok else 1
