"""Steps: what the engine does to one resource, and the pure rules that decide which."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from sandbox.engine.lifecycle import Diff, PropertyDiff
from sandbox.engine.properties import parse_path, path_covers
from sandbox.engine.resource import ResourceState

_INIT_ERROR = "#initerror"


class Operation(str, Enum):
    """What a step does, in Pulumi's words."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    """Stands for a replacement as a whole; the next two are its parts."""
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    DELETE = "delete"
    READ = "read"
    REFRESH = "refresh"

    def __str__(self) -> str:
        return self.value

    @property
    def is_part(self) -> bool:
        """Whether it is part of a replacement, and so is neither counted nor listed by itself."""
        return self in (Operation.CREATE_REPLACEMENT, Operation.DELETE_REPLACED)


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One operation on one resource, as it was decided: `new` holds no outputs that the step will bring."""

    operation: Operation
    old: ResourceState | None = None
    new: ResourceState | None = None
    diff: Diff | None = None

    @property
    def resource(self) -> ResourceState:
        """The resource as it will be, or as it was if it goes."""
        resource = self.new or self.old
        if resource is None:
            raise ValueError("a step concerns a resource")
        return resource

    @property
    def urn(self) -> str:
        return self.resource.urn


def with_replace_on_changes(diff: Diff, paths: Sequence[str], *, incomplete: bool = False) -> Diff:
    """Apply the option `replace_on_changes`: a change at one of the paths (`*` is all) makes it a replacement.

    That the resource is `incomplete` counts as a change of `#initerror`, which is Pulumi's word for it.
    """
    if not paths or not (diff.changed or incomplete):
        return diff
    patterns = [parse_path(path) for path in paths]
    changes = dict(diff.detailed or {key: PropertyDiff("update") for key in diff.changed_keys})
    if incomplete and any(path_covers(pattern, parse_path(_INIT_ERROR)) for pattern in patterns):
        changes[_INIT_ERROR] = PropertyDiff("update")
    forced = []
    for path, change in changes.items():
        keys = parse_path(path)
        if any(path_covers(pattern, keys) for pattern in patterns):
            forced.append(str(keys[0]))
            if not change.kind.endswith("-replace"):
                changes[path] = replace(change, kind=f"{change.kind}-replace")
    if not forced:
        return diff
    return replace(
        diff,
        changed=True,
        replace_keys=tuple(dict.fromkeys([*diff.replace_keys, *forced])),
        detailed=changes if diff.detailed else diff.detailed,
    )


def deletion_waves(states: Iterable[ResourceState]) -> list[list[ResourceState]]:
    """Order deletions: dependents before what they depend on. The resources within a wave are independent."""
    remaining = list(states)
    waves: list[list[ResourceState]] = []
    while remaining:
        needed = set().union(*(state.depends_on() - {state.urn} for state in remaining))
        wave = [state for state in remaining if state.urn not in needed]
        if not wave:  # a damaged state may hold a cycle: going one by one beats going on forever
            wave = [remaining[-1]]
        waves.append(wave)
        taken = set(wave)
        remaining = [state for state in remaining if state not in taken]
    return waves
