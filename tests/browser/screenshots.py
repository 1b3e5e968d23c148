"""The pictures in the README: `python -m tests.browser.screenshots` draws them anew.

They show the real note of a real preview, and the real CLI's output, of an edit of the sandbox's stack.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from delivery.note import note
from delivery.preview import parse
from sandbox.scratch import ScratchProject, scratch_project
from tests.browser.install import missing
from tests.browser.page import Page, Theme, markdown

DOCS = Path(__file__).parents[2] / "docs"
NOTE, TERMINAL = DOCS / "preview-note.png", DOCS / "sandbox.png"

_NOTE_WIDTH, _COLUMNS = 1000, 116


def edit(config: dict[str, Any]) -> None:
    """What the pictures show: other nodes for arm64."""
    config["buildyard:nodes"]["arm64"]["instance-types"] = ["m8g.4xlarge"]


def main() -> int:
    """Draw the pictures; return the exit status."""
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    with scratch_project() as project:
        _run(project, "up")
        with project.edited(edit):
            _draw_note(_run(project, "preview", "--json"))
            _draw_terminal(_run(project, "preview", "--color", "always"))
    print(f"Drawn: {NOTE}, {TERMINAL}.")
    return 0


def _draw_note(preview: str) -> None:
    page = markdown(note("sandbox", parse(preview)), Theme.GITLAB_LIGHT, _NOTE_WIDTH)
    page.picture(NOTE, int(page.measure()["height"]))


def _draw_terminal(output: str) -> None:
    console = Console(record=True, width=_COLUMNS, file=subprocess.DEVNULL and open("/dev/null", "w"))  # noqa: SIM115
    console.print(Text.from_ansi(f"$ make preview\n{output}".rstrip()))
    html = console.export_html(inline_styles=True)
    page = Page(html=html, width=900)
    page.picture(TERMINAL, 700)


def _run(project: ScratchProject, *arguments: str) -> str:
    done = project.sandbox(*arguments)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
