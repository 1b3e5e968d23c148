"""The project file and a stack's configuration, as the program and the default providers see them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.engine.encryption import Crypter
from sandbox.engine.errors import EngineError
from sandbox.values import Properties, Secret


@dataclass(frozen=True)
class Project:
    """What `Pulumi.yaml` says. `refreshes` means that every operation first asks the cloud what has drifted."""

    name: str
    root: Path
    program: Path
    stack_directory: Path
    config: Mapping[str, Any]
    refreshes: bool

    def stack_file(self, stack: str) -> Path:
        """The settings of a stack."""
        return self.stack_directory / f"Pulumi.{stack}.yaml"


@dataclass(frozen=True)
class StackConfig:
    """A stack's configuration: every key with its namespace, every value as text, as Pulumi hands it to programs."""

    values: Mapping[str, str]
    secret_keys: frozenset[str]
    encryption_salt: str | None

    def masked(self) -> dict[str, str]:
        return {key: "[secret]" if key in self.secret_keys else value for key, value in self.values.items()}

    def of_package(self, package: str) -> Properties:
        """The configuration of a package's default provider: `aws:region` is its input `region`."""
        prefix = f"{package}:"
        return {
            key.removeprefix(prefix): Secret(value) if key in self.secret_keys else value
            for key, value in self.values.items()
            if key.startswith(prefix)
        }


def read_project(root: Path) -> Project:
    path = root / "Pulumi.yaml"
    data = _read_yaml(path)
    runtime = data.get("runtime")
    runtime_name = runtime.get("name") if isinstance(runtime, dict) else runtime
    if runtime_name != "python":
        raise EngineError(f"{path}: runtime is {runtime_name!r}; the sandbox's engine runs python programs only.")
    if not isinstance(data.get("name"), str):
        raise EngineError(f"{path}: name is missing; it must be the project's name.")
    return Project(
        name=data["name"],
        root=root,
        program=(root / data.get("main", ".")).resolve(),
        stack_directory=root / data.get("stackConfigDir", "."),
        config=data.get("config") or {},
        refreshes=(data.get("options") or {}).get("refresh") == "always",
    )


def read_stack_config(project: Project, stack: str, passphrase: str) -> StackConfig:
    """Read `Pulumi.STACK.yaml`, with the project file's values and defaults under it."""
    path = project.stack_file(stack)
    data = _read_yaml(path)
    if data.get("secretsprovider") not in (None, "", "passphrase"):
        raise EngineError(
            f"{path}: secretsprovider is {data['secretsprovider']!r}; the sandbox's engine knows 'passphrase'."
        )
    salt = data.get("encryptionsalt")
    reader = _ConfigReader(project.name, path, Crypter(passphrase, salt) if salt else None)
    for key, declaration in project.config.items():
        reader.add_project_default(key, declaration)
    for key, value in (data.get("config") or {}).items():
        reader.add(key, value)
    return StackConfig(reader.values, frozenset(reader.secret_keys), salt)


class _ConfigReader:
    def __init__(self, namespace: str, path: Path, crypter: Crypter | None) -> None:
        self.values: dict[str, str] = {}
        self.secret_keys: set[str] = set()
        self._namespace = namespace
        self._path = path
        self._crypter = crypter

    def add_project_default(self, key: str, declaration: Any) -> None:
        """A key in the project file is either a plain value or a mapping with `value` or `default`."""
        if not isinstance(declaration, dict):
            self.add(key, declaration)
        elif "value" in declaration:
            self.add(key, declaration["value"])
        elif "default" in declaration:
            self.add(key, declaration["default"])

    def add(self, key: str, value: Any) -> None:
        full_key = key if ":" in key else f"{self._namespace}:{key}"
        if full_key.startswith("pulumi:") and full_key != "pulumi:tags":
            raise EngineError(f"{self._path}: config.{key}: the sandbox's engine does not support this setting.")
        plain = self._open(key, value)
        self.values[full_key] = _text(plain)
        if plain == value:
            self.secret_keys.discard(full_key)
        else:
            self.secret_keys.add(full_key)

    def _open(self, key: str, value: Any) -> Any:
        """Decrypt `{secure: ...}`, wherever it stands in the value."""
        if isinstance(value, list):
            return [self._open(key, item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"secure"}:
            if self._crypter is None:
                raise EngineError(f"{self._path}: config.{key} is encrypted, but the file has no encryptionsalt.")
            return self._crypter.decrypt(value["secure"])
        return {name: self._open(key, item) for name, item in value.items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True, default=str)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(f"There is no {path}.") from error
    except yaml.YAMLError as error:
        raise EngineError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise EngineError(f"{path} must be a mapping of settings.")
    return data
