"""The sandbox's own output, beside that of the pulumi CLI."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sandbox.endpoints import Endpoints


class Terminal(Console):
    """A console whose reader may leave, as `head` does after its last line: the command goes on unseen."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_endpoints(console: Console, endpoints: Endpoints, data: Path) -> None:
    """The address of each service and provider, and the directory of the sandbox's data."""
    for name, value in (
        ("AWS", endpoints.aws),
        ("GitLab", endpoints.gitlab),
        ("Kubernetes", endpoints.kubernetes),
        *((f"{name} provider", f"127.0.0.1:{port}") for name, port in endpoints.providers.items()),
        ("data", str(data)),
    ):
        console.print(f"{name:20} {value}", soft_wrap=True)


def print_outputs(console: Console, outputs: Mapping[str, Any]) -> None:
    """A table of a stack's outputs, with a row for every leaf of a mapping; values stay whole, to be copied."""
    rows = list(_leaves("", outputs))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        shown = value if isinstance(value, str) else json.dumps(value)
        console.print(Text.assemble((f"{name:{width}}  ", "bold"), shown), soft_wrap=True)


def print_next_steps(console: Console, endpoints: Endpoints, projects: Iterable[str]) -> None:
    """Where to look at what was deployed; `projects` are the paths of the GitLab projects with a pipeline."""
    console.print(Text("\nWhere to look next", style="bold"))
    for project in projects:
        console.print(f"  pipeline:  git clone {endpoints.gitlab}/{project}.git", soft_wrap=True)
    aws = " ".join(f"{name}={value}" for name, value in endpoints.environment().items() if name.startswith("AWS_"))
    console.print(f"  AWS:       {aws} aws ecr describe-repositories", soft_wrap=True)
    console.print("  the rest:  make status", soft_wrap=True)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key in sorted(value):
        yield from _leaves(f"{name}.{key}" if name else key, value[key])
