"""The program's process: started beside the engine, with its output passed on line by line."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from sandbox.engine.config import Project, StackConfig
from sandbox.engine.deployment import PARALLEL_STEPS

_LANGUAGE_HOST = Path(__file__).with_name("language_host")
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


class Program:
    """A running program. It uses the interpreter, and so the packages, that the sandbox itself runs on."""

    def __init__(
        self,
        project: Project,
        stack: str,
        config: StackConfig,
        *,
        environment: Mapping[str, str],
        monitor: str,
        preview: bool,
        says: Callable[[str], None],
    ) -> None:
        """Start it. `environment` is all that it inherits; `says` is handed every line that it prints."""
        command = [
            sys.executable,
            str(_LANGUAGE_HOST),
            str(project.program),
            f"--project={project.name}",
            f"--stack={stack}",
            f"--root={project.root}",
            f"--monitor={monitor}",
            f"--parallel={PARALLEL_STEPS}",
            *(["--preview"] if preview else []),
        ]
        settings = {
            "PULUMI_CONFIG": json.dumps(dict(config.values)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(sorted(config.secret_keys)),
            "PYTHONUNBUFFERED": "1",
        }
        self._process = subprocess.Popen(
            command,
            cwd=project.program,
            env={**environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C is for the engine to decide about; it would otherwise reach the program at the same moment.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=_pass_on, args=(self._process.stdout, says), daemon=True)
        self._reader.start()

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, or None if it still runs after `timeout` seconds."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(_PATIENCE_SECONDS)
        return code

    def wait_until(self, done: threading.Event) -> int | None:
        """Its exit code once it ends, or None as soon as it says that it is done and waits."""
        while (code := self.wait(_PAUSE_SECONDS)) is None and not done.is_set():
            pass
        return code

    def terminate(self) -> None:
        """Ask it to end. Does not wait, so that a signal handler may call it while `wait` is under way."""
        self._process.terminate()

    def stop(self) -> None:
        """End it if it still runs, by force if need be."""
        self.terminate()
        if self.wait(_PATIENCE_SECONDS) is None:
            self._process.kill()
            self.wait()


def _pass_on(stream: IO[str] | None, says: Callable[[str], None]) -> None:
    for line in stream or ():
        says(line.rstrip("\n"))
