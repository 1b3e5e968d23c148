"""Options of the test run, and the deployed stack that tests of several rooms look at."""

from collections.abc import Iterator

import pytest

from sandbox.scratch import ScratchProject, scratch_project


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --refresh-golden` writes the golden files anew, to be read in the diff before they are committed."""
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files anew")


@pytest.fixture(scope="session")
def deployed() -> Iterator[ScratchProject]:
    """The shipped stack, deployed. Its tests deploy nothing, undo what they edit, and share it."""
    with scratch_project() as project:
        done = project.sandbox("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield project
