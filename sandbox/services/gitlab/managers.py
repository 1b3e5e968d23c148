"""The managers that ask for a runner's jobs.

None runs in the sandbox. A Deployment in its Kubernetes whose Secret has the token of a runner, and whose GitLab is
this one, counts as a manager that is online; when it goes, GitLab forgets the manager at once.

Source: https://docs.gitlab.com/api/runners/#list-all-runners-managers and GitLab's
`lib/api/entities/ci/runner_manager.rb`
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

from sandbox.services.gitlab.store import Record, now

_TOKEN = "runner-token"  # noqa: S105 (a Secret's key)
_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The sandbox's Kubernetes. `url` is empty if there is none, as in a test of GitLab alone."""

    url: str

    def managers(self, runner: Record, gitlab_url: str) -> list[Record]:
        """The managers of a runner, as GitLab's API describes them."""
        return [
            _entity(deployment)
            for deployment in self._list("/apis/apps/v1/deployments")
            if _server(deployment) == gitlab_url and self._has_token_of(runner, deployment)
        ]

    def _has_token_of(self, runner: Record, deployment: Record) -> bool:
        hashes = (hashlib.sha256(token).hexdigest() for token in self._tokens(deployment))
        return runner["token_sha256"] in hashes

    def _tokens(self, deployment: Record) -> Iterator[bytes]:
        """The tokens in the Secrets that the pod mounts."""
        namespace = deployment["metadata"]["namespace"]
        for name in _secrets(deployment):
            answer = requests.get(f"{self.url}/api/v1/namespaces/{namespace}/secrets/{name}", timeout=_SECONDS)
            if answer.ok:
                try:
                    yield base64.b64decode(answer.json().get("data", {}).get(_TOKEN, ""))
                except binascii.Error:
                    continue

    def _list(self, path: str) -> list[Record]:
        if not self.url:
            return []
        answer = requests.get(f"{self.url}{path}", timeout=_SECONDS)
        answer.raise_for_status()
        found: list[Record] = answer.json()["items"]
        return [each for each in found if (each["spec"].get("replicas", 1) or 0) > 0]


def _entity(deployment: Record) -> Record:
    image = _container(deployment).get("image", "")
    uid = str(deployment["metadata"]["uid"])
    return {
        "id": int(hashlib.sha256(uid.encode()).hexdigest()[:8], 16),
        "system_id": f"r_{hashlib.sha256(uid.encode()).hexdigest()[:12]}",
        "version": image.rpartition(":")[2].rpartition("-v")[2],
        "revision": "sandbox",
        "platform": "linux",
        "architecture": "amd64",
        "created_at": deployment["metadata"]["creationTimestamp"],
        "contacted_at": now(),
        "ip_address": "127.0.0.1",
        "status": "online",
        "job_execution_status": "idle",
    }


def _container(deployment: Record) -> Record:
    containers: list[Any] = deployment["spec"]["template"]["spec"].get("containers") or [{}]
    return dict(containers[0])


def _server(deployment: Record) -> str:
    """The GitLab that the manager contacts."""
    variables = {each["name"]: each.get("value", "") for each in _container(deployment).get("env") or []}
    return str(variables.get("CI_SERVER_URL", "")).rstrip("/")


def _secrets(deployment: Record) -> Iterator[str]:
    for volume in deployment["spec"]["template"]["spec"].get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            if "secret" in source:
                yield source["secret"]["name"]
