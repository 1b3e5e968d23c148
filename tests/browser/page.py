"""Pages of Markdown in a real browser, about as GitLab and GitHub show them.

Their own renderers and styles cannot be had. Here, markdown-it renders the Markdown (CommonMark and tables), a style
of a few lines lays it out at the width that these sites give to a text, and Mermaid draws with their settings.
"""

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from tests.browser.install import MERMAID, chromium

_MEASURE = Path(__file__).with_name("measure.js")
_SECONDS = 120
_STYLE = """
body { margin: 0; padding: 12px; font: 14px/1.5 "Liberation Sans", sans-serif; overflow-wrap: break-word }
code { font: 12.5px "DejaVu Sans Mono", monospace; padding: 1px 4px; border-radius: 4px }
pre code { padding: 0 } pre { overflow-x: auto; padding: 8px }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { border: 1px solid #8886; padding: 4px 8px; text-align: left; vertical-align: top }
"""


class Theme(Enum):
    """The colours of a site, and its settings of Mermaid.

    Sources: `initMermaid` in GitLab's `app/assets/javascripts/lib/mermaid.js`, which keeps `securityLevel` and
    `htmlLabels` from being changed by a diagram; GitHub's are Mermaid's defaults.
    """

    GITLAB_LIGHT = ("neutral", "#fff", "#3a383f", "#ececef")
    GITLAB_DARK = ("dark", "#18171d", "#ececef", "#3a383f")
    GITHUB_LIGHT = ("default", "#fff", "#1f2328", "#eff1f3")
    GITHUB_DARK = ("dark", "#0d1117", "#f0f6fc", "#262c36")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of Mermaid."""
        flowchart = {"useMaxWidth": True, "htmlLabels": True}
        return {"startOnLoad": False, "theme": self.value[0], "securityLevel": "strict", "flowchart": flowchart}

    @property
    def style(self) -> str:
        """The colours of the page, as CSS."""
        _, ground, ink, code = self.value
        return f"body {{ background: {ground}; color: {ink} }} code, pre {{ background: {code} }}"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page, `width` pixels wide without its margins."""

    html: str
    width: int

    def measure(self) -> dict[str, Any]:
        """The measures of the page's diagrams, by `measure.js`."""
        dom = _chromium(self, "--dump-dom")
        found = re.search(r'<script id="measured"[^>]*>(.*?)</script>', dom, re.DOTALL)
        assert found, f"the browser gave no page:\n{dom[:2000]}"
        result: dict[str, Any] = json.loads(found[1])
        return result

    def picture(self, path: Path, height: int) -> None:
        """Write a PNG of the upper `height` pixels of the page."""
        _chromium(self, f"--screenshot={path}", height=height)


def markdown(text: str, theme: Theme, width: int) -> Page:
    """The page of a Markdown text, with its Mermaid diagrams."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    script = f"{_MEASURE.read_text()}\ndraw({json.dumps(theme.settings)});"
    head = f"<meta charset=utf-8><style>{_STYLE}{theme.style}</style>"
    result = '<script id="measured" type="application/json"></script>'
    return Page(
        html=f'<!doctype html>{head}{body}{result}<script src="{MERMAID.as_uri()}"></script><script>{script}</script>',
        width=width,
    )


def _chromium(page: Page, action: str, height: int = 800) -> str:
    """Run Chromium on the page, without a network, and return what it prints."""
    command = chromium()
    assert command, "the browser is missing"
    with tempfile.TemporaryDirectory(prefix="buildyard-browser-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, "page.html")
        file.write_text(page.html, encoding="utf-8")
        done = subprocess.run(
            [
                command,
                "--headless",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's own does not work for root
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--force-color-profile=srgb",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={folder}/profile",
                f"--window-size={page.width + 24},{height}",
                "--virtual-time-budget=30000",
                action,
                file.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
