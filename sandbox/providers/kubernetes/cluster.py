"""The cluster that a kubeconfig names: always the sandbox's Kubernetes, whose port may change with each start.

The kubeconfig's users and certificates have no effect: that API is plain HTTP on loopback, without authentication.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml

from sandbox.providers.loopback import require_loopback
from sandbox.values import Properties

# These have no emulation, and must not be ignored silently.
_UNSUPPORTED = (
    "alwaysRender",
    "deleteUnreachable",
    "enableSecretMutable",
    "renderYamlToDirectory",
    "skipUpdateUnreachable",
    "upsertExistingObjects",
)
_TIMEOUT_SECONDS = 30
# The API of an EKS cluster, such as https://1E0F0B3F6B8D4F3C9A2B7C5D8E6F4A1B.gr7.ap-east-1.eks.amazonaws.com.
_EKS_HOST = re.compile(r"[0-9a-f]{32}\.[a-z0-9]+\.[a-z0-9-]+\.eks\.amazonaws\.com")


class KubernetesError(Exception):
    """An error of the API server, with its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ConfigurationError(Exception):
    """The configuration has no kubeconfig, or one that the provider cannot use."""


class Cluster:
    """The API server at `server`; `namespace` is where objects go that name none.

    `mutable_config_maps` is whether a ConfigMap's data changes in place.
    """

    def __init__(self, server: str, namespace: str, *, mutable_config_maps: bool = False) -> None:
        self.mutable_config_maps = mutable_config_maps
        self.server = server.rstrip("/")
        self.namespace = namespace

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The API server's answer. Raises `KubernetesError` for a refusal."""
        # No session: requests' are not safe to share between threads, and connecting to loopback costs nothing.
        response = requests.request(method, self.server + path, json=body, timeout=_TIMEOUT_SECONDS)
        answer: dict[str, Any] = response.json()
        if not response.ok:
            raise KubernetesError(response.status_code, str(answer.get("message", response.reason)))
        return answer

    def find(self, path: str) -> dict[str, Any] | None:
        """The object at a path, or `None`."""
        try:
            return self.request("GET", path)
        except KubernetesError as error:
            if error.code == 404:
                return None
            raise


def connect(kubernetes_url: str, configuration: Properties) -> Cluster:
    """The cluster at `kubernetes_url`, if the kubeconfig names one of the sandbox.

    Raises ConfigurationError for a kubeconfig or an option that the sandbox cannot use.
    """
    for name in _UNSUPPORTED:
        if configuration.get(name) not in (None, False, "", "false"):
            raise ConfigurationError(f"The sandbox's kubernetes provider does not support {name}; leave it out.")
    kubeconfig = _kubeconfig(configuration.get("kubeconfig"))
    context = _named(kubeconfig, "context", configuration.get("context") or kubeconfig.get("current-context"))
    cluster = _named(kubeconfig, "cluster", configuration.get("cluster") or context.get("cluster"))
    server = cluster.get("server")
    if not isinstance(server, str):
        raise ConfigurationError("The kubeconfig's cluster has no server.")
    namespace = configuration.get("namespace") or context.get("namespace") or "default"
    if not _EKS_HOST.fullmatch(urlsplit(server).hostname or ""):
        # States of older sandboxes hold such an address, whose port may be another one now.
        require_loopback(server, "the kubeconfig's server")
    mutable = configuration.get("enableConfigMapMutable") in (True, "true")
    return Cluster(kubernetes_url, str(namespace), mutable_config_maps=mutable)


def _kubeconfig(text: Any) -> dict[str, Any]:
    """A kubeconfig given as its text or as the path of a file that holds it."""
    if not isinstance(text, str) or not text.strip():
        # ~/.kube/config is not read: it leads to a real cluster.
        raise ConfigurationError("The sandbox's kubernetes provider needs kubeconfig, as text or as a file's path.")
    if "\n" not in text and not text.lstrip().startswith("{") and Path(text).is_file():
        text = Path(text).read_text(encoding="utf-8")
    try:
        kubeconfig = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"kubeconfig is neither YAML nor JSON: {error}") from error
    if not isinstance(kubeconfig, dict):
        raise ConfigurationError("kubeconfig is neither a kubeconfig nor the path of a file that holds one.")
    return kubeconfig


def _named(kubeconfig: dict[str, Any], what: str, name: Any) -> dict[str, Any]:
    entries = kubeconfig.get(f"{what}s") or []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(what), dict):
            found: dict[str, Any] = entry[what]
            return found
    raise ConfigurationError(f"The kubeconfig has no {what} named {name!r}.")
