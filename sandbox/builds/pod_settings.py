"""The variables and the files that a runner's `config.toml` gives its pods."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests

from sandbox.builds.worker import Worker

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ConfigMaps = Callable[[str], Mapping[str, str]]
"""The data of a ConfigMap in the pods' namespace, by its name."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """The same for all pods of a stack."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """The contents of the files in mounted ConfigMaps, by their paths in the pod."""
    node_folders: frozenset[str] = frozenset()
    """Where folders of the node are mounted."""

    def without_proxies(self) -> "PodSettings":
        """These settings where the sandbox's own proxy stands for the company's, which this machine does not know."""
        kept = {name: value for name, value in self.environment.items() if name.upper() not in _PROXIES}
        return replace(self, environment=kept)

    def place(self, folder: Path, worker: Worker) -> dict[str, str]:
        """Write the files into a folder, and return the variables, which name them there.

        A job here has the machine's file system, so the files cannot be where a pod has them.
        """
        places = {}
        for number, (path, content) in enumerate(self.files.items()):
            place = worker.own(folder / str(number)) / Path(path).name
            place.write_text(content, encoding="utf-8")
            worker.give(place)
            places[path] = str(place)
        return {name: places.get(value, value) for name, value in self.environment.items()}

    def place_node_folders(self, node: Path, worker: Worker) -> dict[str, str]:
        """Make the node's folders below `node`, and return the variables that name them there."""
        return {
            name: str(worker.own(node / value.strip("/")))
            for name, value in self.environment.items()
            if value in self.node_folders
        }


def read_pod_settings(config: str, config_maps: ConfigMaps) -> PodSettings:
    """The settings in a runner's `config.toml`."""
    [runner] = tomllib.loads(config)["runners"]
    volumes = runner["kubernetes"].get("volumes", {})
    mounted: Iterable[Mapping[str, str]] = volumes.get("config_map", ())
    return PodSettings(
        environment=dict(each.split("=", 1) for each in runner.get("environment", ())),
        files={
            f"{volume['mount_path']}/{file}": content
            for volume in mounted
            for file, content in config_maps(volume["name"]).items()
        },
        node_folders=frozenset(volume["mount_path"] for volume in volumes.get("host_path", ())),
    )


def deployed_pod_settings(kubernetes: str, namespace: str, manager: str) -> PodSettings:
    """The settings of the pods of a runner's manager in the sandbox's Kubernetes."""

    def data(name: str) -> Mapping[str, str]:
        found = requests.get(f"{kubernetes}/api/v1/namespaces/{namespace}/configmaps/{name}", timeout=30)
        found.raise_for_status()
        content: dict[str, str] = found.json()["data"]
        return content

    return read_pod_settings(data(manager)["config.template.toml"], data)
