"""A warning for reviewers, and the sentence that several equal warnings make together."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from delivery.causes import Causes
from delivery.markdown import code, some
from delivery.preview import Change

_MOST_NAMES = 20
_PLURAL = {
    "can": "can",
    "changes": "change",
    "gains": "gain",
    "gets": "get",
    "is": "are",
    "judges": "judge",
    "loses": "lose",
    "opens": "open",
    "restarts": "restart",
    "takes": "take",
}
"""The verbs of dangers."""


class Concern(IntEnum):
    """The subject of a danger. The worst comes first in the note."""

    LOSS = 0
    INTERRUPTION = 1
    RIGHTS = 2
    PIPELINE = 3
    SECRET = 4


@dataclass(frozen=True, kw_only=True)
class Danger:
    """A warning in Markdown: a sentence about resources, `The NOUN NAMES VERB ...`, or without `noun` only `rest`.

    `rest` says nothing that is true of one name alone, so that dangers which differ only in their names can be told
    together. `diff` is a unified diff to show with it, or empty.
    """

    concern: Concern
    rest: str
    noun: str = ""
    names: tuple[str, ...] = ()
    verb: str = ""
    diff: str = ""

    @property
    def text(self) -> str:
        """A sentence or two."""
        if not self.noun:
            return self.rest
        one = len(self.names) == 1
        noun = self.noun if one else _plural(self.noun)
        verb, _, more = self.verb.partition(" ")
        said = f"{verb if one else _PLURAL[verb]} {more}".strip()
        return f"The {noun} {some([code(name) for name in self.names], _MOST_NAMES)} {said}{self.rest}"


Rule: TypeAlias = Callable[[Change, Causes], Iterator[Danger]]
"""The dangers of one change of a certain type."""


def right(text: str) -> Danger:
    """A warning of a right that somebody gains, as a sentence of its own."""
    return Danger(concern=Concern.RIGHTS, rest=text)


def rights(noun: str, name: str, verb: str, rest: str) -> Danger:
    """A warning of rights that can be told together with equal ones of other resources."""
    return Danger(concern=Concern.RIGHTS, noun=noun, names=(name,), verb=verb, rest=rest)


def together(dangers: Iterable[Danger]) -> list[Danger]:
    """Tell dangers that differ only in their names as one, the worst first, otherwise in the given order."""
    names: dict[tuple[Concern, str, str, str, str], list[str]] = {}
    for each in dangers:
        same = (each.concern, each.noun, each.verb, each.rest, each.diff)
        names.setdefault(same, []).extend(each.names)
    merged = [
        Danger(concern=concern, noun=noun, names=tuple(dict.fromkeys(found)), verb=verb, rest=rest, diff=diff)
        for (concern, noun, verb, rest, diff), found in names.items()
    ]
    return sorted(merged, key=lambda danger: danger.concern)


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
