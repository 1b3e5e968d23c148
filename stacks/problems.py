"""Problems in a stack's settings, worded for the person who wrote the YAML, who can fix all of them at once."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeVar

from pydantic_core import PydanticCustomError

T = TypeVar("T")


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


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A warning that stops nothing: `message` says what may go wrong, `hint` what to do."""

    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}"


class SettingsError(Exception):
    """All problems in a stack's settings. Nothing was created."""

    def __init__(self, problems: Iterable[Problem], *, source: str) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(self.problems, start=1))
        super().__init__(f"{source} has {count}; nothing was changed.\n{listed}")


def key_path(head: str, location: Iterable[str | int] = ()) -> str:
    """A key of the stack's file, as in `Problem.path`. A part that is not a plain word is quoted, and shortened."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_word(part)}" for part in location)
    return _word(head) + "".join(parts)


def _word(part: str) -> str:
    return part if re.fullmatch(r"[\w:/@+-][\w:/@+.-]{0,127}", part) else repr(_shortened(part))


def echo(value: object) -> str:
    """A wrong value for a message, short enough to read."""
    return _shortened(repr(value))


def _shortened(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


_MOST_WORDS = 30


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint for an unknown word: the most similar known word, or all known words."""
    return _nearest(word[:_LONGEST_WORD], tuple(known))


_LONGEST_WORD = 200


@lru_cache(maxsize=4096)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    candidates: Iterable[str] = known
    if len(known) > _MOST_WORDS:
        # difflib compares with every word, which takes minutes for thousands of unknown words.
        index = _index(known)
        candidates = dict.fromkeys(each for key in _keys(word) for each in index.get(key, ()))
    matches = get_close_matches(word, candidates, n=1)
    if matches:
        return f"Did you mean {matches[0]}?"
    listed = ", ".join(sorted(known)[:_MOST_WORDS]) or "none"
    return f"Known: {listed}" + (f" and {len(known) - _MOST_WORDS:,} more." if len(known) > _MOST_WORDS else ".")


@lru_cache(maxsize=16)
def _index(known: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """The words by `_keys`. Two words with a common key differ by one letter, or two letters changed places."""
    index: dict[str, list[str]] = {}
    for word in known:
        for key in _keys(word):
            index.setdefault(key, []).append(word)
    return index


def _keys(word: str) -> Iterator[str]:
    """The word without case, whole and with each of its letters left out."""
    folded = word.casefold()
    yield folded
    for position in range(len(folded)):
        yield folded[:position] + folded[position + 1 :]


def refusal(message: str, hint: str) -> PydanticCustomError:
    """The error that a validator raises for a wrong value. `parsing` turns it into a `Problem`."""
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint})


def located(path: str, items: Iterable[T]) -> Iterator[tuple[str, T]]:
    """The items of a list in the settings, each with its path."""
    return ((f"{path}[{position}]", item) for position, item in enumerate(items))


def duplicates(what: str, values: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Find values that an earlier path has already."""
    first: dict[str, str] = {}
    for value, path in values:
        if value in first:
            yield Problem(
                path=path,
                message=f"the {what} {value} already exists, at {first[value]}",
                hint="Rename one of the two.",
            )
        first.setdefault(value, path)
