"""The note for reviewers: first the dangers, then the changes, within GitLab's limit."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from delivery import cost, cost_note, prices
from delivery.causes import Causes
from delivery.components import Component, by_component, short_type
from delivery.danger import Danger
from delivery.dangers import dangers
from delivery.graph import graph
from delivery.markdown import code, count, details, fence, row, some, table_head
from delivery.preview import Change, Operation, Preview, PropertyChange
from stacks.names import stack_name

LIMIT = 1_000_000
"""Characters of a note. Source: https://docs.gitlab.com/administration/instance_limits/#size-of-comments-and-descriptions-of-issues-merge-requests-and-epics"""

_MOST_PROPERTIES = 12
_MOST_DANGERS = 200
_MOST_ROWS = 1_000
_MOST_MESSAGES = 20
_LONGEST_MESSAGE = 5_000

_VERBS = {
    Operation.CREATE: "to create",
    Operation.UPDATE: "to update",
    Operation.REPLACE: "to replace",
    Operation.DELETE: "to delete",
    Operation.IMPORT: "to import",
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The preview's commit, by its short SHA, and its job's address, for the note's last line."""

    commit: str
    job_url: str


def marker(stack: str) -> str:
    """The hidden comment that identifies the stack's note."""
    return f"<!-- buildyard preview of {stack} -->"


def note(
    stack: str, preview: Preview, origin: Origin | None = None, *, region: str | None = None, limit: int = LIMIT
) -> str:
    """The whole note in Markdown, at most `limit` characters long.

    Items that do not fit are left out, the last ones first, and counted. `region` is AWS's, for prices.
    """
    foot = [f"Commit {code(origin.commit)}, [the job's log]({origin.job_url})."] if origin else []
    head = [marker(stack), f"## Preview of {code(stack)}: {_headline(preview)}", *_messages(preview)]
    room = limit - 1 - sum(len(block) + 2 for block in [*head, *foot])
    sections = [] if preview.failures else [*_sections(stack, preview.changes)]
    if not preview.failures and (found := _cost(preview, region)):
        sections.insert(1 if sections and sections[0].what == "danger" else 0, found)
    body = []
    for section in sections:
        text = section.fitted(room)
        body.append(text)
        room -= len(text) + 2
    return "\n\n".join([*head, *(text for text in body if text), *foot]) + "\n"


@dataclass(frozen=True, kw_only=True)
class _Section:
    """A heading and its items, of which the first ones that fit are shown."""

    head: str
    items: Sequence[str]
    what: str
    most: int

    def fitted(self, room: int) -> str:
        """The section in at most `room` characters, with the number of items left out; empty if no item fits."""
        room -= len(self.head) + len(self._left_out(len(self.items))) + 2
        shown: list[str] = []
        for item in self.items[: self.most]:
            room -= len(item) + 1
            if room < 0:
                break
            shown.append(item)
        if not shown:
            return ""
        text = f"{self.head}\n" + "\n".join(shown)
        left_out = len(self.items) - len(shown)
        return f"{text}\n\n{self._left_out(left_out)}" if left_out else text

    def _left_out(self, number: int) -> str:
        more = count(number, f"more {self.what} is", f"more {self.what}s are")
        return f"_{more} not shown here; `pulumi preview` shows all._"


def _headline(preview: Preview) -> str:
    if preview.failures:
        return "**failed**"
    counted = Counter(change.operation for change in preview.changes)
    return ", ".join(f"{counted[op]:,} {verb}" for op, verb in _VERBS.items() if counted[op]) or "no changes"


def _messages(preview: Preview) -> Iterator[str]:
    if preview.failures:
        yield "There can be no update until this is fixed:"
        yield from _quoted(preview.failures)
        if preview.changes:
            found = count(len(preview.changes), "change")
            yield f"The preview found {found} before it failed. An incomplete list misleads, so it is not shown."
    if preview.warnings:
        yield details(count(len(preview.warnings), "warning"), "\n\n".join(_quoted(preview.warnings)))


def _quoted(messages: Sequence[str]) -> Iterator[str]:
    for message in messages[:_MOST_MESSAGES]:
        yield fence(message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}\n…")
    if len(messages) > _MOST_MESSAGES:
        yield f"_{count(len(messages) - _MOST_MESSAGES, 'more message is', 'more messages are')} not shown here._"


def _sections(stack: str, changes: Sequence[Change]) -> Iterator[_Section]:
    causes = Causes(changes)
    found = dangers(changes, causes)
    components = by_component(changes)
    if found:
        yield _Section(
            head="### Look at this first\n",
            items=[_danger(danger) for danger in found],
            what="danger",
            most=_MOST_DANGERS,
        )
    if changes:
        picture = fence(graph(changes, stack_name(stack)), "mermaid")
        yield _Section(head="### What is affected\n", items=[picture], what="graph", most=1)
        yield _Section(
            head=f"### What changes\n\n{table_head(['component', 'change', 'resource', 'properties'])}",
            items=[line for component in components for line in _rows(component, causes)],
            what="change",
            most=_MOST_ROWS,
        )


def _cost(preview: Preview, region: str | None) -> _Section | None:
    found = cost_note.section(cost.of_preview(preview), cost.new_repositories(preview), region, prices.load())
    return _Section(head=found[0], items=found[1], what="node group", most=_MOST_ROWS) if found else None


def _danger(danger: Danger) -> str:
    if not danger.diff:
        return f"- {danger.text}"
    folded = details("diff", fence(danger.diff, "diff"))
    return f"- {danger.text}\n\n" + "\n".join(f"  {line}" if line else "" for line in folded.split("\n")) + "\n"


def _rows(component: Component, causes: Causes) -> Iterator[str]:
    """The table's rows for a component. Only the first names it."""
    title = code(short_type(component.type)) + (f" {code(component.name)}" if component.name else "")
    for change in component.changes:
        what = "the component" if change.is_component else f"{code(short_type(change.type))} {code(change.name)}"
        properties = [_property(found, causes.carried(change, found.path)) for found in change.properties]
        yield row([title, _strong(change.operation), what, some(properties, _MOST_PROPERTIES)])
        title = ""


def _strong(operation: Operation) -> str:
    return f"**{operation}**" if operation in (Operation.REPLACE, Operation.DELETE) else str(operation)


def _property(found: PropertyChange, cause: str | None) -> str:
    """A property with its old and new value; if it only passes on a cause, that cause."""
    name = (cause or code(found.path)) + (" (forces the replacement)" if found.replaces else "")
    if found.secret:
        return f"{name}: secret"
    if cause or found.before is None or found.after is None:
        return name
    return f"{name}: {_value(found.before)} → {_value(found.after)}"


def _value(text: str) -> str:
    return text if text in ("none", "known after the update") else code(text)
