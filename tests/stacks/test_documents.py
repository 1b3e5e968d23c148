"""YAML and JSON are read strictly: one meaning, bounded time, and no value in a message."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks import documents
from stacks.documents import MAX_DEPTH, MAX_VALUES, DocumentError, Tagged, encrypted, read_json, read_yaml


def faults(text: str | bytes) -> dict[str, str]:
    """The messages of a YAML document's faults, by location."""
    with pytest.raises(DocumentError) as caught:
        read_yaml(text if isinstance(text, bytes) else text.encode())
    assert all(fault.hint for fault in caught.value.faults)
    return {".".join(map(str, fault.location)): fault.message for fault in caught.value.faults}


def json_fault(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        read_json(text)
    [fault] = caught.value.faults
    return fault.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("True", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("1:30", "1:30"),
        ("017", 15),
        ("0o17", 15),
        ("0x1F", 31),
        ("-1_000", -1000),
        ("0128", 128.0),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("'2026-01-01'", "2026-01-01"),
        ("!!str 3", "3"),
        ("[a, 1]", ["a", 1]),
    ],
)
def test_a_scalar_is_what_the_pulumi_cli_takes_it_for(text: str, value: object) -> None:
    assert read_yaml(f"key: {text}".encode()) == {"key": value}, "the printed pipeline would not be the published one"


@pytest.mark.parametrize(
    ("text", "location", "message"),
    [
        ("a: {b: 1, b: 2}", "a.b", "is there twice, line 1, column 11"),
        ("a: {3: x}", "a", "has a key that is not a string: 3, line 1, column 5"),
        ("null: x", "", "has a key that is not a string: null, line 1, column 1"),
        ("? [a]\n: x", "", "has a key that is a list or a mapping, line 1, column 3"),
        ("a: [2026-01-01]", "a.0", "is a date, which settings cannot contain"),
        ("a: !!binary aGk=", "a", "is tagged binary, which settings cannot contain"),
        ("a: !foo x", "a", "is tagged !foo, which settings cannot contain"),
        ("a: !!int x", "a", "cannot be read as int, line 1, column 4"),
        (f"a: {'9' * 5000}", "a", "cannot be read as int, line 1, column 4"),
        (f"a: 0x{'f' * 5000}", "a", "cannot be read as int, line 1, column 4"),
        ('a: "x\\0"', "a", "contains NUL or half a character"),
        ("a: {<<: 3}", "a.<<", "does not merge a mapping"),
        ("a: {<<: {b: 1}, <<: {c: 1}}", "a.<<", "is there twice, line 1, column 17"),
        ("a: &a [*a]", "", "contains the alias *a within its own anchor, line 1, column 8"),
        ("a: *b", "", "is not YAML: found undefined alias, line 1, column 4"),
        ("a: [", "", "is not YAML: did not find expected node content, line 2, column 1"),
        ("a: b\n---\nc: d", "", "is not YAML: but found another document, line 2, column 1"),
        ("a: \0", "", "is not YAML: unacceptable character #x0000: control characters are not allowed"),
        (b"a: b\nc: \xff", "", "is not UTF-8, in line 2"),
        ("a: b".encode("utf-16"), "", "is not UTF-8, in line 1"),
    ],
)
def test_an_ambiguous_or_broken_document_is_refused_at_its_place(
    text: str | bytes, location: str, message: str
) -> None:
    assert faults(text) == {location: message}


def test_all_faults_of_a_document_are_reported() -> None:
    assert list(faults("{a: 2026-01-01, b: {c: 1, c: 2}, d: !foo x}")) == ["a", "b.c", "d"]


@pytest.mark.parametrize("brackets", ["[", "{a: "])
def test_a_document_is_refused_by_its_depth_before_it_is_built(brackets: str) -> None:
    assert faults(f"a: {brackets * 100_000}") == {"": f"is nested deeper than {MAX_DEPTH} levels"}
    assert read_yaml(f"{'[' * MAX_DEPTH}{']' * MAX_DEPTH}".encode())


def test_a_billion_laughs_are_counted_and_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_Builder", None)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    assert faults("\n".join(lines)) == {"": f"has more than {MAX_VALUES:,} values, aliases written out"}


def test_aliases_and_merged_mappings_are_written_out() -> None:
    text = "base: &base {x: {y: 1}, z: 1}\nother: &other {z: 2, w: 3}\n"
    text += "one: {<<: *base, z: 5}\ntwo: {<<: [*base, *other]}\nthree: *base"
    value = read_yaml(text.encode())
    assert value["one"] == {"x": {"y": 1}, "z": 5}
    assert value["two"] == {"x": {"y": 1}, "z": 1, "w": 3}, "the first of several merged mappings counts, as in Go"
    value["three"]["x"]["y"] = 2
    assert value["base"]["x"]["y"] == 1, "the repair of one problem would change another place"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "contains a mapping with two keys 'a'"),
        ('{"a": ', "is not JSON: Expecting value, line 1, column 7"),
        ("[NaN]", "contains NaN, which is not a number in JSON"),
        ("[" * 100_000, f"is nested deeper than {MAX_DEPTH} levels"),
        ("[" * 60 + "]" * 60, f"is nested deeper than {MAX_DEPTH} levels"),
        (f"[{'9' * 5000}]", "contains a number that is too long"),
        ('["\\ud800"]', "contains NUL or half a character"),
        ('{"\\u0000": 1}', "contains NUL or half a character"),
    ],
)
def test_json_is_read_as_strictly(text: str, message: str) -> None:
    assert json_fault(text) == message


def test_encrypted_values_are_found_wherever_they_are() -> None:
    value = read_yaml(b"a: {secure: x}\nb: [{c: {secure: y}}, {secure: z, other: 1}]")
    assert list(encrypted(value)) == [("a",), ("b", 0, "c")]


def outcome(read: Callable[[Any], Any], document: object) -> Any:
    """The document's value, or its faults."""
    try:
        return read(document)
    except DocumentError as error:
        return error.faults


def plain(value: Any) -> bool:
    """Whether the value is made of what JSON has, with readable texts."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(key) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    if isinstance(value, str):
        return "\0" not in value and value.encode() is not None
    return value is None or isinstance(value, (bool, int, float))


_SIGNS = "ab:[]{}&*!<>?-# ,\n'\"|%@0129.x\0é\u2028\t"


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | st.text(_SIGNS, max_size=80).map(str.encode))
def test_any_document_is_read_or_refused(data: bytes) -> None:
    found = outcome(read_yaml, data)
    assert (isinstance(found, tuple) and all(fault.message and fault.hint for fault in found)) or plain(found)


@settings(max_examples=300, deadline=None)
@given(st.text('{}[]",:\\u0d1289eE+-.ntfals ', max_size=60))
def test_any_json_is_read_or_refused(text: str) -> None:
    found = outcome(read_json, text)
    assert (isinstance(found, tuple) and all(fault.message and fault.hint for fault in found)) or plain(found)


def test_a_tag_that_the_reader_knows_stays_with_its_value() -> None:
    tagged = Tagged(tag="!reference", value=["a", "script"])
    assert read_yaml(b"b: [!reference [a, script]]", tags=["!reference"]) == {"b": [tagged]}
    assert read_yaml(b"b: [!reference [a, script]]") == {"b": [["a", "script"]]}
    with pytest.raises(DocumentError, match="NUL"):
        read_yaml(b'b: !reference ["\\0"]', tags=["!reference"])
