"""A check: its title, the questions that it asks, and its outcome."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from stacks.problems import Notice, Problem

T = TypeVar("T")


class RefusalError(Exception):
    """A provider refused a question, or could not reach whom it asks. The text is the provider's own."""

    @property
    def is_missing(self) -> bool:
        """Whether the answer is that the thing does not exist."""
        return re.search(r"\b404\b|not ?found|could\w* *n.t find|\bno .* found", str(self), re.IGNORECASE) is not None


@dataclass(kw_only=True)
class Check:
    """One check, with all that it found. It collects problems, so that people see all of them at once."""

    title: str
    found: str = ""
    """The state of things in a few words, such as `Kubernetes 1.34`."""
    problems: list[Problem] = field(default_factory=list)
    """The reasons why a deployment would fail, or deploy something that cannot work."""
    notices: list[Notice] = field(default_factory=list)
    """Warnings for the person who reads the preview."""
    manual: list[Notice] = field(default_factory=list)
    """Conditions that the credentials may not check, or no API tells, and how to check them by hand."""

    def problem(self, path: str, message: str, hint: str) -> None:
        self.problems.append(Problem(path=path, message=message, hint=hint))

    def notice(self, message: str, hint: str) -> None:
        self.notices.append(Notice(message=message, hint=hint))

    def look(self, message: str, hint: str) -> None:
        """Add a condition to check by hand."""
        self.manual.append(Notice(message=message, hint=hint))

    def ask(self, question: Callable[[], T], *, path: str, hint: str) -> T | None:
        """The answer to a call of a provider's function. A refusal becomes a problem of the key that caused it."""
        return self.settle(attempt(question), path=path, hint=hint)

    def settle(self, answer: T | RefusalError, *, path: str, hint: str) -> T | None:
        """The answer. A refusal becomes a problem of the key that caused the question."""
        if isinstance(answer, RefusalError):
            self.problem(path, str(answer), hint)
            return None
        return answer

    def unknown(self, what: str, refusal: RefusalError, hint: str) -> None:
        """Say that something could not be checked: a deployment may well work without the right to check it."""
        self.notice(f"Could not check {what}: {str(refusal).rstrip('.')}", hint)


def attempt(question: Callable[[], T]) -> T | RefusalError:
    """The answer to a call of a provider's function, or the refusal."""
    try:
        return question()
    except RefusalError as refusal:
        return refusal
    except Exception as refusal:
        if type(refusal) is not Exception:  # the SDK has no class of its own for a provider's errors
            raise
        reason = str(refusal).rpartition(" returned an error: ")[2]  # without the SDK's prefix about the call
        return RefusalError(reason.strip())
