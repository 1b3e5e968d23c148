"""Options of pytest."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--refresh-golden`, which rewrites the golden files. Read their diff before you commit them."""
    parser.addoption("--refresh-golden", action="store_true", help="rewrite the golden files")
