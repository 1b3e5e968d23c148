"""The things that documents name exist: linked files and headings, settings, commands, files of README's tables."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stacks.schema import schema
from stacks.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    {ROOT / "README.md", ROOT / "SECURITY.md"}
    | {path for folder in ("bootstrap", "docs", "images", "sandbox") for path in (ROOT / folder).rglob("*.md")}
)
KEYS = {field.alias or name for name, field in Settings.model_fields.items()}
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def tokens(document: Path) -> tuple[Token, ...]:
    parser = MarkdownIt("commonmark").enable("table")
    return tuple(walk(parser.parse(document.read_text(encoding="utf-8"))))


def walk(found: list[Token]) -> Iterator[Token]:
    for token in found:
        yield token
        yield from walk(token.children or [])


def codes(document: Path) -> list[str]:
    return [token.content for token in tokens(document) if token.type in ("code_inline", "fence", "code_block")]


def targets(document: Path) -> list[str]:
    """The targets of links and pictures."""
    attributes = {"link_open": "href", "image": "src"}
    return [str(token.attrGet(attributes[token.type])) for token in tokens(document) if token.type in attributes]


@cache
def anchors(document: Path) -> frozenset[str]:
    """The anchors that GitLab gives the headings.

    Source: https://docs.gitlab.com/user/markdown/#heading-ids-and-links
    """
    found = tokens(document)
    texts = [
        "".join(part.content for part in found[position + 1].children or [] if part.type in ("text", "code_inline"))
        for position, token in enumerate(found)
        if token.type == "heading_open"
    ]
    return frozenset(re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in texts)


@each_document
def test_linked_files_and_headings_exist(document: Path) -> None:
    broken = []
    for target in targets(document):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = document.parent / path if path else document
        if not file.exists() or (anchor and anchor not in anchors(file.resolve())):
            broken.append(target)
    assert broken == []


@each_document
def test_named_settings_exist(document: Path) -> None:
    pattern = re.compile(rf"(?:buildyard:)?((?:{'|'.join(sorted(KEYS))}|images\[\])(?:\.[a-z0-9*-]+|\[\])+)(?::.*)?")
    named = {found[1] for text in codes(document) if (found := pattern.fullmatch(text))}
    named = {key for key in named if not key.endswith((".com", ".io"))}  # registries are hosts, too
    assert [key for key in sorted(named) if not exists(key)] == [], "people would search for these keys in vain"


def exists(key: str) -> bool:
    """Whether the schema has this key. `*` stands for any text, and `[]` for an item of a list."""
    document = schema()
    keys = document["properties"]["config"]["properties"]
    settings = {"properties": {name.removeprefix("buildyard:"): node for name, node in keys.items()}}
    path = re.sub(r"^images\[\]", "projects[].images[]", key).replace("[]", ".[]").removesuffix(".*")

    def at(node: Mapping[str, Any], steps: list[str]) -> bool:
        if not steps:
            return True
        if "$ref" in node:
            return at(document["$defs"][node["$ref"].rpartition("/")[2]], steps)
        first, *others = steps
        inner = [each for name, each in node.get("properties", {}).items() if fnmatchcase(name, first)]
        inner += [node.get("additionalProperties")]
        inner += [node.get("items")] if first == "[]" else node.get("patternProperties", {}).values()
        choices = [each for kind in ("anyOf", "oneOf") for each in node.get(kind, ())]
        return any(at(each, others) for each in inner if isinstance(each, dict)) or any(
            at(each, steps) for each in choices
        )

    return at(settings, path.split("."))


@each_document
def test_named_commands_exist(document: Path) -> None:
    text = "\n".join(codes(document))
    modules = set(re.findall(r"\bpython -m ([a-z_.]+)", text)) - {"venv"}
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []
    made = set(re.findall(r"^make ([a-z]+)\b", text, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in sorted(made) if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []


def cells(column: int, head: str) -> list[str]:
    """The inline codes in one column of the table of README whose head has this first cell."""
    found = tokens(ROOT / "README.md")
    begin = next(at for at, token in enumerate(found) if token.type == "inline" and token.content == head)
    end = next(at for at in range(begin, len(found)) if found[at].type == "table_close")
    place, inside = -1, list[str]()
    for token in found[begin:end]:
        if token.type == "tr_open":
            place = -1
        elif token.type == "td_open":
            place += 1
        elif token.type == "code_inline" and place == column:
            inside.append(token.content)
    return inside


def test_readme_has_every_group_of_settings() -> None:
    assert not KEYS - set(cells(0, "key"))


def test_readme_says_where_to_change_things() -> None:
    files = [name for name in cells(1, "to change") if "STACK" not in name and " " not in name]
    assert len(files) > 40
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_every_package_is_in_the_table_of_changes() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    packages = {path.split("/")[0] for path in tracked if re.fullmatch(r"[a-z]+/__init__\.py", path)} - {"benchmarks"}
    named = {name.split("/")[0] for name in cells(1, "to change")}
    assert packages <= named, "a newcomer would not find what is in there"
