"""Mistakes in a stack's settings, said so that the person who wrote the YAML can mend all of them in one go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic_core import PydanticCustomError


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One wrong setting.

    `path` is the key as the stack's file spells it, `buildyard:projects[0].images[1].context`; `wrong` says what is the
    matter with it; `right` what would do.
    """

    path: str
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"{self.path}: {self.wrong}\n      {self.right}"


class SettingsError(Exception):
    """A stack's settings hold mistakes; nothing was created. Carries all of them."""

    def __init__(self, mistakes: Iterable[Mistake], *, source: str) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        listed = "\n".join(f"  {number}. {mistake}" for number, mistake in enumerate(self.mistakes, start=1))
        super().__init__(f"{source} has {count}; nothing was changed.\n{listed}")


def nearest(word: str, known: Sequence[str]) -> str:
    """Advice for a word that is not among the known ones: the one probably meant, else all of them."""
    matches = get_close_matches(word, known, n=1)
    if matches:
        return f"Did you mean {matches[0]}?"
    return "Known here: " + (", ".join(sorted(known)) or "nothing") + "."


def refusal(wrong: str, right: str) -> PydanticCustomError:
    """What a validator raises for a value that it does not take: `parsing` makes a `Mistake` of it."""
    return PydanticCustomError("refused", "{wrong}", {"wrong": wrong, "right": right})
