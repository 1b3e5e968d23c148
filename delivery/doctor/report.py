"""The results of checks, as a report that people or programs read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Result(str, Enum):
    """The result of a check."""

    OK = "ok"
    NOTICE = "notice"
    """It works, and somebody should know something about it."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be checked, since something else failed or nobody asked for it."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem or a warning, and the next step."""

    message: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A line of the report. `found` is the state of things in a few words, such as `Kubernetes 1.34`."""

    title: str
    result: Result
    found: str = ""
    findings: tuple[Finding, ...] = ()


def passed(title: str, found: str = "") -> Check:
    return Check(title=title, result=Result.OK, found=found)


def failed(title: str, message: str, hint: str, *, found: str = "") -> Check:
    return Check(title=title, result=Result.FAILED, found=found, findings=(Finding(message=message, hint=hint),))


def noticed(title: str, message: str, hint: str = "", *, found: str = "") -> Check:
    return Check(title=title, result=Result.NOTICE, found=found, findings=(Finding(message=message, hint=hint),))


def skipped(title: str, reason: str) -> Check:
    return Check(title=title, result=Result.SKIPPED, found=reason)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Checks with a common title."""

    title: str
    checks: Sequence[Check]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All checks of a stack."""

    stack: str
    deployed: bool
    """Whether the stack was deployed, so that there was more to check."""
    sections: Sequence[Section]
    cost: Sequence[str] = ()
    """The cost of the stack at most and when idle, in sentences."""

    @property
    def exit_code(self) -> int:
        """1 if a check failed, else 0."""
        return int(Result.FAILED in self._results)

    @property
    def summary(self) -> str:
        """The number of checks by result."""
        results = list(self._results)
        counts = [f"{results.count(each)} {each}" for each in Result if each in results]
        return f"{len(results)} {'check' if len(results) == 1 else 'checks'}: {', '.join(counts)}."

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "stack": self.stack,
            "deployed": self.deployed,
            "result": str(Result.FAILED if self.exit_code else Result.OK),
            "cost": list(self.cost),
            "checks": [
                {
                    "section": section.title,
                    "title": check.title,
                    "result": str(check.result),
                    "found": check.found,
                    "findings": [{"message": each.message, "hint": each.hint} for each in check.findings],
                }
                for section in self.sections
                for check in section.checks
            ],
        }

    @property
    def _results(self) -> Iterable[Result]:
        return [check.result for section in self.sections for check in section.checks]
