"""The browser of these tests."""

import os

import pytest

from tests.browser.install import missing


@pytest.fixture(scope="session", autouse=True)
def browser() -> None:
    """A browser that draws diagrams. In CI, a missing program is a failure."""
    if reason := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
