"""Tests that the builder image has the tools that the published scripts call, in the versions of `stacks`."""

import re
from pathlib import Path

import pytest

from pipeline import scripts
from stacks.versions import BUILDKIT_VERSION

FOLDER = Path(__file__).parents[2] / "images" / "builder"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def test_buildkit_is_of_the_version_that_the_stack_names() -> None:
    assert f"FROM moby/buildkit:v{BUILDKIT_VERSION}-rootless@" in DOCKERFILE
    assert f"moby/buildkit:v{BUILDKIT_VERSION}-rootless" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    ("tool", "source"),
    [
        ("crane", "cmd/crane@"),
        ("ecr-login", "docker-credential-ecr-login@"),
        ("python3", "apk add --no-cache aws-cli python3"),
        ("buildctl-daemonless.sh", "FROM moby/buildkit:"),
    ],
)
def test_every_tool_that_jobs_call_is_installed(tool: str, source: str) -> None:
    called = scripts.shell("login.sh") + scripts.shell("build.sh") + scripts.function("publish_image", "publish.py")
    assert tool in called
    assert source in DOCKERFILE, f"jobs would fail: {tool} is missing"


def test_every_version_is_pinned_and_the_image_does_not_run_as_root() -> None:
    assert not re.search(r":latest|@latest", DOCKERFILE)
    for line in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert re.fullmatch(r"\S+:[\w.-]+@sha256:[0-9a-f]{64}", line), f"{line} could be another image tomorrow"
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "1000:1000"
