"""A check: its title, the questions that it asks AWS or GitLab, and its outcome."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pulumi

from stacks.problems import Notice, Problem

T = TypeVar("T")


class RefusalError(Exception):
    """AWS or GitLab refused a question, or could not be reached. The text is the provider's own."""

    @property
    def is_missing(self) -> bool:
        """Whether the answer is that the thing does not exist, or that the caller may not know that it does."""
        return re.search(r"\b404\b|not ?found|no .* found", str(self), re.IGNORECASE) is not None

    @property
    def is_forbidden(self) -> bool:
        """Whether the caller lacks a right."""
        return re.search(r"\b40[13]\b|AccessDenied|not authorized|Unauthorized", str(self)) is not None


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
    by_hand: list[Notice] = field(default_factory=list)
    """Conditions that no API tells before the deployment, and how to check them."""

    def problem(self, path: str, message: str, hint: str) -> None:
        self.problems.append(Problem(path=path, message=message, hint=hint))

    def notice(self, message: str, hint: str) -> None:
        self.notices.append(Notice(message=message, hint=hint))

    def ask(self, question: Callable[[], T], *, path: str, hint: str) -> T | None:
        """The answer. A refusal becomes a problem of the key that caused the question."""
        try:
            return ask(question)
        except RefusalError as refusal:
            self.problem(path, str(refusal), hint)
            return None


def ask(question: Callable[[], T]) -> T:
    """The answer to a call of a provider's function. Raises `RefusalError`."""
    try:
        return question()
    except pulumi.RunError:  # the engine is shutting down
        raise
    except Exception as refusal:  # the SDK has no class for a provider's errors
        reason = str(refusal).rpartition(" returned an error: ")[2]  # without the SDK's prefix about the call
        raise RefusalError(reason.strip()) from refusal
