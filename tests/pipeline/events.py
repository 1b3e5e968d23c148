"""GitLab's choice of a pipeline's jobs by their rules: https://docs.gitlab.com/ci/yaml/#rules"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_OPERATORS = {"&&": "and", "||": "or", "=~": "==", "!~": "!="}


@dataclass(frozen=True, kw_only=True)
class Event:
    """The event that starts a pipeline: its variables, and the files that it changes (None if there was no push)."""

    variables: Mapping[str, str]
    changed: tuple[str, ...] | None = None


def merge_request(*changed: str, target: str = "master") -> Event:
    """A merge request from the branch `feature`."""
    variables = {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": target,
        "CI_OPEN_MERGE_REQUESTS": "platform/images!1",
    }
    return Event(variables=variables, changed=changed)


def push(*changed: str, branch: str = "master", **variables: str) -> Event:
    """A push to a branch."""
    return Event(variables={"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": branch, **variables}, changed=changed)


def tag(name: str = "v1.0") -> Event:
    """A Git tag."""
    return Event(variables={"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": name})


def started_by(source: str, branch: str = "master") -> Event:
    """A pipeline without a push, such as a schedule's or one from the web."""
    return Event(variables={"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": branch})


def matching(rules: Iterable[Mapping[str, Any]], event: Event) -> Mapping[str, Any] | None:
    """The first rule that matches, which decides."""
    for rule in rules:
        if _holds(rule.get("if"), event.variables) and _changes(rule.get("changes"), event.changed):
            return rule
    return None


def when(rules: Iterable[Mapping[str, Any]], event: Event) -> str:
    """The `when` of the rule that decides; `never` if none matches."""
    rule = matching(rules, event)
    return "never" if rule is None else str(rule.get("when", "on_success"))


def selected(jobs: Mapping[str, Mapping[str, Any]], event: Event) -> dict[str, str]:
    """The jobs of the event's pipeline, and how each runs."""
    found = {name: when(job["rules"], event) for name, job in jobs.items()}
    return {name: how for name, how in found.items() if how != "never"}


def _holds(condition: str | None, variables: Mapping[str, str]) -> bool:
    if condition is None:
        return True
    tokens = re.findall(r'\$\w+|"[^"]*"|/(?:\\.|[^/])+/|&&|\|\||==|!=|=~|!~', condition)
    words = [_word(token, variables) for token in tokens]
    return bool(eval(" ".join(words), {"Regex": _Regex}))  # noqa: S307 (only string literals and operators)


def _word(token: str, variables: Mapping[str, str]) -> str:
    if token[0] == "$":
        return repr(variables.get(token[1:], ""))
    return f"Regex({token[1:-1]!r})" if token[0] == "/" else _OPERATORS.get(token, token)


class _Regex(str):
    """A regular expression, which equals the texts that it matches."""

    def __eq__(self, other: object) -> bool:
        return re.search(str(self), str(other)) is not None

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def _changes(changes: Mapping[str, Any] | None, changed: Iterable[str] | None) -> bool:
    if changes is None or changed is None:
        return True
    return any(matches(pattern, path) for pattern in changes["paths"] for path in changed)


def matches(pattern: str, path: str) -> bool:
    """Ruby's `File.fnmatch` with FNM_PATHNAME, FNM_DOTMATCH and FNM_EXTGLOB, as far as patterns are published."""
    parts = re.findall(r"\*\*/|\*|\\.|\[.\]|.", pattern, re.DOTALL)
    translated = {"**/": "(?:.*/)?", "*": "[^/]*"}
    expression = "".join(
        translated.get(part) or re.escape(part.strip("[]") if len(part) == 3 else part[-1]) for part in parts
    )
    return re.fullmatch(expression, path, re.DOTALL) is not None
