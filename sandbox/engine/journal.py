"""What an operation did: every step and message in order, kept for the summary and the JSON preview."""

import threading
from collections import Counter
from dataclasses import dataclass

from sandbox.engine import urn as urns
from sandbox.engine.deployment import Observer
from sandbox.engine.resource import ResourceState
from sandbox.engine.steps import Operation, Step


@dataclass(frozen=True)
class Message:
    """A message to the user; `urn` names the resource it is about, if any."""

    severity: str
    text: str
    urn: str = ""


class Journal:
    """Records what it hears and passes it on to a display. Safe to use from several threads."""

    def __init__(self, display: Observer) -> None:
        self._display = display
        self._lock = threading.Lock()
        self.steps: list[Step] = []
        self.messages: list[Message] = []

    def begins(self, step: Step) -> None:
        with self._lock:
            self.steps.append(step)
        self._display.begins(step)

    def ends(self, step: Step, state: ResourceState | None) -> None:
        self._display.ends(step, state)

    def fails(self, resource: ResourceState, cause: str) -> None:
        with self._lock:
            self.messages.append(Message("error", f"{urns.describe(resource.urn)}: {cause}", resource.urn))
        self._display.fails(resource, cause)

    def says(self, severity: str, message: str, urn: str = "") -> None:
        if severity == "debug":
            return
        with self._lock:
            self.messages.append(Message(severity, message, urn))
        self._display.says(severity, message, urn)

    def counts(self) -> dict[str, int]:
        """How many resources each operation concerned: refreshes and the engine's own default providers left out."""
        counted = Counter(
            str(step.operation)
            for step in self.steps
            if not step.operation.is_part
            and step.operation is not Operation.REFRESH
            and not urns.is_default_provider(step.urn)
        )
        return dict(sorted(counted.items()))

    @property
    def changes(self) -> bool:
        return any(step.operation not in (Operation.SAME, Operation.REFRESH, Operation.READ) for step in self.steps)


class Silence:
    """A display that shows nothing."""

    def begins(self, step: Step) -> None: ...

    def ends(self, step: Step, state: ResourceState | None) -> None: ...

    def fails(self, resource: ResourceState, cause: str) -> None: ...

    def says(self, severity: str, message: str, urn: str = "") -> None: ...
