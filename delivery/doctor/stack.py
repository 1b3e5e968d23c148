"""A stack's outputs, and questions to the providers that its settings configure, by the pulumi CLI.

The stack is only read. Questions are asked by a program that declares no resource, in a preview of another stack of the
same name: its state is in a temporary folder, with a copy of the settings. So nothing reaches the stack's own state,
history, lock or settings file, and it need not exist yet.
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pulumi import automation

from delivery.doctor.terminal import last_lines
from stacks.documents import encrypted
from stacks.problems import key_path

T = TypeVar("T")

_ROOT = Path(__file__).parents[2]
_PROVIDER = "secretsprovider"
_SALT = "encryptionsalt"
_LAST_LINES = 15


class StackError(Exception):
    """The stack could not be examined. The message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack `name` of the project in `root`."""

    name: str
    root: Path = _ROOT

    @property
    def settings_file(self) -> Path:
        return self.root / "stacks" / f"Pulumi.{self.name}.yaml"

    def outputs(self) -> Mapping[str, Any]:
        """The outputs of the last deployment, secrets masked; empty if there was none. Raises `StackError`."""
        try:
            done = _cli().run(["stack", "output", "--json", "--stack", self.name], str(self.root), _QUIET)
        except automation.StackNotFoundError:
            return {}
        except automation.CommandError as error:
            raise StackError(f"The outputs of the stack {self.name} cannot be read:\n{_said(error)}") from None
        outputs = json.loads(done.stdout)
        return outputs if isinstance(outputs, dict) else {}

    def ask(self, questions: Callable[[], T]) -> T:
        """Run `questions` in a Pulumi program with the stack's settings, and return what it returns.

        It may call functions of providers, but must declare no resources. Raises what it raises, and `StackError` if
        Pulumi cannot run the program.
        """
        answers: list[T] = []
        errors: list[Exception] = []

        def program() -> None:
            try:
                answers.append(questions())
            except Exception as error:
                errors.append(error)
                raise

        with tempfile.TemporaryDirectory(prefix="buildyard-doctor-") as folder:
            try:
                self._copy(Path(folder), program).preview(color="never")
            except automation.CommandError as error:
                if not errors:
                    raise StackError(f"Pulumi could not ask the providers:\n{_said(error)}") from None
        if errors:
            raise errors[0]
        return answers[0]

    def _copy(self, folder: Path, program: Callable[[], None]) -> automation.Stack:
        project = yaml.safe_load((self.root / "Pulumi.yaml").read_text(encoding="utf-8"))
        # The copy has no state to refresh, and its settings are beside it.
        kept = {key: value for key, value in project.items() if key not in ("options", "stackConfigDir")}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**kept, "runtime": "python"}), encoding="utf-8")
        settings = self._settings()
        (folder / self.settings_file.name).write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        backend = folder / "backend"
        backend.mkdir()
        environment = {**_QUIET, "PULUMI_BACKEND_URL": f"file://{backend}", "PULUMI_HOME": str(_home(folder))}
        if _PROVIDER not in settings and _SALT not in settings:
            # Nothing is encrypted; the copy's state needs a passphrase all the same.
            environment["PULUMI_CONFIG_PASSPHRASE"] = "of a temporary copy"  # noqa: S105 (it protects nothing)
        options = automation.LocalWorkspaceOptions(
            work_dir=str(folder),
            env_vars=environment,
            secrets_provider=settings.get(_PROVIDER),
            pulumi_command=_cli(),
        )
        return automation.create_stack(self.name, project_name=project["name"], program=program, opts=options)

    def _settings(self) -> dict[str, Any]:
        """The settings file. Raises `StackError` if it has values that only the stack's backend can decrypt."""
        settings: dict[str, Any] = yaml.safe_load(self.settings_file.read_text(encoding="utf-8")) or {}
        sealed = [key_path(str(key), rest) for key, *rest in encrypted(settings.get("config"))]
        if sealed and _PROVIDER not in settings and _SALT not in settings:
            raise StackError(
                f"stacks/{self.settings_file.name} has values that Pulumi Cloud has encrypted: {', '.join(sealed)}. "
                "Take them out of the file, and set the provider's variables instead, such as GITLAB_TOKEN."
            )
        return settings


_QUIET = {"PULUMI_SKIP_UPDATE_CHECK": "true"}


def _cli() -> automation.PulumiCommand:
    try:
        return automation.PulumiCommand()
    except FileNotFoundError:
        raise StackError("There is no pulumi CLI on PATH: https://www.pulumi.com/docs/iac/download-install/") from None
    except automation.InvalidVersionError as error:
        raise StackError(str(error)) from None


def _home(folder: Path) -> Path:
    """A home for the CLI that has the user's plugins, but not the login and the selected stacks."""
    plugins = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir()
    (home / "plugins").symlink_to(plugins.resolve())
    return home


def _said(error: automation.CommandError) -> str:
    """The end of what the CLI said, without the parts that the SDK adds."""
    text = re.sub(r"(?m)^ (?:code: -?\d+|stdout: |stderr: )", "", str(error))
    return "\n".join(f"  {line}" for line in last_lines(text, _LAST_LINES))
