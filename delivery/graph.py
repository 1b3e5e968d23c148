"""A Mermaid flowchart of what is affected: small enough for GitLab to draw it at once, and to be read in a note."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap

from delivery.components import Component, by_component, short_type
from delivery.markdown import count
from delivery.preview import Change, Operation

_LONGEST = 2000
"""GitLab shows a longer source as text with a button. Source: MAX_CHAR_LIMIT in GitLab's
`app/assets/javascripts/behaviors/markdown/render_sandboxed_mermaid.js`."""

_LAYOUT = '{"rankSpacing": 30, "nodeSpacing": 15, "subGraphTitleMargin": {"top": 4, "bottom": 8}}'
_HEAD = f'%%{{init: {{"flowchart": {_LAYOUT}}}}}%%\nflowchart LR'
_COLOURS = {
    Operation.CREATE: "#cfc",
    Operation.UPDATE: "#ffc",
    Operation.REPLACE: "#fc9",
    Operation.DELETE: "#fcc",
    Operation.IMPORT: "#cce",
}
_INK = "color:#222,stroke:#777"
"""With colours of their own, the nodes look the same in GitLab's light and dark themes."""

_MOST_NAMES = 3
_MOST_LINES = 3
_WIDTHS = (34, 34, 34, 30, 18, 12)
"""The characters of a label's line, by the number of boxes in a row.

GitLab scales a wider picture down to the note's width, until nobody can read it.
"""

_Box = list[tuple[Component, Change]]


def graph(changes: Sequence[Change], prefix: str = "") -> str:
    """Draw a box per component with its changes, and an arrow to each component that depends on it.

    Names are drawn without `prefix`, that of the stack. The picture has the finest detail that fits: names of
    resources, else their kinds, else the kinds in each type of component, else only the operations.
    """
    components = by_component(changes)
    by_name = _boxes(components, lambda component: f"{short_type(component.type)} {_short(component.name, prefix)}")
    by_type = _boxes(components, lambda component: short_type(component.type))
    for boxes, most_names in ((by_name, _MOST_NAMES), (by_name, 0), (by_type, 0)):
        text = _drawn(boxes, lambda box, names=most_names: _kinds(box, prefix, names))  # type: ignore[misc]
        if len(text) <= _LONGEST:
            return text
    return _drawn(_boxes(components, lambda _: "All components"), lambda box: [count(len(box), "resource")])


def _boxes(components: Sequence[Component], title: Callable[[Component], str]) -> Mapping[str, _Box]:
    """The changes by the titles of their boxes. A component's own change is its box."""
    boxes: dict[str, _Box] = {}
    for component in components:
        found = [(component, change) for change in component.changes if not change.is_component]
        if found:
            boxes.setdefault(title(component).strip(), []).extend(found)
    return boxes


def _kinds(box: _Box, prefix: str, most_names: int) -> list[str]:
    """The resources of one operation in a box: a line per kind, or per resource if there are few."""
    names: dict[str, list[str]] = {}
    for component, change in box:
        owner = component.name if component.name and change.name.startswith(component.name) else prefix
        names.setdefault(short_type(change.type).rpartition(" ")[2], []).append(_short(change.name, owner))
    return [line for kind, found in names.items() for line in _lines(kind, found, most_names)]


def _lines(kind: str, names: Sequence[str], most_names: int) -> Iterator[str]:
    if len(names) > 1 and len(names) > most_names:
        yield count(len(names), kind, f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s")
    else:
        yield from (f"{kind} {name}".strip() if most_names else kind for name in names)


def _drawn(boxes: Mapping[str, _Box], lines_of: Callable[[_Box], list[str]]) -> str:
    lines = [_HEAD]
    box_of = {change.urn: f"b{number}" for number, box in enumerate(boxes.values()) for _, change in box}
    arrows = _arrows(boxes, box_of)
    width = _WIDTHS[_longest_row(arrows)]
    operations: dict[Operation, None] = {}
    for number, (title, box) in enumerate(boxes.items()):
        # Without arrows in a box, this direction stacks its nodes.
        lines += [f'  subgraph b{number}["{_escaped(_cut(title, width))}"]', "    direction LR"]
        by_operation: dict[Operation, _Box] = {}
        for component, change in box:
            by_operation.setdefault(change.operation, []).append((component, change))
        for index, (operation, found) in enumerate(by_operation.items()):
            text = "<br>".join(_label(line, width) for line in [f"{operation}:", *lines_of(found)])
            lines.append(f'    b{number}n{index}["{text}"]:::{operation}')
        lines.append("  end")
        operations.update(dict.fromkeys(by_operation))
    lines += [f"  {start} --> {end}" for start, end in arrows]
    lines += [f"  classDef {operation} fill:{_COLOURS[operation]},{_INK}" for operation in operations]
    return "\n".join(lines)


def _arrows(boxes: Mapping[str, _Box], box_of: Mapping[str, str]) -> list[tuple[str, str]]:
    """The dependencies between boxes, without those that follow from two others."""
    found = {
        (box_of[used], box_of[change.urn])
        for box in boxes.values()
        for _, change in box
        for used in change.dependencies
        if used in box_of and box_of[used] != box_of[change.urn]
    }
    ends: dict[str, set[str]] = {}
    for start, end in found:
        ends.setdefault(start, set()).add(end)
    mutual = {arrow for arrow in found if arrow[::-1] in found}
    direct = [
        (start, end)
        for start, end in found
        if not any(
            end in ends.get(middle, ()) and {(start, middle), (middle, end)}.isdisjoint(mutual)
            for middle in ends[start]
            if middle != end
        )
    ]
    return sorted(direct, key=lambda arrow: (len(arrow[0]), arrow))


def _longest_row(arrows: Sequence[tuple[str, str]]) -> int:
    """The number of boxes that arrows put in a row, at most the largest that `_WIDTHS` knows."""
    rank: dict[str, int] = {}
    for _ in range(len(_WIDTHS) - 2):
        for start, end in arrows:
            rank[end] = min(max(rank.get(end, 1), rank.get(start, 1) + 1), len(_WIDTHS) - 1)
    return max(rank.values(), default=1)


def _short(name: str, prefix: str) -> str:
    """The name without the stack's or the component's name before it."""
    return "" if name == prefix else name.removeprefix(f"{prefix}-") if prefix else name


def _label(text: str, width: int) -> str:
    """Text for a quoted label, in short lines."""
    lines = wrap(text, width, max_lines=_MOST_LINES, placeholder="…", break_on_hyphens=False)
    return "<br>".join(_escaped(line) for line in lines)


def _cut(title: str, width: int) -> str:
    return title if len(title) <= width else f"{title[: width - 1]}…"


def _escaped(text: str) -> str:
    """The text on one line, with character codes for all that Mermaid could interpret.

    It decodes them before it looks for formulas (`$$`) and icons (`fa:fa-`), so these get a space.
    """
    plain = re.sub(r"\s", " ", text).replace("$$", "$ $").replace(":fa-", ": fa-")
    return re.sub(r"[^\w :/,…-]", lambda found: f"#{ord(found[0])};", plain)
