"""The pulumi CLI on the sandbox's stack: it deploys this very program through the sandbox's providers.

All that the CLI reads and writes is in the sandbox's data: its home, its `file://` backend, the passphrase, and a copy
of the project's and the stack's settings, to which it adds a salt. It writes nothing to the work tree, and cannot reach
a stack, home or backend of the user's own.
"""

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from sandbox.endpoints import Endpoints
from sandbox.engine.arguments import runs_the_program
from sandbox.engine.disk import reserve
from sandbox.engine.errors import EngineError
from sandbox.services.document import write_private
from stacks import config
from stacks.names import SANDBOX
from stacks.problems import SettingsError

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

_ROOT = Path(__file__).parents[2]
_NO_PROGRAM = "127.0.0.1:0"  # for commands that run none


@contextmanager
def open_stack(
    command: Path,
    data: Path,
    endpoints: Endpoints,
    root: Path = _ROOT,
    folder: str = "",
    *,
    stack: str = SANDBOX,
) -> Iterator["PulumiCli"]:
    """The CLI at `command` with the sandbox's stack, which is locked, and created if there is none.

    `data` is the sandbox's directory, `root` the work tree, `folder` the one in it that holds another project than the
    platform's. Only tests have another `stack` there. Raises EngineError if another command uses the stack.
    """
    with alone(data) as lock:
        cli = PulumiCli(
            command=command, data=data, endpoints=endpoints, root=root, lock=lock, folder=folder, stack=stack
        )
        cli.prepare()
        yield cli


@contextmanager
def alone(data: Path) -> Iterator[TextIO]:
    """The lock on the stack of the sandbox whose data is in `data`. Raises EngineError if another command has it."""
    path = data / "pulumi" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError("Another command is at work on the sandbox's stack. Wait until it is done.") from None
        yield lock


@dataclass(frozen=True, kw_only=True)
class PulumiCli:
    """The CLI on the sandbox's stack, which nobody else is at work on: `open_stack` makes it."""

    command: Path
    data: Path
    endpoints: Endpoints
    root: Path
    lock: TextIO
    folder: str = ""
    stack: str = SANDBOX

    def run(self, arguments: Sequence[str]) -> int:
        """Run a command as somebody wrote it, in this terminal; return 0, 1, or 130 if it was interrupted."""
        if not runs_the_program(arguments):
            return self._run(arguments)
        with self.program():
            return self._run(arguments)

    @contextmanager
    def program(self) -> Iterator[None]:
        """The program's process, for commands that run it: one after the other, each with the settings of its time."""
        with self._language_host() as address:
            self._write_project(address)
            yield

    def doctor(self, arguments: Sequence[str]) -> int:
        """Run `python -m delivery doctor` on the stack, in this terminal; return its exit code."""
        command = [sys.executable, "-m", "delivery", "doctor", "--stack", self.stack, *arguments]
        path = os.pathsep.join([str(self.command.parent), os.environ.get("PATH", os.defpath)])
        return subprocess.run(command, cwd=self.root, env={**self._environment, "PATH": path}, check=False).returncode

    def prepare(self) -> None:
        """Make the stack if there is none, and give it the settings of the work tree."""
        # It has nothing worth keeping, and a killed command may have left half a file there.
        shutil.rmtree(self._home, ignore_errors=True)
        self._write_project(_NO_PROGRAM)
        self.write_settings()
        if any((self._backend / ".pulumi" / "locks").rglob("*.json")):
            # Whoever made it is dead: a CLI at work would have the lock that this process has.
            self.ask("cancel", "--yes")
        if not any(stack["name"] == self.stack for stack in json.loads(self.ask("stack", "ls", "--json"))):
            self.ask("stack", "init", "--no-select", self.stack)

    def export(self, *options: str) -> dict[str, Any]:
        """The stack's state in the form of `pulumi stack export`; secrets are encrypted."""
        state: dict[str, Any] = json.loads(self.ask("stack", "export", *options))
        return state

    def ask(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command that deploys nothing: its output. Raises EngineError with what it said if it fails."""
        command = [str(self.command), *arguments, "--non-interactive"]
        done = subprocess.run(
            command, cwd=self._project, env=self._environment, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = done.stderr.strip() or done.stdout.strip()
            raise EngineError(f"`pulumi {' '.join(arguments)}` failed:\n{reason}")
        return done.stdout

    def _run(self, arguments: Sequence[str]) -> int:
        with _interruptions_left_to_the_child() as interrupted, reserve(self.data / "pulumi") as space:
            process = subprocess.Popen(
                [str(self.command), *arguments],
                cwd=self._project,
                env=self._environment,
                pass_fds=[self.lock.fileno()],  # held as long as the CLI lives, whatever becomes of this process
            )
            while space.wait_for(process):
                print(f"The disk of {self.data} is full: stopping. Make space, then run this again.", file=sys.stderr)
                process.send_signal(signal.SIGINT)
        if process.returncode and interrupted:
            return INTERRUPTED
        return 1 if process.returncode else 0

    @contextmanager
    def _language_host(self) -> Iterator[str]:
        """The program's process: its address."""
        command = [sys.executable, "-m", "sandbox.engine.language_host", str(self.root / self.folder)]
        log = self.data / "log" / "program.log"  # gRPC's complaints about a CLI that has gone, for example
        log.parent.mkdir(exist_ok=True)
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command,
                cwd=self.root,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # a Ctrl-C is for the CLI
            ) as process,
        ):
            assert process.stdin is not None  # noqa: S101 (piped)
            assert process.stdout is not None  # noqa: S101
            port = process.stdout.readline().strip()
            if not port:
                raise EngineError(f"The process that runs the program did not start:\n{log.read_text()}")
            try:
                yield f"127.0.0.1:{port}"
            finally:
                process.stdin.close()

    def _write_project(self, address: str) -> None:
        """Copy the project's settings, with a language host that is running already for its runtime."""
        project = yaml.safe_load((self.root / self.folder / "Pulumi.yaml").read_text(encoding="utf-8"))
        project["runtime"] = {"name": "client", "options": {"address": address}}
        project.pop("stackConfigDir", None)  # the stack's settings lie beside it
        write_private(self._project / "Pulumi.yaml", yaml.safe_dump(project, sort_keys=False))
        for folder in (self._home, self._backend):
            folder.mkdir(exist_ok=True)

    def write_settings(self) -> None:
        """Copy the stack's settings from the work tree, and keep the salt that the CLI added to the last copy."""
        try:
            if not self.folder:
                config.read_values(self.stack)
        except SettingsError as error:  # that of a file that the CLI cannot read either, or not in the same way
            raise EngineError(str(error)) from None
        text = self._settings_file.read_text(encoding="utf-8")
        copy = self._project / f"Pulumi.{self.stack}.yaml"
        if _salt(text) is None and copy.exists():
            salt = _salt(copy.read_text(encoding="utf-8"))
            text += f"\nencryptionsalt: {salt}\n" if salt else ""
        write_private(copy, text)

    @property
    def urns(self) -> str:
        """The beginning of the URNs of the stack's resources."""
        project = yaml.safe_load((self.root / self.folder / "Pulumi.yaml").read_text(encoding="utf-8"))
        return f"urn:pulumi:{self.stack}::{project['name']}::"

    @property
    def _environment(self) -> dict[str, str]:
        """The user's, without settings for AWS, GitLab and Pulumi: no real account and no other backend is in reach."""
        own = ("AWS_", "GITLAB_", "PULUMI_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return {
            **kept,
            **self.endpoints.environment(),
            **self._passphrase(),
            "PULUMI_HOME": str(self._home),
            # Without files of attributes: a kill can leave half of one, and then the CLI cannot read the state.
            "PULUMI_BACKEND_URL": f"file://{self._backend}?metadata=skip",
            "PULUMI_STACK": self.stack,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONUNBUFFERED": "1",
        }

    def _passphrase(self) -> Mapping[str, str]:
        """The sandbox's own, made once; the user's if the stack's settings in the work tree are encrypted with one."""
        if _salt(self._settings_file.read_text(encoding="utf-8")) is not None:
            names = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
            return {name: os.environ[name] for name in names if name in os.environ}
        path = self.data / "pulumi" / "passphrase"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(path)}

    @property
    def _settings_file(self) -> Path:
        return self.root / (self.folder or "stacks") / f"Pulumi.{self.stack}.yaml"

    @property
    def _home(self) -> Path:
        return self.data / "pulumi" / self.folder / "home"

    @property
    def _backend(self) -> Path:
        return self.data / "pulumi" / self.folder / "backend"

    @property
    def _project(self) -> Path:
        return self.data / "pulumi" / self.folder / "project"


def _salt(text: str) -> str | None:
    settings = yaml.safe_load(text)
    salt = settings.get("encryptionsalt") if isinstance(settings, dict) else None
    return str(salt) if salt else None


@contextmanager
def _interruptions_left_to_the_child() -> Iterator[list[int]]:
    """A terminal's Ctrl-C reaches the CLI too, which ends in good order: wait for that. Collects what came."""
    received: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
