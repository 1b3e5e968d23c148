"""Operations on a stack: preview, update and destroy, each whole.

This is an engine for the sandbox alone. Any other stack is for the pulumi CLI.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.engine import urn as urns
from sandbox.engine.config import Project, StackConfig, read_project, read_stack_config
from sandbox.engine.deletion import delete_leftovers
from sandbox.engine.deployment import Deployment, Observer
from sandbox.engine.encryption import read_passphrase
from sandbox.engine.errors import CancelledError, EngineError
from sandbox.engine.interrupt import on_interrupt
from sandbox.engine.journal import Journal
from sandbox.engine.lock import stack_lock
from sandbox.engine.monitor import Engine, Monitor, serving
from sandbox.engine.program import Program
from sandbox.engine.providers import ProviderRegistry
from sandbox.engine.refresh import refresh
from sandbox.engine.state import PendingOperation, Snapshot, StateFile
from sandbox.values import Properties

SANDBOX_STACK = "sandbox"


@dataclass(frozen=True)
class Stack:
    """A stack opened for operations.

    `data` is the sandbox's directory; `ports` tells where each package's provider listens on this machine;
    `environment` is what the program inherits.
    """

    name: str
    project: Project
    config: StackConfig
    data: Path
    passphrase: str = field(repr=False)
    file: StateFile
    ports: Mapping[str, int]
    environment: Mapping[str, str]

    @property
    def root_urn(self) -> str:
        name = f"{self.project.name}-{self.name}"
        return urns.make(
            stack=self.name, project=self.project.name, parent="", resource_type=urns.STACK_TYPE, name=name
        )

    def outputs(self, file: StateFile) -> Properties:
        """What the program exported when it was last deployed, by the state in that file."""
        resources, _ = file.load()
        return next((state.outputs for state in resources if state.urn == self.root_urn), {})


@dataclass(frozen=True)
class Report:
    """How an operation went. `unchanged` means that a deployment would leave the state exactly as it is."""

    ok: bool
    interrupted: bool
    unchanged: bool
    duration: float
    journal: Journal
    outputs: Properties


def open_stack(
    name: str, *, project_root: Path, data: Path, ports: Mapping[str, int], environment: Mapping[str, str]
) -> Stack:
    """Open a stack whose state lies under the directory `data`. Raises EngineError for any stack but the sandbox's."""
    if name != SANDBOX_STACK:
        raise EngineError(
            f"The embedded engine deploys the stack {SANDBOX_STACK!r} only, to the sandbox on this machine. "
            f"For the stack {name!r} use the pulumi CLI: `pulumi up --stack {name}`."
        )
    project = read_project(project_root)
    passphrase = read_passphrase(environment, data / "passphrase")
    config = read_stack_config(project, name, passphrase)
    path = data / "state" / project.name / f"{name}.json"
    file = StateFile(path, passphrase, salt_text=config.encryption_salt)
    return Stack(name, project, config, data, passphrase, file, ports, environment)


def preview(stack: Stack, display: Observer, *, with_refresh: bool = False) -> Report:
    """Run the program to see what an update would do. Nothing changes, neither in the cloud nor in the state."""
    with _opened(stack, display, preview=True) as run:
        if with_refresh or stack.project.refreshes:
            run.refresh()
        run.deploy()
    return run.report()


def update(stack: Stack, display: Observer, *, with_refresh: bool = False) -> Report:
    """Deploy the program."""
    with _locked(stack, display), _opened(stack, display, preview=False) as run:
        if with_refresh or stack.project.refreshes:
            run.refresh()
        run.deploy()
    return run.report()


def destroy(stack: Stack, display: Observer) -> Report:
    """Delete everything in the stack. The program runs only if it has hooks on what is deleted."""
    with _locked(stack, display), _opened(stack, display, preview=False, destroying=True) as run:
        if stack.project.refreshes:
            run.refresh()
        run.destroy()
    return run.report()


class _Run:
    """One operation under way."""

    def __init__(self, stack: Stack, journal: Journal, *, preview: bool, destroying: bool) -> None:
        self._stack = stack
        self._journal = journal
        self._started = time.monotonic()
        self._before, self._pending = stack.file.load()
        self._snapshot = Snapshot(None if preview else stack.file, self._before, self._pending)
        self._providers = ProviderRegistry(stack.ports, self._before)
        self._deployment = Deployment(
            snapshot=self._snapshot,
            providers=self._providers,
            observer=journal,
            preview=preview,
            destroying=destroying,
        )
        self._program: Program | None = None
        self._ok = True
        for operation in self._pending:
            journal.says("warning", _found_pending(operation), operation.resource.urn)

    def interrupt(self) -> None:
        self._journal.says("warning", "Interrupted: waiting for the steps under way. Again to stop at once.")
        self._deployment.cancel()
        if self._program is not None:
            self._program.terminate()

    def refresh(self) -> None:
        refresh(self._deployment, self._journal)

    def destroy(self) -> None:
        """Delete everything, with the program beside it if a resource has one of its hooks."""
        if any(state.resource_hooks for state in self._before):
            self.deploy()
        else:
            self.delete_leftovers()

    def deploy(self) -> None:
        """Run the program, then delete what it no longer has, unless something failed."""
        engine = Engine(self._journal, self._deployment)
        monitor = Monitor(self._deployment, self._stack.project, self._stack.name, self._stack.config)
        with serving(monitor, engine) as address:
            self._program = Program(
                self._stack.project,
                self._stack.name,
                self._stack.config,
                environment=self._stack.environment,
                monitor=address,
                preview=self._deployment.preview,
                says=lambda line: self._journal.says("info", line),
            )
            try:
                self._hear(self._program.wait_until(monitor.program_done), engine)
                if skipped := self._deployment.skipped:
                    self._journal.says("warning", f"{skipped} more were left alone, since they depend on what failed.")
                self.delete_leftovers()  # the program is still there, since what is deleted may have hooks
                monitor.release_program()
                self._hear(self._program.wait(), engine)
            finally:
                monitor.release_program()
                self._program.stop()

    def _hear(self, code: int | None, engine: Engine) -> None:
        """Take note of how the program did; without an exit code it is done, and waits."""
        self._deployment.drain()
        self._deployment.check_running()
        if code and self._ok:
            self._ok = False
            if not engine.reported_errors:
                self._journal.says("error", f"The program ended with exit code {code}; what it printed says why.")

    def delete_leftovers(self) -> None:
        if self._ok and not self._deployment.failures:
            delete_leftovers(self._deployment)

    def close(self) -> None:
        """Save what is there, however the operation went."""
        self._deployment.drain()
        if self.succeeded:
            self._snapshot.forget_pending()
        self._snapshot.commit()
        self._providers.close()

    @property
    def succeeded(self) -> bool:
        return self._ok and not self._deployment.failures and not self._deployment.cancelled

    def report(self) -> Report:
        after = self._snapshot.resources()
        root = next((state for state in after if state.urn == self._stack.root_urn), None)
        return Report(
            ok=self.succeeded,
            interrupted=self._deployment.cancelled,
            unchanged=self.succeeded and not self._pending and self._stack.file.same(self._before, after),
            duration=time.monotonic() - self._started,
            journal=self._journal,
            outputs=root.outputs if root else {},
        )


@contextmanager
def _opened(stack: Stack, display: Observer, *, preview: bool, destroying: bool = False) -> Iterator[_Run]:
    run = _Run(stack, Journal(display), preview=preview, destroying=destroying)
    with on_interrupt(run.interrupt):
        try:
            yield run
        except CancelledError:
            pass  # the report says so
        finally:
            run.close()


@contextmanager
def _locked(stack: Stack, display: Observer) -> Iterator[None]:
    def notice(text: str) -> None:
        display.says("warning", text)

    with stack_lock(stack.file.path.with_suffix(".lock"), notice=notice):
        yield


def _found_pending(operation: PendingOperation) -> str:
    what = urns.describe(operation.resource.urn)
    found = f"An earlier operation died while {operation.kind} {what}; how that ended is unknown."
    if operation.kind == "creating":
        return (
            f"{found} It will be created anew. If that fails because it exists, delete the left-over one by hand, or "
            "begin with an empty sandbox."
        )
    return f"{found} It will be tried again."
