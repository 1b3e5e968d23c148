"""What a person sees of an operation: a live tree of resources on a terminal, plain lines anywhere else."""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from sandbox.engine import urn as urns
from sandbox.engine.difference import changed_properties, property_lines, show_value
from sandbox.engine.operation import Report
from sandbox.engine.resource import ResourceState
from sandbox.engine.steps import Operation, Step
from sandbox.values import Properties, PropertyValue, reveal

_STYLES = {
    Operation.SAME: (" ", "dim", "unchanged"),
    Operation.CREATE: ("+", "green", "create"),
    Operation.UPDATE: ("~", "yellow", "update"),
    Operation.REPLACE: ("±", "magenta", "replace"),
    Operation.CREATE_REPLACEMENT: ("±", "magenta", "create replacement"),
    Operation.DELETE_REPLACED: ("±", "magenta", "delete replaced"),
    Operation.DELETE: ("-", "red", "delete"),
    Operation.READ: (">", "cyan", "read"),
    Operation.REFRESH: (" ", "dim", "refresh"),
}
_QUIET = (Operation.SAME, Operation.REFRESH)
_MESSAGE_STYLES = {"warning": "yellow", "error": "bold red"}
# Shorter times are not worth reading.
_SHOWN_SECONDS = 0.1
# Lines of a terminal that the tree leaves for what stands around it.
_SPARE_LINES = 4


@dataclass
class _Row:
    """One resource in the tree; `seconds` is set when its step is over."""

    urn: str
    parent: str
    step: Step | None = None
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    failed: bool = False

    @property
    def running(self) -> bool:
        return self.step is not None and self.seconds is None

    @property
    def notable(self) -> bool:
        return self.running or self.failed or (self.step is not None and self.step.operation not in _QUIET)


class Terminal(Console):
    """Where things are shown. Its reader may leave, as `head` does after its last line: what runs goes on unseen."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Display:
    """Shows an operation while it runs. Use it as a context manager around the operation."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()
        self._live = Live(self, console=console, refresh_per_second=8, transient=True) if console.is_terminal else None

    def __enter__(self) -> "Display":
        self._console.print(Text(self._title, style="bold"))
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
            self._console.print(self._tree(self._notable_rows()))

    def begins(self, step: Step) -> None:
        with self._lock:
            row = self._rows.setdefault(step.urn, _Row(step.urn, step.resource.parent))
            # A replacement is announced when its first part is done, and later parts keep its row.
            if step.operation is not Operation.REPLACE:
                row.began = time.monotonic()
            if not (row.step and row.step.operation is Operation.REPLACE and step.operation.is_part):
                row.step = step
            row.seconds = None

    def ends(self, step: Step, state: ResourceState | None) -> None:
        with self._lock:
            row = self._rows[step.urn]
            row.seconds = time.monotonic() - row.began
        if step.operation is Operation.REFRESH and state is not step.old:
            self._show_drift(step, state)
        if self._live is None and step.operation not in _QUIET and not urns.is_default_provider(step.urn):
            self._console.print(_line(row), soft_wrap=True)

    def fails(self, resource: ResourceState, cause: str) -> None:
        with self._lock:
            row = self._rows.setdefault(resource.urn, _Row(resource.urn, resource.parent))
            row.failed = True
            row.seconds = time.monotonic() - row.began
        message = f"error: {urns.describe(resource.urn)}: {cause}"
        self._console.print(Text(message, style="bold red"), soft_wrap=True)

    def says(self, severity: str, message: str, urn: str = "") -> None:  # noqa: ARG002 (an observer's signature)
        prefix = f"{severity}: " if severity in _MESSAGE_STYLES else ""
        self._console.print(Text(prefix + message, style=_MESSAGE_STYLES.get(severity, "")), soft_wrap=True)

    def _show_drift(self, step: Step, state: ResourceState | None) -> None:
        """Say what somebody changed or deleted. What the cloud itself keeps changing, such as counters, is no drift."""
        what = urns.describe(step.urn)
        if state is None:
            self.says("warning", f"{what} is gone: somebody deleted it.")
        elif lines := list(property_lines(Step(operation=Operation.UPDATE, old=step.old, new=state))):
            self.says("warning", f"{what} has drifted:")
            for line in lines:
                self.says("info", f"    {line.text}")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The tree as it is now, cut to what runs when it would not fit on the screen."""
        rows = self._notable_rows()
        if len(rows) + _SPARE_LINES > console.height:
            rows = self._with_parents(row for row in rows if row.running or row.failed)
        yield self._tree(rows[: max(console.height - _SPARE_LINES, 1)])
        done = sum(row.seconds is not None for row in self._rows.values())
        yield Text(f"{done} of {len(self._rows)} resources done", style="dim")

    def _notable_rows(self) -> list[_Row]:
        with self._lock:
            return self._with_parents(
                row for row in self._rows.values() if row.notable and not urns.is_default_provider(row.urn)
            )

    def _with_parents(self, rows: Iterable[_Row]) -> list[_Row]:
        """Rows and all that they hang under, parents first."""
        found: dict[str, _Row] = {}
        for row in rows:
            chain = [row]
            while chain[-1].parent in self._rows:
                chain.append(self._rows[chain[-1].parent])
            found |= {item.urn: item for item in reversed(chain) if item.urn not in found}
        return list(found.values())

    def _tree(self, rows: Iterable[_Row]) -> Tree:
        root = Tree("", hide_root=True, guide_style="dim")
        branches: dict[str, Tree] = {}
        for row in rows:
            branches[row.urn] = branches.get(row.parent, root).add(_line(row))
        return root


def print_summary(console: Console, report: Report, *, planned: bool) -> None:
    """How many resources the operation concerned; `planned` when it was a preview."""
    counts = report.journal.counts()
    words = {Operation.SAME: "unchanged", Operation.REFRESH: "without drift", Operation.READ: "read"}
    parts = []
    for operation, (symbol, style, _) in _STYLES.items():
        if count := counts.get(str(operation)):
            tense = f"to {operation}" if planned else f"{operation}d"
            parts.append(Text(f"{symbol} {count} {words.get(operation, tense)}".strip(), style=style))
    line = Text(", ").join(parts) if parts else Text("no resources")
    console.print(Text.assemble(line, (f"  ({report.duration:.1f} s)", "dim")))


def print_details(console: Console, report: Report) -> None:
    """Every property that changes, under its resource."""
    colours = {"+": "green", "-": "red", "~": "yellow"}
    for step in report.journal.steps:
        lines = [] if step.operation.is_part else list(property_lines(step))
        if lines or step.operation is Operation.DELETE:
            symbol, style, word = _STYLES[step.operation]
            console.print(Text(f"\n{symbol} {word} {urns.describe(step.urn)}", style=style))
        for line in lines:
            console.print(Text(f"    {line.text}", style=colours.get(line.mark, "")), soft_wrap=True)


def print_outputs(console: Console, outputs: Properties, *, show_secrets: bool = False) -> None:
    """What the program exports, as a table with a row for every leaf of a mapping; values stay whole, to be copied."""
    rows = list(_leaves("", reveal(outputs) if show_secrets else outputs))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        shown = value if isinstance(value, str) else show_value(value)
        console.print(Text.assemble((f"{name:{width}}  ", "bold"), shown), soft_wrap=True)


def _leaves(name: str, value: PropertyValue) -> Iterator[tuple[str, PropertyValue]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key in sorted(value):
        yield from _leaves(f"{name}.{key}" if name else key, value[key])


def _line(row: _Row) -> Text:
    """One resource: symbol, type and name, what is done to it, and how long that took."""
    step = row.step
    symbol, style, word = _STYLES[step.operation if step else Operation.SAME]
    parts: list[str | tuple[str, str]] = [
        (f"{symbol} ", style),
        urns.type_of(row.urn),
        (f" {urns.name_of(row.urn)}", "bold"),
    ]
    if row.failed:
        parts.append(("  failed", "bold red"))
    elif step is not None and (row.running or step.operation not in _QUIET):
        parts.append((f"  {word}{' ...' if row.running else ''}", style))
    if step is not None and (changed := changed_properties(step)):
        parts.append((f"  [{', '.join(changed)}]", "dim"))
    if row.seconds is not None and row.seconds >= _SHOWN_SECONDS:
        parts.append((f"  {row.seconds:.1f} s", "dim"))
    return Text.assemble(*parts)
