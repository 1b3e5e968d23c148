"""The pictures in the README: `python -m tests.browser.screenshots` draws them anew.

They show the real CLI's output on the sandbox, and the real note of a real preview there.
"""

import io
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from delivery.note import note
from delivery.preview import parse
from sandbox.scratch import ScratchProject, scratch_project
from stacks.config import region
from tests.browser.install import missing
from tests.browser.page import Page, Theme, markdown

DOCS = Path(__file__).parents[2] / "docs"
NOTE, TERMINAL = DOCS / "preview-note.png", DOCS / "sandbox.png"

_NOTE_WIDTH, _NOTE_HEIGHT = 1000, 1300
_TERMINAL_WIDTH, _LINE_HEIGHT, _COLUMNS = 1000, 20, 120
_TERMINAL_STYLE = (
    "body { margin: 12px; background: #fff } code { font: 13px/18px 'DejaVu Sans Mono', monospace } pre { margin: 0 }"
)


def edit(config: dict[str, Any]) -> None:
    """The edit that the note shows: other nodes for arm64."""
    config["buildyard:nodes"]["arm64"]["instance-types"] = ["m7g.8xlarge"]


def main() -> int:
    """Draw the pictures; return the exit status."""
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    with scratch_project() as project:
        _draw_terminal(_run(project, "up", "--color", "always"))
        with project.edited(edit):
            _draw_note(_run(project, "preview", "--json", "--show-sames"))
    print(f"Drawn: {NOTE}, {TERMINAL}.")
    return 0


def _draw_note(preview: str) -> None:
    text = note("sandbox", parse(preview), region=region("sandbox"))
    markdown(text, Theme.GITLAB_LIGHT, _NOTE_WIDTH).picture(NOTE, _NOTE_HEIGHT)


def _draw_terminal(output: str) -> None:
    """Draw the end of the CLI's output: the counts, the outputs, and where to look next."""
    lines = output.rstrip().splitlines()
    first = max(number for number, line in enumerate(lines) if "Resources:" in line)
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi("\n".join(["$ make up", "...", *lines[first:]])))
    html = console.export_html(inline_styles=True, clear=False).replace("</style>", f"{_TERMINAL_STYLE}</style>")
    height = console.export_text().count("\n") * _LINE_HEIGHT + 32
    Page(html=html, width=_TERMINAL_WIDTH).picture(TERMINAL, height)


def _run(project: ScratchProject, *arguments: str) -> str:
    done = project.sandbox(*arguments)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
