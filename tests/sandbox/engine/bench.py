"""A small project on disk with a stack and a fake provider, for tests that run whole operations."""

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.engine import operation
from sandbox.engine.journal import Silence
from sandbox.engine.operation import Report, Stack
from sandbox.engine.resource import ResourceState
from tests.sandbox.engine.fake_provider import FakeProvider

PRELUDE = """
import pulumi
from pulumi import ResourceOptions as Options

class Thing(pulumi.CustomResource):
    arn: pulumi.Output[str]
    secret: pulumi.Output[str]

    def __init__(self, resource_name, opts=None, /, **inputs):
        opts = Options.merge(Options(version="1.2.3"), opts)
        super().__init__("fake:index:Thing", resource_name, {"arn": None, "secret": None, **inputs}, opts)

class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("demo:index:Group", name, {}, opts)

class Provider(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **inputs):
        super().__init__("fake", name, inputs, opts)
"""
PASSPHRASE = "correct horse"


@dataclass
class Bench:
    """Write a program, then operate on its stack."""

    root: Path
    provider: FakeProvider
    port: int
    edits: int = 0
    environment: dict[str, str] = field(default_factory=lambda: {**os.environ, "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE})

    def program(self, text: str) -> None:
        path = self.root / "__main__.py"
        path.write_text(PRELUDE + textwrap.dedent(text))
        # Python takes its compiled form for current when the time in seconds and the size are the same.
        self.edits += 1
        os.utime(path, (self.edits, self.edits))

    def configure(self, text: str) -> None:
        (self.root / "stacks" / "Pulumi.sandbox.yaml").write_text(textwrap.dedent(text))

    def stack(self) -> Stack:
        return operation.open_stack(
            "sandbox",
            project_root=self.root,
            data=self.root / "data",
            ports={"fake": self.port},
            environment=self.environment,
        )

    def preview(self, *, refresh: bool = False) -> Report:
        return operation.preview(self.stack(), Silence(), with_refresh=refresh)

    def update(self, *, refresh: bool = False) -> Report:
        return operation.update(self.stack(), Silence(), with_refresh=refresh)

    def destroy(self) -> Report:
        return operation.destroy(self.stack(), Silence())

    def deploy(self, program: str) -> Report:
        """Write the program and update; it has to succeed."""
        self.program(program)
        report = self.update()
        assert report.ok, errors(report)
        self.provider.calls.clear()
        return report

    def resources(self) -> dict[str, ResourceState]:
        """The saved resources by name."""
        return {state.urn.rpartition("::")[2]: state for state in self.stack().file.load()[0]}

    def state_text(self) -> str:
        return self.stack().file.path.read_text()

    def start_update(self) -> "subprocess.Popen[str]":
        """Update in a process of its own, which a test may interrupt or kill."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.sandbox.engine.updating", str(self.root), str(self.port)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def operations(report: Report) -> dict[str, str]:
    """What was done, by the resource's name; only what changed something."""
    return {
        step.urn.rpartition("::")[2]: str(step.operation)
        for step in report.journal.steps
        if str(step.operation) not in ("same", "refresh") and not step.operation.is_part
    }


def errors(report: Report) -> list[str]:
    return [message.text for message in report.journal.messages if message.severity == "error"]


def warnings(report: Report) -> list[str]:
    return [message.text for message in report.journal.messages if message.severity == "warning"]
