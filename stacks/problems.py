"""Problems in a stack's settings, said so that the person who wrote the YAML can mend all of them in one go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic_core import PydanticCustomError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One wrong setting.

    `path` is the key as the stack's file spells it, `buildyard:projects[0].images[1].context`; `message` says what is
    wrong with it, `hint` what to do.
    """

    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}\n      {self.hint}"


class SettingsError(Exception):
    """A stack's settings hold problems; nothing was created. Carries all of them."""

    def __init__(self, problems: Iterable[Problem], *, source: str) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(self.problems, start=1))
        super().__init__(f"{source} has {count}; nothing was changed.\n{listed}")


def nearest(word: str, known: Sequence[str]) -> str:
    """Advice for a word that is not among the known ones: the one probably meant, else all of them."""
    matches = get_close_matches(word, known, n=1)
    if matches:
        return f"Did you mean {matches[0]}?"
    return "Known here: " + (", ".join(sorted(known)) or "nothing") + "."


def refusal(message: str, hint: str) -> PydanticCustomError:
    """What a validator raises for a value that it does not take: `parsing` makes a `Problem` of it."""
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint})
