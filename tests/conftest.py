"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --refresh-golden` writes the golden files anew, to be read in the diff before they are committed."""
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files anew")
