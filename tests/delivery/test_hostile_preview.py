"""Previews that somebody wrote to make the note do something: whatever they contain, the note only shows it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery import rights
from delivery.__main__ import main
from delivery.components import by_component
from delivery.dangers import TYPES
from delivery.note import LIMIT, Origin, note
from delivery.preview import PreviewError, parse
from delivery.rights import UnreadableError, iam_grants
from delivery.values import MAX_DEPTH, redacted
from delivery.widget import widget
from tests.delivery.previews import read, step

MARK = "Zq"
"""At the beginning of every foreign text, to find it again."""

REPOSITORY = "aws:ecr/repository:Repository"

ATTACKS = [
    "\n/merge\n",
    "\n\n/approve",
    "\r/close",
    "@all",
    "[link](https://evil.example/)",
    "<img src=x onerror=alert(1)>",
    "![](https://evil.example/)",
    "</code></details>",
    "`/merge`",
    "```\n/merge\n```",
    "````\n```\n/merge\n````",
    "| a | b |\n|---|---|",
    "\n# heading",
    "%{project_path}",
    "!1 #1 ~bug &1 $1",
    "<!-- ",
    "\ud800",
    "\x00\x1b[2J",
    "\u202etxt\u200b",
    "\\",
    "$`x`$",
    '"];click n0 "javascript:alert(1)"',
    "%%{init: {}}%%",
]

foreign = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=5), max_size=4).map(lambda parts: MARK + "".join(parts))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | foreign
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(foreign, inner, max_size=3),
    max_leaves=8,
)

PROPERTIES = {
    "name", "forceDelete", "values", "policy", "assumeRolePolicy", "role", "policyArn", "namespace", "serviceAccount",
    "roleArn", "rules", "subjects", "roleRef", "filePath", "project", "content", "encoding", "spec", "runnerType",
    "groupId", "launchTemplate", "metadata",
}  # fmt: skip
STATEMENTS = st.fixed_dictionaries({"Effect": st.sampled_from(["Allow", "Deny"]), "Action": values, "Resource": values})
policies = st.fixed_dictionaries({"Statement": values | st.lists(STATEMENTS, max_size=2)}).map(json.dumps)
rules = st.lists(
    st.dictionaries(st.sampled_from(["verbs", "apiGroups", "resources"]), st.lists(scalars, max_size=2)), max_size=2
)
inputs = st.dictionaries(st.sampled_from(sorted(PROPERTIES)) | foreign, values | policies | rules, max_size=5)


def inside(tokens: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(tokens, foreign).map(lambda parts: f"urn:pulumi:dev::buildyard::{parts[0]}::{parts[1]}")


types = st.sampled_from(sorted(TYPES)) | foreign | foreign.map(lambda text: f"buildyard:components:{text}")
urns = inside(types | st.tuples(types, types).map("$".join))
states = st.fixed_dictionaries(
    {"urn": urns},
    optional={
        "custom": st.booleans(),
        "parent": urns | st.none(),
        "inputs": inputs,
        "outputs": inputs,
        "dependencies": st.lists(urns, max_size=2),
        "additionalSecretOutputs": st.lists(foreign, max_size=1),
    },
)
steps = st.fixed_dictionaries(
    {"op": st.sampled_from(["create", "update", "replace", "delete", "import"]), "urn": urns},
    optional={
        "oldState": states,
        "newState": states,
        "detailedDiff": st.dictionaries(foreign | st.sampled_from(sorted(PROPERTIES)), st.just({"kind": "update"})),
        "diffReasons": st.lists(foreign, max_size=2),
        "replaceReasons": st.lists(foreign, max_size=2),
    },
)
diagnostics = st.fixed_dictionaries(
    {"severity": st.sampled_from(["error", "warning", "info"]), "message": foreign | scalars},
    optional={"urn": urns},
)
digests = st.fixed_dictionaries(
    {"steps": st.lists(steps, max_size=4)}, optional={"diagnostics": st.lists(diagnostics, max_size=3)}
)


class Reader(HTMLParser):
    """The note as a browser shows it: its elements, and the text that is not code."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.prose = ""
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        self._code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.prose += data


OURS = {
    "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "em", "code", "pre", "details",
    "summary",
}  # fmt: skip
JOB = "https://gitlab.example.com/platform/buildyard/-/jobs/7"


def assert_only_shown(text: str) -> None:
    """Assert that nothing in the note acts, wherever GitLab looks for commands, references and markup."""
    assert len(text) <= LIMIT
    assert text.encode()
    assert not re.search(r"^[^\S\n]*/", text, re.MULTILINE), "GitLab runs the line as a quick action"
    page = Reader()
    page.feed(read(text))
    elements = [(tag, attributes) for tag, attributes in page.elements if tag != "a"]
    assert {tag for tag, _ in elements} <= OURS, "foreign text is markup"
    assert all(name == "class" for _, attributes in elements for name, _ in attributes)
    assert [attributes for tag, attributes in page.elements if tag == "a"] == [(("href", JOB),)]
    assert MARK not in page.prose, "foreign text is not code: GitLab looks for references in it"
    assert not set("@`<>") & set(page.prose)


@settings(max_examples=400, deadline=None)
@given(digests)
@example({"steps": [step("create", f"{MARK}\n/merge\n", f"{MARK}@all")]})
@example({"steps": [step("create", f"{MARK}:a:b\n/merge", "x")]})
@example({"steps": [], "diagnostics": [{"severity": "error", "message": f"{MARK}````\n```\n/merge\n````"}]})
@example(
    {
        "steps": [
            step(
                "create",
                "gitlab:index/repositoryFile:RepositoryFile",
                new={"filePath": f"{MARK}\n/merge", "content": f"{MARK}\n/merge\n````"},
            )
        ]
    }
)
def test_a_note_only_shows_what_a_preview_contains(digest: dict[str, Any]) -> None:
    preview = parse(json.dumps(digest))
    assert_only_shown(note("dev", preview, Origin(commit="0ff1ce5", job_url=JOB)))
    assert all(isinstance(number, int) for number in widget(preview).values())


EVIL = f"{MARK}\n/merge\n@all <b> ```"
POLICY = json.dumps({"Statement": {"Effect": "Allow", "Action": EVIL, "Resource": EVIL, "Principal": {"AWS": EVIL}}})
RULE = {"verbs": [EVIL], "apiGroups": [EVIL], "resources": [EVIL]}
CHANGED: dict[str, list[Any]] = {
    "policy": [POLICY],
    "assumeRolePolicy": [POLICY],
    "rules": [[RULE], EVIL, [{"verbs": [{}], "resources": [EVIL]}], [{"verbs": [EVIL], "resources": [3]}], [EVIL]],
    "values": [{"rbac": {"rules": [RULE]}, "runners": {"config": EVIL}}, EVIL],
}
"""Values of the properties that a danger looks into. All others are the same text."""


@pytest.mark.parametrize("operation", ["create", "update", "replace", "delete"])
@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_danger_only_shows_what_a_resource_contains(kind: str, operation: str) -> None:
    plain: dict[str, Any] = dict.fromkeys(PROPERTIES, EVIL)
    for variant in range(5):
        new = {**plain, **{key: found[variant % len(found)] for key, found in CHANGED.items()}}
        details = {EVIL: "update-replace", **dict.fromkeys(new, "update-replace")}
        changed = step(operation, kind, EVIL, {"forceDelete": True, "content": "x"}, new, details=details)
        preview = parse(json.dumps({"steps": [changed]}))
        assert_only_shown(note("dev", preview, Origin(commit="0ff1ce5", job_url=JOB)))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"parent": "x"}, "'x' is not the name of a resource"),
        ({"parent": 3}, "3 is not the name of a resource"),
        ({"dependencies": 3}, "dependencies is not a list of strings"),
        ({"dependencies": [[]]}, "dependencies is not a list of strings"),
        ({"inputs": [1]}, "inputs is not a mapping"),
        ({"outputs": "x"}, "outputs is not a mapping"),
        ({"additionalSecretOutputs": {"a": 1}}, "additionalSecretOutputs is not a list of strings"),
    ],
)
def test_a_state_of_another_form_is_refused(state: dict[str, Any], reason: str) -> None:
    changed = step("update", REPOSITORY)
    for key in ("oldState", "newState"):
        changed[key] |= state
    with pytest.raises(PreviewError) as caught:
        parse(json.dumps({"steps": [changed]}))
    assert reason in str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = replaced(value[place[0]], place[1:], new)
    return copy


@settings(max_examples=400, deadline=None)
@given(digests, st.data())
def test_a_preview_with_one_wrong_value_is_read_or_refused(digest: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(digest)))
    text = json.dumps(replaced(digest, place, data.draw(values)))
    refusal = ""
    try:
        assert_only_shown(note("dev", parse(text), Origin(commit="0ff1ce5", job_url=JOB)))
    except PreviewError as error:
        refusal = str(error)
    assert refusal == "" or re.match("This is not the output of `pulumi preview --json`|Unknown operation", refusal)
    assert len(refusal) < 500


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"steps": ' + "[" * 500 + "]" * 500 + "}", f'{{"steps": {"9" * 5000}}}']
)
def test_a_preview_that_is_too_deep_or_has_too_long_a_number_is_refused(text: str) -> None:
    with pytest.raises(PreviewError, match="is not the output of `pulumi preview --json`"):
        parse(text)


def test_a_preview_as_deep_as_resources_get_is_read() -> None:
    value: Any = "leaf"
    for _ in range(MAX_DEPTH // 2):
        value = {"a": value}
    changed = step("update", REPOSITORY, new={"spec": value}, details={"spec": "update"})
    assert "`spec`" in note("dev", parse(json.dumps({"steps": [changed]})))


def test_a_preview_that_is_not_utf_8_is_shown_with_marks(tmp_path: Path) -> None:
    file = tmp_path / "preview.json"
    file.write_bytes(b'{"steps": [], "diagnostics": [{"severity": "error", "message": "caf\xe9 \\ud800."}]}')
    main(["preview-report", "--stack", "dev", "--preview", str(file), "--note", str(tmp_path / "note.md")], {})
    assert "caf\N{REPLACEMENT CHARACTER} ." in (tmp_path / "note.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_resources_that_are_their_own_parents_are_in_no_component(length: int) -> None:
    names = [f"urn:pulumi:dev::buildyard::{REPOSITORY}::r{number}" for number in range(length)]
    made = [
        {"op": "create", "urn": urn, "newState": {"urn": urn, "custom": True, "parent": names[(number + 1) % length]}}
        for number, urn in enumerate(names)
    ]
    [component] = by_component(parse(json.dumps({"steps": made})).changes)
    assert (component.type, component.name, len(component.changes)) == ("pulumi:pulumi:Stack", "", length)


def test_a_policy_that_is_too_deep_is_not_compared() -> None:
    deep = '{"Statement": ' + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + "}"
    for document in (deep, "[" * 100_000):
        with pytest.raises(UnreadableError):
            iam_grants(document)


@pytest.mark.parametrize(
    ("pattern", "text", "covers"),
    [
        ("*", "", True),
        ("a*", "ab", True),
        ("a*b", "ab", True),
        ("a*b", "a", False),
        ("ab*ba", "aba", False),
        ("*ab*ab*", "xabyabz", True),
        ("*ab*ab*", "xab", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a?*", "a", False),
        ("*?b", "b", False),
        ("a.c", "abc", False),
    ],
)
def test_a_wildcard_covers_what_iam_lets_it_cover(pattern: str, text: str, covers: bool) -> None:
    assert rights._matches(pattern, text) is covers


@settings(max_examples=300, deadline=None)
@given(st.text("ab*?", max_size=7), st.text("ab", max_size=7))
def test_wildcards_match_as_the_same_regular_expression_does(pattern: str, text: str) -> None:
    """A regular expression is the simple way, but takes hours for a pattern with 50 wildcards."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert rights._matches(pattern, text) is (re.fullmatch(expression, text) is not None)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["eyJ-" * 200_000, "eyJ" * 200_000, "gl-" * 200_000, "://a:" * 200_000, "-----BEGIN " * 200_000]
)
def test_a_megabyte_that_begins_like_credentials_is_searched_in_seconds(text: str) -> None:
    assert redacted(text) == text
