"""The table of attacks in `docs/security.md`: it names the tests that there are, and all of them."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER = Path(__file__).parent
TEXT = (FOLDER.parents[1] / "docs" / "security.md").read_text(encoding="utf-8")


def rows() -> Iterator[tuple[str, list[str]]]:
    """The wishes of attackers, each with the patterns of the tests that show it refused."""
    [table] = re.findall(r"^\| they want .*\n\|[- |]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    for line in table.splitlines():
        wanted, *_, tests = [cell.strip() for cell in line.strip("|").split(" | ")]
        yield wanted, [each.replace("…", "*") for each in re.findall(r"`([^`]+)`", tests)]


def functions() -> dict[str, str]:
    """The name of each test of this folder except these, and its file's name."""
    return {
        node.name: file.name
        for file in sorted(FOLDER.glob("test_*.py"))
        if file.name != Path(__file__).name
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def matching(pattern: str) -> set[str]:
    return {name for name, file in functions().items() if fnmatchcase(name, pattern) or file == pattern}


def test_each_row_names_tests_that_exist() -> None:
    found = list(rows())
    assert len(found) > 10, "the table was not found"
    for wanted, patterns in found:
        assert patterns, f"no test is named that shows what stops: {wanted}"
        for pattern in patterns:
            assert matching(pattern), f"no test is named like {pattern}"


def test_each_attack_is_in_the_table() -> None:
    named = {name for _, patterns in rows() for pattern in patterns for name in matching(pattern)}
    assert functions().keys() - named == set(), "attacks that readers of the table do not learn of"
