"""Changes grouped by component, so that a reviewer sees what each change is for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from delivery.preview import Change, name_of, qualified_type_of, type_of

_STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Component:
    """A component of the program and the changes in it.

    `name` is empty if the preview has only the type: it lists only resources that change, each with its parent.
    """

    type: str
    name: str
    changes: tuple[Change, ...]


def by_component(changes: Sequence[Change]) -> list[Component]:
    """Group the changes by their innermost component, in the order in which components first appear."""
    tree = _Tree(changes)
    groups: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        groups[tree.component_of(change)].append(change)
    return [
        Component(type=token, name=name, changes=tuple(sorted(found, key=_after_component)))
        for (token, name), found in groups.items()
    ]


def _after_component(change: Change) -> bool:
    return not change.is_component


class _Tree:
    def __init__(self, changes: Iterable[Change]) -> None:
        self._parents: Mapping[str, str | None] = {change.urn: change.parent for change in changes}
        custom = {change.urn for change in changes if not change.is_component}
        # A type from a provider's package is a resource; every other type is a component of the program.
        self._packages = {type_of(urn).partition(":")[0] for urn in custom} | {"pulumi"}
        self._components: defaultdict[str, set[str]] = defaultdict(set)
        for urn in {*self._parents, *(parent for parent in self._parents.values() if parent)}:
            if self._is_component(urn):
                self._components[qualified_type_of(urn)].add(name_of(urn))

    def component_of(self, change: Change) -> tuple[str, str]:
        """The type and name of the change's component, or of the stack if the change is in no component."""
        urn: str | None = change.urn
        last = change.urn
        passed: set[str] = set()
        while urn and urn not in passed and not self._is_component(urn):
            passed.add(urn)
            last, urn = urn, self._parents.get(urn)
        if urn in passed:  # a resource that is its own parent is in no component
            urn = None
        if urn:
            return type_of(urn), name_of(urn)
        types = qualified_type_of(last).split("$")[:-1]
        while types and types[-1].partition(":")[0] in self._packages:
            types.pop()
        if not types:
            return _STACK, ""
        names = self._components["$".join(types)]
        return types[-1], next(iter(names)) if len(names) == 1 else ""

    def _is_component(self, urn: str) -> bool:
        return type_of(urn).partition(":")[0] not in self._packages


def short_type(token: str) -> str:
    """A short name for a type: `aws:ecr/repository:Repository` is `aws Repository`, a component only its last word."""
    package, _, rest = token.partition(":")
    last = rest.rpartition(":")[2] or token
    return last if package in ("buildyard", "pulumi") else f"{package} {last}"
