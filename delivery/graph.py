"""A Mermaid flowchart of what is affected, small enough for GitLab to draw it at once."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from delivery.components import Component, by_component, short_type
from delivery.markdown import count
from delivery.preview import Change, Operation

_LONGEST = 2000
"""GitLab shows a longer source as text with a button. Source: MAX_CHAR_LIMIT in GitLab's
`app/assets/javascripts/behaviors/markdown/render_sandboxed_mermaid.js`."""

_COLOURS = {
    Operation.CREATE: "#cfc",
    Operation.UPDATE: "#ffc",
    Operation.REPLACE: "#fc9",
    Operation.DELETE: "#fcc",
    Operation.IMPORT: "#cce",
}

_Key = tuple[str, str]


def graph(changes: Sequence[Change]) -> str:
    """Draw the components with the changes in them, and arrows from each resource to those that depend on it.

    The graph has the finest detail that fits: single resources, else the kinds in each component, else the kinds in
    each type of component, else only the operations.
    """
    components = by_component(changes)
    for grain in (_each_resource, _each_kind, _each_kind_of_component):
        text = _drawn(components, grain)
        if len(text) <= _LONGEST:
            return text
    return _drawn(components, _each_operation)


def _each_resource(component: Component, change: Change) -> _Key:
    return _title(component), f"{short_type(change.type)} {change.name}"


def _each_kind(component: Component, change: Change) -> _Key:
    return _title(component), short_type(change.type)


def _each_kind_of_component(component: Component, change: Change) -> _Key:
    return short_type(component.type), short_type(change.type)


def _each_operation(_component: Component, _change: Change) -> _Key:
    return "All components", "resources"


def _title(component: Component) -> str:
    return f"{short_type(component.type)} {component.name}".strip()


def _drawn(components: Sequence[Component], grain: Callable[[Component, Change], _Key]) -> str:
    """Draw one node per key and operation, in one box per component of the grain."""
    sizes: Counter[tuple[_Key, Operation]] = Counter()
    node_of: dict[str, tuple[_Key, Operation]] = {}
    changes: list[Change] = []
    for component in components:
        for change in component.changes:
            if change.is_component:
                continue  # the box of its changes stands for it
            node = grain(component, change), change.operation
            sizes[node] += 1
            node_of[change.urn] = node
            changes.append(change)
    names = {node: f"n{number}" for number, node in enumerate(sizes)}
    lines = ["flowchart LR"]
    for number, box in enumerate(dict.fromkeys(key[0] for key, _ in sizes)):
        lines.append(f'  subgraph b{number}["{_label(box)}"]')
        for node, size in sizes.items():
            (owner, kind), operation = node
            if owner == box:
                text = f"{operation} {kind}" if size == 1 else f"{operation} {count(size, kind + ',', kind + 's')}"
                lines.append(f'    {names[node]}["{_label(text)}"]:::{operation}')
        lines.append("  end")
    arrows = {
        (names[node_of[used]], names[node_of[change.urn]])
        for change in changes
        for used in sorted(change.dependencies)
        if used in node_of and node_of[used] != node_of[change.urn]
    }
    lines += [f"  {start} --> {end}" for start, end in sorted(arrows, key=lambda arrow: (len(arrow[0]), arrow))]
    used_operations = dict.fromkeys(operation for _, operation in sizes)
    lines += [f"  classDef {operation} fill:{_COLOURS[operation]},color:#222" for operation in used_operations]
    return "\n".join(lines)


def _label(text: str) -> str:
    """Text for a quoted label. Every character that Mermaid could interpret is written as a character code."""
    short = text if len(text) <= 80 else text[:79] + "…"
    return re.sub(r"[^\w .:/,…-]", lambda found: f"#{ord(found[0])};", re.sub(r"\s", " ", short))
