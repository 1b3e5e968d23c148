"""A deployment: brings the resources that the program registers to where the program wants them.

Registrations come from several threads at once, each after everything it depends on is ready, so the program itself
gives the order. A preview takes the same way, except that providers only predict and nothing is saved.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar

from sandbox.engine import urn as urns
from sandbox.engine.errors import CancelledError, EngineError, StepError
from sandbox.engine.hooks import Hooks
from sandbox.engine.lifecycle import NO_DIFF, Diff, Found
from sandbox.engine.properties import mark_secret_keys, reset_ignored
from sandbox.engine.providers import ProviderRegistry
from sandbox.engine.resource import ResourceState, now
from sandbox.engine.state import Snapshot
from sandbox.engine.steps import Operation, Step, with_replace_on_changes
from sandbox.engine.urn import ProviderReference
from sandbox.values import UNKNOWN, Properties, contains_unknown

PARALLEL_STEPS = 8

_Outcome = TypeVar("_Outcome", bound=ResourceState | None)


class Result(Enum):
    """How a registration ended. A skipped resource depends on one that failed."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Observer(Protocol):
    """Hears what a deployment does, from several threads."""

    def begins(self, step: Step) -> None: ...

    def ends(self, step: Step, state: ResourceState | None) -> None:
        """The step is done; `state` is the resource now, or None when it is gone."""

    def fails(self, resource: ResourceState, cause: str) -> None: ...

    def says(self, severity: str, message: str, urn: str = "") -> None:
        """A message from the program or the engine; severity is debug, info, warning or error."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What the program wants of a resource. `delete_before_replace` of None leaves the choice to the provider."""

    state: ResourceState
    aliases: tuple[str, ...] = ()
    delete_before_replace: bool | None = None


class Deployment:
    """One run over a stack's resources, in a preview or for real."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        providers: ProviderRegistry,
        observer: Observer,
        preview: bool,
        destroying: bool = False,
    ) -> None:
        """While `destroying`, the program runs for its hooks alone: what it registers is what there is."""
        self.snapshot = snapshot
        self.providers = providers
        self.preview = preview
        self.hooks = Hooks()
        self._destroying = destroying
        self._observer = observer
        self._slots = threading.BoundedSemaphore(PARALLEL_STEPS)
        self._lock = threading.Lock()
        self._registered: set[str] = set()
        self._failed: set[str] = set()
        self._aliased: dict[str, str] = {}
        self._cancelled = threading.Event()
        self._superseded: set[ResourceState] = set()
        self.failures = 0
        self.skipped = 0

    def cancel(self) -> None:
        """Begin no further step. Steps that run go on to their end."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def is_superseded(self, state: ResourceState) -> bool:
        """Whether this deployment has replaced the resource, and not an earlier one that could not delete it."""
        return state in self._superseded

    def check_running(self) -> None:
        if self.cancelled:
            raise CancelledError

    def drain(self) -> None:
        """Return when no step is under way."""
        for _ in range(PARALLEL_STEPS):
            self._slots.acquire()
        for _ in range(PARALLEL_STEPS):
            self._slots.release()

    def fail(self, resource: ResourceState, cause: str) -> None:
        """Give a resource up. What depends on it is skipped, the rest goes on."""
        with self._lock:
            self.failures += 1
            self._failed.add(resource.urn)
        self._observer.fails(resource, cause)

    def refuse(self, resource: ResourceState, cause: str) -> None:
        """Fail a step that must not be done. A preview goes on, to show what would have been done."""
        if not self.preview:
            raise StepError(cause)
        with self._lock:
            self.failures += 1
        self._observer.fails(resource, cause)

    def register(self, goal: Goal) -> tuple[Result, ResourceState]:
        """Bring one resource to its goal. Raises CancelledError, and nothing else, if it was not tried."""
        self.check_running()
        new = goal.state
        if self._destroying:
            old = self._find_old(goal)
            return (Result.DONE, old) if old else (Result.SKIPPED, new)
        with self._lock:
            if new.urn in self._registered:
                duplicate = True
            else:
                duplicate = False
                self._registered.add(new.urn)
            skipped = bool(new.depends_on() & self._failed)
            if skipped:
                self._failed.add(new.urn)
                self.skipped += 1
        if skipped:
            return Result.SKIPPED, new
        with self._slots:
            self.check_running()
            try:
                if duplicate:
                    raise StepError("the program registers this name twice; give one of the two another name")
                return Result.DONE, self._advance(goal)
            except EngineError as error:
                self.fail(new, str(error))
                return Result.FAILED, new

    def read(self, wanted: ResourceState) -> ResourceState:
        """Look up a resource that someone else manages. Raises StepError if there is none."""
        self.check_running()
        with self._slots:
            step = Step(operation=Operation.READ, old=self.snapshot.find(wanted.urn), new=wanted)
            self._observer.begins(step)
            if wanted.id == UNKNOWN.value:
                return wanted
            found = self.providers.of(wanted).read(wanted)
            if found is None:
                raise StepError(f"there is no {urns.describe(wanted.urn)} with the id {wanted.id!r}")
            state = replace(wanted, id=found.id, outputs=found.outputs, init_errors=found.init_errors)
            if not self._destroying:
                self.snapshot.put(state, instead_of=step.old)
            _check_whole(state)
            self._observer.ends(step, state)
            return state

    def set_outputs(self, urn: str, outputs: Properties) -> None:
        """Record the outputs that a component declares."""
        self.check_running()
        if self._destroying:
            return
        state = self.snapshot.ready(urn)
        if state is None:
            raise EngineError(f"Outputs were declared for {urn}, which is not registered.")
        known = {key: value for key, value in outputs.items() if self.preview or not contains_unknown(value)}
        self.snapshot.put(replace(state, outputs=known))

    def perform(self, step: Step, work: Callable[[], _Outcome], pending: tuple[str, ResourceState]) -> _Outcome:
        """Do a step's work between its announcement and its record; `pending` is what a crash in between leaves.

        Raises StepError, after the record, if the resource exists now but is not as it should be.
        """
        self._observer.begins(step)
        operation = None if self.preview else self.snapshot.begin(*pending)
        try:
            state = work()
        finally:
            if operation is not None:
                self.snapshot.end(operation)
        self.snapshot.commit()
        if state is not None:
            _check_whole(state)
        self._observer.ends(step, state)
        return state

    def delete(self, state: ResourceState) -> None:
        """Delete a resource from the cloud, when its hooks have let it go."""
        try:
            self.hooks.before_delete(state)
        except StepError:
            self.check_running()  # an interrupted program answers no more, which is not the hook's failure
            raise
        if state.custom and not state.retain_on_delete:
            self.providers.of(state).delete(state)

    def _advance(self, goal: Goal) -> ResourceState:
        old = self._find_old(goal)
        new = goal.state
        if old is not None:
            new = replace(new, created=old.created, modified=old.modified)
        if not new.custom:
            return self._advance_component(old, new)
        if old is None or old.external:
            return self._create(self._checked(new, {}), instead_of=old)
        if old.pending_replacement:
            return self._recreate(old, self._checked(new, {}), NO_DIFF)
        wanted = replace(new, inputs=reset_ignored(new.inputs, old.inputs, new.ignore_changes))
        checked = self._checked(wanted, old.inputs)
        diff = self.diff(old, checked)
        if not diff.changed and not old.init_errors:
            return self._keep(old, checked)
        if not diff.replaces:
            return self._update(old, checked, diff)
        if old.protect and new.protect:
            self.refuse(
                new,
                f"a change of {', '.join(diff.replace_keys)} replaces it, but it is protected; "
                "take `protect` off it and deploy that first",
            )
        fresh = self._checked(new, {})  # a replacement begins anew: generated names, and nothing to ignore yet
        delete_first = goal.delete_before_replace
        if diff.delete_before_replace if delete_first is None else delete_first:
            return self._delete_then_create(old, fresh, diff)
        return self._create_then_delete(old, fresh, diff)

    def _find_old(self, goal: Goal) -> ResourceState | None:
        for urn in (goal.state.urn, *goal.aliases):
            old = self.snapshot.find(urn)
            if old is not None:
                if urn != goal.state.urn:
                    with self._lock:
                        self._aliased[urn] = goal.state.urn
                return old
        return None

    def _checked(self, new: ResourceState, old_inputs: Properties) -> ResourceState:
        inputs, failures = self.providers.of(new).check(new.urn, old_inputs, new.inputs)
        if failures:
            raise StepError("; ".join(str(failure) for failure in failures))
        return replace(new, inputs=inputs)

    def diff(self, old: ResourceState, new: ResourceState) -> Diff:
        if self._provider_changed(old, new):
            return Diff(changed=True, replace_keys=("provider",))
        diff = self.providers.of(new).diff(old, new)
        return with_replace_on_changes(diff, new.replace_on_changes, incomplete=bool(old.init_errors))

    def _provider_changed(self, old: ResourceState, new: ResourceState) -> bool:
        """Whether another provider takes over that cannot go on with the old one's resources, by its own word."""
        if old.provider == new.provider or urns.is_provider(new.type):
            return False
        if not old.provider:  # it was a component
            return True
        before, after = ProviderReference.parse(old.provider), ProviderReference.parse(new.provider)
        if self._aliased.get(before.urn) == after.urn:
            return False
        successor = self.snapshot.ready(after.urn)
        return successor is None or self.providers.diff(self.providers.state(before), successor).replaces

    def _advance_component(self, old: ResourceState | None, new: ResourceState) -> ResourceState:
        if old is None:
            step = Step(operation=Operation.CREATE, new=new)
            new = replace(new, created=(time := now()), modified=time)
        elif old.inputs != new.inputs:
            step = Step(operation=Operation.UPDATE, old=old, new=new, diff=Diff(changed=True))
            new = replace(new, outputs=old.outputs, modified=now())
        else:
            step = Step(operation=Operation.SAME, old=old, new=new)
            new = replace(new, outputs=old.outputs)
        self._observer.begins(step)
        self.snapshot.put(new, instead_of=old)
        self._observer.ends(step, new)
        return new

    def _keep(self, old: ResourceState, new: ResourceState) -> ResourceState:
        step = Step(operation=Operation.SAME, old=old, new=new)
        self._observer.begins(step)
        kept = replace(new, id=old.id, outputs=mark_secret_keys(old.outputs, new.additional_secret_outputs))
        if urns.is_provider(new.type):
            self.providers.use(ProviderReference(new.urn, old.id), new.inputs)
        self.snapshot.put(kept, instead_of=old)
        self._observer.ends(step, kept)
        return kept

    def _update(self, old: ResourceState, new: ResourceState, diff: Diff) -> ResourceState:
        def work() -> ResourceState:
            found = self.providers.of(new).update(old, new, preview=self.preview)
            updated = replace(_as_found(new, found), modified=now())
            self.snapshot.put(updated, instead_of=old)
            return updated

        step = Step(operation=Operation.UPDATE, old=old, new=new, diff=diff)
        return self.perform(step, work, pending=("updating", old))

    def _create(
        self,
        new: ResourceState,
        *,
        instead_of: ResourceState | None = None,
        supersedes: ResourceState | None = None,
        part_of: Diff | None = None,
    ) -> ResourceState:
        """Create a resource. It takes the place of one that is gone, or leaves one behind that is to be deleted."""

        def work() -> ResourceState:
            found = self.providers.of(new).create(new, preview=self.preview)
            created = replace(_as_found(new, found), created=(time := now()), modified=time)
            self.snapshot.put(created, instead_of=instead_of)
            if supersedes is not None:
                marked = replace(supersedes, delete=True)
                self.snapshot.swap(supersedes, marked)
                self._superseded.add(marked)
            return created

        operation = Operation.CREATE if part_of is None else Operation.CREATE_REPLACEMENT
        return self.perform(Step(operation=operation, new=new, diff=part_of), work, pending=("creating", new))

    def _create_then_delete(self, old: ResourceState, new: ResourceState, diff: Diff) -> ResourceState:
        """The old one is deleted when the program has ended and everything has moved to the new one."""
        created = self._create(new, supersedes=old, part_of=diff)
        self._replaced(replace(old, delete=True), created, diff)
        return created

    def _delete_then_create(self, old: ResourceState, new: ResourceState, diff: Diff) -> ResourceState:
        for dependent in reversed(self._replaced_with(old)):
            if dependent.protect:
                self.refuse(
                    old,
                    f"its replacement needs {urns.describe(dependent.urn)} deleted, which is protected; "
                    "take `protect` off it and deploy that first",
                )
            self._delete_replaced(dependent)
        return self._recreate(self._delete_replaced(old), new, diff)

    def _recreate(self, old: ResourceState, new: ResourceState, diff: Diff) -> ResourceState:
        self._replaced(old, new, diff)
        return self._create(new, instead_of=old, part_of=diff)

    def _delete_replaced(self, old: ResourceState) -> ResourceState:
        """Delete a resource that is to come back. Until it does, the state remembers that it is gone."""
        gone = replace(old, pending_replacement=True)

        def work() -> None:
            if not self.preview:
                self.delete(old)
            self.snapshot.swap(old, gone)

        self.perform(Step(operation=Operation.DELETE_REPLACED, old=old), work, pending=("deleting", old))
        return gone

    def _replaced_with(self, root: ResourceState) -> list[ResourceState]:
        """Which dependents must go before `root` can: those that its new, yet unknown properties would replace."""
        condemned = {root.urn}
        found = []
        for state in self.snapshot.unmentioned():
            if not state.custom or state.external or state.pending_replacement or not state.depends_on() & condemned:
                continue
            inputs = {
                key: UNKNOWN if condemned.intersection(state.property_dependencies.get(key, ())) else value
                for key, value in state.inputs.items()
            }
            by_provider = ProviderReference.parse(state.provider).urn in condemned
            changes = inputs != state.inputs
            if by_provider or (changes and self.diff(state, replace(state, inputs=inputs)).replaces):
                condemned.add(state.urn)
                found.append(state)
        return found

    def _replaced(self, old: ResourceState, new: ResourceState, diff: Diff) -> None:
        step = Step(operation=Operation.REPLACE, old=old, new=new, diff=diff)
        self._observer.begins(step)
        self._observer.ends(step, new)


def _as_found(new: ResourceState, found: Found) -> ResourceState:
    outputs = mark_secret_keys(found.outputs, new.additional_secret_outputs)
    return replace(new, id=found.id, outputs=outputs, init_errors=found.init_errors)


def _check_whole(state: ResourceState) -> None:
    if state.init_errors:
        raise StepError("; ".join(state.init_errors))
