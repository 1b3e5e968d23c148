"""Notes of resources that are being created: one private file each, removed when the engine has the answer.

The services carry out a request that they had noted before they were killed, but the engine then takes the step as
failed. The notes that are left say which resources may exist without a record.
"""

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sandbox.services.document import write_private
from sandbox.values import Properties, to_exported


@dataclass(frozen=True)
class Intents:
    """The notes of the sandbox whose data is in `data`."""

    data: Path

    def note(self, *, urn: str, type_: str, provider: str, inputs: Properties) -> Callable[[], None]:
        """Note a resource that is created now; the result removes the note. `provider` is its provider's URN.

        The inputs are in the form of an exported state. Secrets stay in them, since they tell this resource from
        somebody else's: the services, which keep them too, have their files beside this one.
        """
        path = self._folder / f"{secrets.token_hex(8)}.json"
        resource = {"urn": urn, "type": type_, "provider": provider, "inputs": to_exported(inputs)}
        write_private(path, json.dumps(resource))
        return partial(path.unlink, missing_ok=True)

    def left(self, urns: str) -> dict[Path, dict[str, Any]]:
        """The notes of a stack, the oldest first; its URNs begin with `urns`."""
        notes = []
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError):  # its answer arrives now
                notes.append((path.stat().st_mtime_ns, path, json.loads(path.read_text(encoding="utf-8"))))
        notes.sort(key=lambda each: each[:2])
        return {path: note for _, path, note in notes if note["urn"].startswith(urns)}

    def forget_drafts(self) -> None:
        """Remove the notes that killed providers had not written to their end: they had not begun to create."""
        for draft in self._folder.glob("*.new"):
            draft.unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return self.data / "creating"
