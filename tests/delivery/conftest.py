"""Golden notes: the notes as files, so that a diff shows how they change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.conftest import gitlab_ci_local

__all__ = ["gitlab_ci_local"]  # a fixture

Golden = Callable[[str, str], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(name, text)` fails if the text differs from the file `golden/name`; `--refresh-golden` rewrites it."""

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--refresh-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; write it with --refresh-golden, and read it"
        assert text == path.read_text(encoding="utf-8"), f"reviewers no longer read what is in {path}"

    return check
