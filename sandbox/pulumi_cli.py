"""The pulumi CLI as the sandbox's engine: it deploys the same program through the same providers.

Everything of the CLI's own (home, backend, the stack's settings with the salt that it adds to them) lies under the
sandbox's data directory: nothing is written to the work tree, and none of the user's own stacks is ever in reach.

The state is in one place at a time. An operation moves it here from the embedded engine's file, by `pulumi stack
import`, and `hand_back` moves it there; the file, where there is one, counts.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from sandbox.engine.display import Terminal
from sandbox.engine.errors import EngineError
from sandbox.engine.interrupt import INTERRUPTED
from sandbox.engine.lock import stack_lock
from sandbox.engine.operation import Stack
from sandbox.engine.state import StateFile
from sandbox.services.document import write_private

# It brings the language host for Python along, without which it cannot run a program.
_COMMANDS = ("pulumi", "pulumi-language-python")
# These take, and need, the name of the settings' copy.
_RUN_THE_PROGRAM = ("up", "preview", "refresh", "destroy")
# What a person shall see of an operation; outputs are printed alike for both engines.
_SHOWN = ("--yes", "--suppress-outputs", "--suppress-permalink=true")


def installed() -> bool:
    """Whether the CLI is on PATH, complete."""
    return all(map(shutil.which, _COMMANDS))


class PulumiCli:
    """Operates on the sandbox's stack. Operations return an exit code: 0, 1, or 130 if interrupted."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._home = stack.data / "pulumi"
        self._settings = self._home / "project" / f"Pulumi.{stack.name}.yaml"

    @property
    def name(self) -> str:
        return " ".join(["pulumi", *self._ask("version").split(), f"({shutil.which('pulumi')})"])

    def preview(self, *, refresh: bool, diff: bool = False, as_json: bool = False) -> int:
        options = [option for option, wanted in (("--diff", diff), ("--json", as_json)) if wanted]
        return self.run(["preview", *options, *_refreshing(refresh), *self._selection])

    def up(self, *, refresh: bool) -> int:
        """Preview and deploy."""
        return self.run(["up", *_SHOWN, *_refreshing(refresh), *self._selection])

    def destroy(self) -> int:
        resources, _ = self.state().load()
        has_hooks = any(resource.resource_hooks for resource in resources)
        return self.run(["destroy", *_SHOWN, *(["--run-program"] if has_hooks else []), *self._selection])

    def run(self, arguments: Sequence[str]) -> int:
        """Run a command of the CLI as a user wrote it."""
        with self._locked():
            self._take_over()
            directory, options = self._settings.parent, []
            if arguments and arguments[0] in _RUN_THE_PROGRAM:
                directory, options = self._stack.project.root, ["--config-file", str(self._settings)]
            with _interruptions_left_to_the_child() as interrupted:
                done = subprocess.run(
                    ["pulumi", *arguments, *options], cwd=directory, env=self._environment, check=False
                )
        if done.returncode and interrupted:
            return INTERRUPTED
        return 1 if done.returncode else 0

    def state(self) -> StateFile:
        """The state, wherever it is; a copy if it is the CLI's."""
        if not self._stack.file.lent:
            return self._stack.file
        copy = self._home / "exported.json"
        write_private(copy, self._ask("stack", "export", *self._selection))
        return StateFile(copy, self._stack.passphrase)

    def hand_back(self) -> None:
        """Give the state, if it is here, to the embedded engine."""
        with self._locked():
            if self._stack.file.lent:
                _say("The state of the stack moves from the pulumi CLI to the embedded engine.")
                self._stack.file.take_back(self._ask("stack", "export", *self._selection))

    def _take_over(self) -> None:
        """Have the stack here, with its state and its settings as they are now."""
        self._write_settings()
        if self._stack.file.lent:
            return
        stacks = json.loads(self._ask("stack", "ls", "--json"))
        if not any(stack["name"] == self._stack.name for stack in stacks):
            self._ask("stack", "init", "--no-select", *self._selection)
        if self._stack.file.path.exists():
            _say("The state of the stack moves from the embedded engine to the pulumi CLI.")
            self._ask("stack", "import", *self._selection, "--file", str(self._stack.file.path))
        self._stack.file.lend()

    def _write_settings(self) -> None:
        """Copy the stack's settings, and keep the salt that the CLI added to the last copy."""
        text = self._stack.project.stack_file(self._stack.name).read_text(encoding="utf-8")
        if "encryptionsalt" not in yaml.safe_load(text) and self._settings.exists():
            salt = yaml.safe_load(self._settings.read_text(encoding="utf-8")).get("encryptionsalt")
            text += f"\nencryptionsalt: {salt}\n" if salt else ""
        write_private(self._settings, text)
        project = {"name": self._stack.project.name, "runtime": "python"}
        write_private(self._settings.with_name("Pulumi.yaml"), yaml.safe_dump(project))
        (self._home / "backend").mkdir(exist_ok=True)

    def _ask(self, *arguments: str) -> str:
        """Run a command that deploys nothing: its output."""
        directory = self._settings.parent
        directory.mkdir(parents=True, exist_ok=True)
        command = ["pulumi", *arguments, "--non-interactive"]
        done = subprocess.run(
            command, cwd=directory, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise EngineError(f"`{' '.join(command)}` failed:\n{done.stderr.strip() or done.stdout.strip()}")
        for line in done.stderr.splitlines():
            if line.startswith("warning"):
                _say(line)
        return done.stdout

    @property
    def _selection(self) -> tuple[str, str]:
        return "--stack", self._stack.name

    @property
    def _environment(self) -> dict[str, str]:
        """The program's, with none of the user's own settings for the CLI: they may name another backend."""
        kept = {
            name: value
            for name, value in self._stack.environment.items()
            if not name.startswith("PULUMI_") or name == "PULUMI_DEBUG_PROVIDERS"
        }
        return kept | {
            "PULUMI_HOME": str(self._home / "home"),
            "PULUMI_BACKEND_URL": f"file://{self._home / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": self._stack.passphrase,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep both engines off the stack."""
        with stack_lock(self._stack.file.path.with_suffix(".lock"), notice=_say):
            self._break_stale_lock()
            yield

    def _break_stale_lock(self) -> None:
        """Take away the CLI's own lock if its holder was killed.

        Raises EngineError if that one is at work, as it is when only the sandbox's command was killed.
        """
        for path in (self._home / "backend" / ".pulumi" / "locks").rglob("*.json"):
            holder = json.loads(path.read_text(encoding="utf-8"))["pid"]
            if _runs(holder):
                raise EngineError(
                    f"The stack is in use: `pulumi` (process {holder}) works on it. Wait until it is done."
                )
            path.unlink()


def _say(text: str) -> None:
    """Tell the user something, on standard error: a preview's JSON may be on standard output."""
    Terminal(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)


def _runs(process: int) -> bool:
    """Whether a process is at work: one that was killed may still be listed, where no init collects the dead."""
    try:
        os.kill(process, 0)
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process, or a system without /proc
        return True
    return status.rpartition(") ")[2][0] != "Z"


def _refreshing(wanted: bool) -> list[str]:
    return ["--refresh"] if wanted else []


@contextmanager
def _interruptions_left_to_the_child() -> Iterator[list[int]]:
    """A terminal's Ctrl-C reaches the CLI too, which ends in good order: wait for that. Collects what came."""
    received: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
