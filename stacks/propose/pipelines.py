"""A project's GitLab pipeline as the jobs that GitLab makes of it: includes, `extends`, `!reference`, defaults, matrix.

Source: https://docs.gitlab.com/ci/yaml/
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice, product
from typing import Any

from stacks.documents import DocumentError, Tagged, read_yaml
from stacks.projects import WHOLE_PIPELINE
from stacks.propose.checkout import Checkout
from stacks.propose.text import MAX_TEXT, expand, plain

MAX_FILES = 150
"""GitLab's own limit of includes. Source: https://docs.gitlab.com/administration/instance_limits/"""
MAX_EXTENDS = 11
"""Source: https://docs.gitlab.com/ci/yaml/#extends"""
MAX_REFERENCES = 10
"""Source: https://docs.gitlab.com/ci/yaml/yaml_optimization/#reference-tags"""
MAX_JOBS = 200
"""GitLab's own limit of the jobs of one matrix."""
_MOST_LINES = 2_000

_REFERENCE = "!reference"
_NOT_JOBS = (
    *("default", "include", "stages", "variables", "workflow", "spec"),
    *("image", "services", "cache", "before_script", "after_script"),
)
_INHERITED = ("before_script", "tags", "timeout", "image")

Mapped = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a pipeline, with one combination of its matrix."""

    name: str
    stage: str
    lines: tuple[str, ...]
    """The lines of `before_script` and `script`."""
    variables: Mapping[str, str]
    tags: tuple[str, ...]
    timeout: str | None
    changes: tuple[str, ...]
    """The patterns of files whose changes start the job."""
    reports: tuple[str, ...]
    """The files that become variables of later jobs (`artifacts:reports:dotenv`)."""


@dataclass
class _Reader:
    """Reads the files of one pipeline. What it cannot follow becomes a note of the checkout."""

    checkout: Checkout
    seen: set[str] = field(default_factory=set)

    def file(self, path: str) -> dict[str, Any]:
        """A file's content, merged over the files that it includes."""
        if path in self.seen:
            return {}
        self.seen.add(path)
        if len(self.seen) > MAX_FILES:
            self.note(f"more than {MAX_FILES} included files: {plain(path)} was not read")
            return {}
        data = self.checkout.read(path)
        if data is None:
            self.note(f"{plain(path)} is included, but is no file of the repository")
            return {}
        try:
            content = read_yaml(_without_header(data), tags=(_REFERENCE,))
        except DocumentError as error:
            fault = error.faults[0]
            where = ".".join(str(part) for part in fault.location)
            self.note(f"{path} was not read: {plain(where)} {plain(fault.message)}")
            return {}
        if not isinstance(content, dict):
            return {}
        merged: dict[str, Any] = {}
        for included in self._includes(content.get("include")):
            merged = _merge(merged, self.file(included))
        return _merge(merged, content)

    def _includes(self, include: Any) -> Iterator[str]:
        for entry in include if isinstance(include, list) else [include]:
            if isinstance(entry, str) and not re.match("https?://", entry):
                yield from self._local(entry)
            elif isinstance(entry, dict) and "local" in entry:
                for path in _texts(entry["local"]):
                    yield from self._local(path)
            elif entry:
                parts = entry.items() if isinstance(entry, dict) else ()
                what = ", ".join(f"{key}: {value}" for key, value in parts) or str(entry)
                self.note(f"the pipeline includes {plain(what)}, which is not in this repository and was not read")

    def _local(self, pattern: str) -> Iterator[str]:
        path = posixpath.normpath(pattern.lstrip("/"))
        if "*" in path:
            yield from sorted(found for found in self.checkout.files if _matches(found, path))
        else:
            yield path

    def note(self, text: str) -> None:
        self.checkout.notes.append(text)


def jobs(checkout: Checkout, predefined: Mapping[str, str]) -> list[Job]:
    """The jobs of the project's pipeline, and of child pipelines whose files are in the repository."""
    if WHOLE_PIPELINE not in checkout.files:
        return []
    found: list[Job] = []
    pending, done = [WHOLE_PIPELINE], set[str]()
    while pending:
        path = pending.pop(0)
        if path in done or len(done) > MAX_FILES:
            continue
        done.add(path)
        content = _Reader(checkout).file(path)
        found += _jobs(content, predefined, checkout)
        pending += _children(content, checkout)
    return found


def _children(content: Mapped, checkout: Checkout) -> Iterator[str]:
    for job in content.values():
        trigger = job.get("trigger") if isinstance(job, dict) else None
        include = trigger.get("include") if isinstance(trigger, dict) else None
        for entry in include if isinstance(include, list) else [include]:
            path = entry.get("local") if isinstance(entry, dict) else entry
            if isinstance(path, str) and posixpath.normpath(path.lstrip("/")) in checkout.files:
                yield posixpath.normpath(path.lstrip("/"))


def _jobs(content: Mapped, predefined: Mapping[str, str], checkout: Checkout) -> Iterator[Job]:
    default = content.get("default")
    defaults = {key: content[key] for key in _INHERITED if key in content}
    defaults |= default if isinstance(default, dict) else {}
    shared = _variables(content.get("variables"))
    for name, raw in content.items():
        if name in _NOT_JOBS or name.startswith(".") or not isinstance(raw, dict):
            continue
        checkout.check_time()
        job = _extended(name, content, checkout)
        inherit = job.get("inherit")
        inherit = inherit if isinstance(inherit, dict) else {}
        inherited = _kept(defaults, inherit.get("default", True))
        whole = {**{key: value for key, value in inherited.items() if key in _INHERITED}, **job}
        references = _References(content)
        lines = references.lines([whole.get("before_script"), whole.get("script")])
        tags = _texts([*references.flat(whole.get("tags"), 0)])
        changes = tuple(_changes(job, references))
        variables = {**_kept(shared, inherit.get("variables", True)), **_variables(job.get("variables"))}
        for combination in _matrix(job.get("parallel")):
            values = _expanded({**predefined, "CI_JOB_NAME": name, **variables, **combination})
            yield Job(
                name=name,
                stage=next(iter(_texts(whole.get("stage"))), "test"),
                lines=lines,
                variables=values,
                tags=tuple(expand(tag, values) for tag in tags),
                timeout=whole["timeout"] if isinstance(whole.get("timeout"), str) else None,
                changes=tuple(expand(path, values) for path in changes),
                reports=tuple(_reports(job)),
            )


def _extended(name: str, content: Mapped, checkout: Checkout) -> dict[str, Any]:
    """The job merged over what it extends, nearest last."""
    chain: dict[str, Any] = {}

    def add(key: str, depth: int) -> dict[str, Any]:
        job = content.get(key)
        if not isinstance(job, dict):
            checkout.notes.append(f"jobs extend {plain(key)}, which was not found: what they take from it was not read")
            return {}
        if depth > MAX_EXTENDS:
            checkout.notes.append(f"{plain(name)} extends more than {MAX_EXTENDS} levels: the rest was not read")
            return {}
        if key in chain:
            return dict(chain[key])
        merged: dict[str, Any] = {}
        for base in _texts(job.get("extends")):
            merged = _merge(merged, add(base, depth + 1))
        chain[key] = _merge(merged, {part: value for part, value in job.items() if part != "extends"})
        return dict(chain[key])

    return add(name, 0)


def _merge(below: Mapped, above: Mapped) -> dict[str, Any]:
    """GitLab's deep merge: mappings are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


@dataclass
class _References:
    """The targets of `!reference` tags. References to references multiply, so their number is bounded."""

    content: Mapped
    left: int = 20_000

    def lines(self, scripts: Any) -> tuple[str, ...]:
        """The lines of scripts, flat."""
        return tuple(islice((line for line in self.flat(scripts, 0) if isinstance(line, str)), _MOST_LINES))

    def flat(self, value: Any, depth: int) -> Iterator[Any]:
        """The items of lists in lists, with those that references name."""
        self.left -= 1
        if self.left < 0:
            return
        if isinstance(value, list):
            for item in value:
                yield from self.flat(item, depth)
        elif not isinstance(value, Tagged):
            yield value
        elif depth < MAX_REFERENCES and isinstance(value.value, list):
            target: Any = self.content
            for part in value.value:
                target = target.get(part) if isinstance(target, dict) else None
            yield from self.flat(target, depth + 1)


def _matrix(parallel: Any) -> Iterator[dict[str, str]]:
    rows = parallel.get("matrix") if isinstance(parallel, dict) else None
    if not isinstance(rows, list) or not rows:
        yield {}
        return
    left = MAX_JOBS
    for row in rows:
        if not isinstance(row, dict):
            continue
        choices = [[(name, text) for text in _texts(values)] for name, values in row.items()]
        for combination in islice(product(*choices), left):
            left -= 1
            yield dict(combination)


def _changes(job: Mapped, references: _References) -> Iterator[str]:
    for rule in [*references.flat(job.get("rules"), 0), job.get("only")]:
        changes = rule.get("changes") if isinstance(rule, dict) else None
        yield from _texts(changes.get("paths") if isinstance(changes, dict) else changes)


def _reports(job: Mapped) -> list[str]:
    artifacts = job.get("artifacts")
    reports = artifacts.get("reports") if isinstance(artifacts, dict) else None
    return _texts(reports.get("dotenv")) if isinstance(reports, dict) else []


def _variables(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, given in value.items() if isinstance(value, dict) else ():
        text = given.get("value") if isinstance(given, dict) else given
        if text is not None:
            found[name] = "".join(_texts(text))
    return found


def _expanded(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, with the values of those that they contain. One that contains itself stays as it is."""
    return {
        name: expand(text, {other: value for other, value in variables.items() if other != name})
        if "$" in text
        else text[:MAX_TEXT]
        for name, text in variables.items()
    }


def _kept(values: Mapping[str, Any], inherit: Any) -> dict[str, Any]:
    if isinstance(inherit, list):
        return {key: value for key, value in values.items() if key in inherit}
    return {} if inherit is False else dict(values)


def _texts(value: Any) -> list[str]:
    """A scalar or a list of scalars, as texts."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []


def _matches(path: str, pattern: str) -> bool:
    """GitLab's patterns of local includes: `*` is any part of a name, `**` any folders."""
    if "**" in pattern:
        return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def _without_header(data: bytes) -> bytes:
    """The pipeline of a file that begins with `spec:`, a document of its own.

    Source: https://docs.gitlab.com/ci/inputs/
    """
    head, separator, rest = re.sub(rb"\A---[ \t]*\r?\n", b"", data).partition(b"\n---\n")
    return rest if separator and re.search(rb"^spec:", head, re.MULTILINE) else data
