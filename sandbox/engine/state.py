"""The state of a stack: a Pulumi deployment in a file, saved whole and durably after every step.

Its format is version 3, or 4 where resources have hooks: that is how Pulumi keeps a CLI which knows none away from it.

`pulumi stack import --file` reads the file, and `pulumi stack export` writes what this module reads. Saving stays cheap
with many resources: the JSON text of a resource is written once while it does not change, each secret keeps its
ciphertext while its value does not change, and steps that run at the same time share one write.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sandbox.engine.encryption import Crypter
from sandbox.engine.errors import EngineError
from sandbox.engine.resource import ResourceState, from_json, now, to_json
from sandbox.values import PropertyValue

FORMAT_VERSION = 3
_FEATURES_VERSION = 4  # the same, with the features named that a reader must know
_HOOKS = "hooks"
# Which release of Pulumi's state format is written; Pulumi checks that `magic` is the SHA-256 of this text.
ENGINE_VERSION = "v3.260.0"


@dataclass(frozen=True, eq=False)
class PendingOperation:
    """A step that was begun. Found in a loaded state, it tells that the engine died before it knew the outcome."""

    kind: str  # creating | updating | deleting
    resource: ResourceState


class StateFile:
    """Where one stack's state is kept."""

    def __init__(self, path: Path, passphrase: str, *, salt_text: str | None = None) -> None:
        """`salt_text` is the stack settings' `encryptionsalt`: a new state begins with it, an old one keeps its own."""
        self.path = path
        self._lent = path.with_suffix(".lent")
        self._passphrase = passphrase
        self._salt_text = salt_text
        self._crypter: Crypter | None = None
        self._ciphertexts: dict[tuple[str, str], str] = {}
        self._texts: WeakKeyDictionary[ResourceState, str] = WeakKeyDictionary()

    def load(self) -> tuple[list[ResourceState], list[PendingOperation]]:
        """Read the resources in their order and the operations that were left over; both empty before a first save."""
        if self.lent:
            raise EngineError(
                "The pulumi CLI has the state of this stack; with `pulumi` on PATH it comes back by itself."
            )
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return [], []
        try:
            deployment = self._deployment(json.loads(text))
            resources = [self._read(data) for data in deployment.get("resources") or []]
            operations = deployment.get("pending_operations") or []
            pending = [PendingOperation(data["type"], self._read(data["resource"])) for data in operations]
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"The state {self.path} cannot be read: {error}.") from error
        return resources, pending

    def save(self, resources: Sequence[ResourceState], pending: Iterable[PendingOperation]) -> None:
        """Replace the file in one step: after a crash it holds either the old state or the new one."""
        self._write(self.render(resources, pending))

    @property
    def lent(self) -> bool:
        """Whether the pulumi CLI has the state. The file, where there is one, counts: a move may die halfway."""
        return self._lent.exists() and not self.path.exists()

    def lend(self) -> None:
        """Leave the state to the pulumi CLI, which has a copy: until `take_back` it is not to be had here."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lent.touch()
        self.path.unlink(missing_ok=True)

    def take_back(self, text: str) -> None:
        """Go on from what the pulumi CLI made of the state: a deployment as `pulumi stack export` writes it."""
        self._write(text)
        self._lent.unlink()

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the rename itself must survive a power cut too
        finally:
            os.close(directory)

    def render(self, resources: Sequence[ResourceState], pending: Iterable[PendingOperation]) -> str:
        """The file's text, one line a resource."""
        manifest = {
            "time": now(),
            "magic": hashlib.sha256(ENGINE_VERSION.encode()).hexdigest(),
            "version": ENGINE_VERSION,
        }
        secrets_provider = {"type": "passphrase", "state": {"salt": self._open_crypter().salt_text}}
        parts = [
            f'"manifest": {json.dumps(manifest)}',
            f'"secrets_providers": {json.dumps(secrets_provider)}',
            f'"resources": {_render_list(self._text(resource) for resource in resources)}',
        ]
        if operations := [
            f'{{"type": {json.dumps(operation.kind)}, "resource": {self._text(operation.resource)}}}'
            for operation in pending
        ]:
            parts.append(f'"pending_operations": {_render_list(operations)}')
        parts.append('"metadata": {}')
        body = ",\n    ".join(parts)
        version = f'"version": {FORMAT_VERSION}'
        if any(resource.resource_hooks for resource in resources):
            version = f'"version": {_FEATURES_VERSION},\n  "features": {json.dumps([_HOOKS])}'
        return f'{{\n  {version},\n  "deployment": {{\n    {body}\n  }}\n}}\n'

    def same(self, before: Iterable[ResourceState], after: Iterable[ResourceState]) -> bool:
        """Whether two sets of resources are written alike, whatever their order."""
        return sorted(map(self._text, before)) == sorted(map(self._text, after))

    def _deployment(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        if data["version"] not in (FORMAT_VERSION, _FEATURES_VERSION):
            raise ValueError(f"its format is version {data['version']}, this engine reads version {FORMAT_VERSION}")
        if unknown := set(data.get("features") or ()) - {_HOOKS}:
            raise ValueError(f"it uses {', '.join(sorted(unknown))}, which this engine does not support")
        deployment: Mapping[str, Any] = data["deployment"]
        provider = deployment.get("secrets_providers") or {}
        if provider:
            if provider["type"] != "passphrase":
                raise ValueError(f"its secrets provider is {provider['type']!r}, this engine reads 'passphrase'")
            self._crypter = Crypter(self._passphrase, provider["state"]["salt"])
        return deployment

    def _read(self, data: Mapping[str, Any]) -> ResourceState:
        def unseal(ciphertext: str) -> PropertyValue:
            value = json.loads(self._open_crypter().decrypt(ciphertext))
            self._ciphertexts[data["urn"], json.dumps(value, sort_keys=True)] = ciphertext
            return value

        return from_json(data, unseal)

    def _text(self, resource: ResourceState) -> str:
        if resource not in self._texts:

            def seal(value: PropertyValue) -> str:
                key = resource.urn, json.dumps(value, sort_keys=True)
                if key not in self._ciphertexts:
                    self._ciphertexts[key] = self._open_crypter().encrypt(key[1])
                return self._ciphertexts[key]

            self._texts[resource] = json.dumps(to_json(resource, seal), ensure_ascii=False)
        return self._texts[resource]

    def _open_crypter(self) -> Crypter:
        if self._crypter is None:
            salt = self._salt_text
            self._crypter = Crypter(self._passphrase, salt) if salt else Crypter.create(self._passphrase)
        return self._crypter


def _render_list(items: Iterable[str]) -> str:
    return "[\n" + ",\n".join(f"      {item}" for item in items) + "\n    ]"


class Snapshot:
    """The state of a stack while an operation changes it. Safe to use from several threads.

    Resources that the program has registered come first, in the order in which they were ready, so that everything
    stands after what it depends on; what the program has not mentioned yet follows in its old order.
    """

    def __init__(
        self, file: StateFile | None, resources: Iterable[ResourceState], pending: Iterable[PendingOperation] = ()
    ) -> None:
        """Without a `file`, as in a preview, nothing is ever saved."""
        self._file = file
        self._ready: dict[str, ResourceState] = {}
        self._rest = dict.fromkeys(resources)  # as an ordered set: a state is its own key
        self._pending = dict.fromkeys(pending)
        self._changes = 0
        self._saved_changes = 0
        self._lock = threading.Lock()
        self._save_lock = threading.Lock()

    def resources(self) -> list[ResourceState]:
        with self._lock:
            return [*self._ready.values(), *self._rest]

    def unmentioned(self) -> list[ResourceState]:
        """What the program has not registered, and what it replaced: all that a finished program leaves to delete."""
        with self._lock:
            return list(self._rest)

    def find(self, urn: str) -> ResourceState | None:
        """The old resource of that name which is in use: not one that merely waits for its deletion."""
        with self._lock:
            return next((state for state in self._rest if state.urn == urn and not state.delete), None)

    def ready(self, urn: str) -> ResourceState | None:
        """The resource as registered in this operation."""
        with self._lock:
            return self._ready.get(urn)

    def begin(self, kind: str, resource: ResourceState) -> PendingOperation:
        """Record, durably, that a step starts: if the engine dies in it, the next operation knows."""
        operation = PendingOperation(kind, resource)
        with self._lock:
            stale = [other for other in self._pending if other.resource.urn == resource.urn]
            for other in stale:
                del self._pending[other]
            self._pending[operation] = None
            self._changes += 1
        self.commit()
        return operation

    def end(self, operation: PendingOperation) -> None:
        with self._lock:
            self._pending.pop(operation, None)
            self._changes += 1

    def forget_pending(self) -> None:
        """Drop what earlier operations left over."""
        with self._lock:
            self._changes += bool(self._pending)
            self._pending.clear()

    def put(self, new: ResourceState, *, instead_of: ResourceState | None = None) -> None:
        """Set a registered resource, and drop the old one that it continues."""
        with self._lock:
            if instead_of is not None:
                self._rest.pop(instead_of, None)
            self._ready[new.urn] = new
            self._changes += 1

    def swap(self, old: ResourceState, new: ResourceState | None) -> None:
        """Change an unmentioned resource in its place, or drop it."""
        with self._lock:
            states = [new if state is old else state for state in self._rest]
            self._rest = dict.fromkeys(state for state in states if state is not None)
            self._changes += 1

    def commit(self) -> None:
        """Return when everything that was changed before this call is on disk.

        Callers that wait while another one writes are served together by the next write.
        """
        if self._file is None:
            return
        with self._lock:
            wanted = self._changes
        with self._save_lock:
            if self._saved_changes >= wanted:
                return
            with self._lock:
                changes, pending = self._changes, list(self._pending)
                resources = [*self._ready.values(), *self._rest]
            self._file.save(resources, pending)
            self._saved_changes = changes
