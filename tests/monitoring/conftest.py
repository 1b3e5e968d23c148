"""A stack to watch, and Prometheus' promtool."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring.alerts import Watched, alert_rules
from tests.monitoring.install import COMMAND, PROMTOOL

Promtool = Callable[..., subprocess.CompletedProcess[str]]

NAMESPACES = ("buildyard-prod", "buildyard-prod-unprotected")
MANAGER = "buildyard-prod-arm64"


@pytest.fixture
def watched() -> Watched:
    """A stack with two tiers and one architecture."""
    return Watched(
        stack="prod",
        namespaces=NAMESPACES,
        managers=[MANAGER, "buildyard-prod-unprotected-arm64"],
        projects=["platform/images"],
        node_wait_minutes=10,
    )


@pytest.fixture
def promtool() -> Promtool:
    """Run promtool; it needs no server."""
    if not PROMTOOL.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"promtool is not installed: {COMMAND}")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)

    return run


def rules_file(folder: Path, rules: list[dict[str, Any]]) -> Path:
    """A file of Prometheus rules."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "test", "rules": rules}]}))
    return path


@pytest.fixture
def alerts_file(tmp_path: Path, watched: Watched) -> Path:
    """The stack's alerts, as a file of Prometheus rules."""
    return rules_file(tmp_path, alert_rules(watched))
