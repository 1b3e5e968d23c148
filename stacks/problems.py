"""Problems in a stack's settings, worded for the person who wrote the YAML, who can fix all of them at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic_core import PydanticCustomError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A wrong setting.

    `path` is the key as in the stack's file, `buildyard:projects[0].images[1].context`; `message` says what is
    wrong with it, `hint` what to do.
    """

    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}\n      {self.hint}"


class SettingsError(Exception):
    """All problems in a stack's settings. Nothing was created."""

    def __init__(self, problems: Iterable[Problem], *, source: str) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(self.problems, start=1))
        super().__init__(f"{source} has {count}; nothing was changed.\n{listed}")


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint for an unknown word: the most similar known word, or all known words."""
    matches = get_close_matches(word, known, n=1)
    if matches:
        return f"Did you mean {matches[0]}?"
    return "Known: " + (", ".join(sorted(known)) or "none") + "."


def refusal(message: str, hint: str) -> PydanticCustomError:
    """The error that a validator raises for a wrong value. `parsing` turns it into a `Problem`."""
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint})
