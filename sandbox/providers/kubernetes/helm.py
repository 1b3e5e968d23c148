"""Helm's operations: create, change and remove a release's objects, and record every revision in the cluster.

The records are Helm's own, Secrets named `sh.helm.release.v1.NAME.vREVISION` with a gzipped JSON document in base64,
so that `helm list` and `helm history` can read them.
Source: https://helm.sh/docs/topics/advanced/#storage-backends and Helm's `pkg/storage/driver`.
"""

import base64
import gzip
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import yaml

from sandbox.providers.kubernetes.cluster import Cluster
from sandbox.providers.kubernetes.objects import collection

Object = dict[str, Any]
_PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Deployment": "deployments",
    "Service": "services",
    "ServiceMonitor": "servicemonitors",
}
# Helm's rule for names of releases: objects that charts name after them have ten characters more.
# https://helm.sh/docs/chart_template_guide/getting_started/#a-simple-template-call
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_CHARACTERS = 53
_RELEASE_NAME = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"


class HelmError(Exception):
    """A refusal by Helm, with its message."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One state of a release, as Helm records it."""

    name: str
    namespace: str
    number: int
    chart: str
    version: str
    app_version: str
    values: Object
    objects: list[Object]
    first_deployed: str = ""


def latest(cluster: Cluster, namespace: str, name: str) -> Revision | None:
    """The deployed revision of a release, if there is such a release."""
    records = _records(cluster, namespace, name)
    return _decoded(records[-1]) if records else None


def install(cluster: Cluster, revision: Revision) -> None:
    if not _NAME.fullmatch(revision.name) or len(revision.name) > _NAME_CHARACTERS:
        raise HelmError(
            f'release name "{revision.name}": invalid release name, must match regex {_NAME.pattern} and the length '
            f"must not be longer than {_NAME_CHARACTERS}"
        )
    if latest(cluster, revision.namespace, revision.name):
        raise HelmError(f"cannot re-use a name that is still in use: {revision.namespace}/{revision.name}")
    made: list[Object] = []
    try:
        for each in revision.objects:
            _apply(cluster, revision, each)
            made.append(each)
        _record(cluster, revision, f"Install complete: {revision.chart} {revision.version}")
    except Exception:
        for each in reversed(made):
            cluster.request("DELETE", _path(each))
        raise


def upgrade(cluster: Cluster, old: Revision, new: Revision, *, history: int) -> None:
    """Replace one revision by the next, and keep `history` of them (0: all)."""
    for each in new.objects:
        _apply(cluster, new, each)
    wanted = {_path(each) for each in new.objects}
    for each in old.objects:
        if _path(each) not in wanted and cluster.find(_path(each)):
            cluster.request("DELETE", _path(each))
    records = _records(cluster, new.namespace, new.name)
    _record(cluster, new, f"Upgrade complete: {new.chart} {new.version}")
    for record in records:
        labels = {**record["metadata"]["labels"], "status": "superseded"}
        cluster.request("PUT", _path(record), {**record, "metadata": {**record["metadata"], "labels": labels}})
    for record in records[: len(records) + 1 - history] if history else []:
        cluster.request("DELETE", _path(record))


def uninstall(cluster: Cluster, revision: Revision) -> None:
    for each in reversed(revision.objects):
        if cluster.find(_path(each)):
            cluster.request("DELETE", _path(each))
    # The records are removed last, so that the next attempt can complete an interrupted removal.
    for record in _records(cluster, revision.namespace, revision.name):
        cluster.request("DELETE", _path(record))


def _apply(cluster: Cluster, revision: Revision, each: Object) -> None:
    """Create an object, or adopt one that an interrupted installation of the same release left.

    Source: https://helm.sh/docs/howto/charts_tips_and_tricks/ on the annotations of objects that Helm adopts.
    """
    owner = {_RELEASE_NAME: revision.name, _RELEASE_NAMESPACE: revision.namespace}
    annotations = {**(each["metadata"].get("annotations") or {}), **owner}
    owned = {**each, "metadata": {**each["metadata"], "annotations": annotations}}
    found = cluster.find(_path(each))
    if found is None:
        cluster.request("POST", _collection(each), owned)
    elif owner.items() <= (found["metadata"].get("annotations") or {}).items():
        cluster.request("PUT", _path(each), owned)
    else:
        kind, name = each["kind"], each["metadata"]["name"]
        raise HelmError(f"{kind} {revision.namespace}/{name} already exists, and is not of release {revision.name}")


def _records(cluster: Cluster, namespace: str, name: str) -> list[Object]:
    """The release's records, the oldest first."""
    selector = f"labelSelector=owner=helm,name={name}"
    found = cluster.request("GET", f"{collection('v1', 'secrets', namespace)}?{selector}")
    records = [{"apiVersion": "v1", "kind": "Secret", **item} for item in found["items"]]
    return sorted(records, key=lambda record: int(record["metadata"]["labels"]["version"]))


def _record(cluster: Cluster, revision: Revision, description: str) -> None:
    now = datetime.now(timezone.utc).isoformat()
    chart = {"name": revision.chart, "version": revision.version, "appVersion": revision.app_version}
    content = {
        "name": revision.name,
        "namespace": revision.namespace,
        "version": revision.number,
        "info": {
            "first_deployed": revision.first_deployed or now,
            "last_deployed": now,
            "deleted": "",
            "description": description,
            "status": "deployed",
        },
        "chart": {"metadata": {"apiVersion": "v1", **chart}},
        "config": revision.values,
        "manifest": "".join(f"---\n{yaml.safe_dump(each, sort_keys=False)}" for each in revision.objects),
    }
    encoded = base64.b64encode(gzip.compress(json.dumps(content).encode(), mtime=0)).decode()
    labels = {"name": revision.name, "owner": "helm", "status": "deployed", "version": str(revision.number)}
    name = f"sh.helm.release.v1.{revision.name}.v{revision.number}"
    record = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": revision.namespace, "labels": labels},
        "type": "helm.sh/release.v1",
        "stringData": {"release": encoded},
    }
    cluster.request("POST", _collection(record), record)


def _decoded(record: Object) -> Revision:
    encoded = base64.b64decode(base64.b64decode(record["data"]["release"]))
    content = json.loads(gzip.decompress(encoded))
    metadata = content["chart"]["metadata"]
    return Revision(
        name=content["name"],
        namespace=content["namespace"],
        number=content["version"],
        chart=metadata["name"],
        version=metadata["version"],
        app_version=metadata["appVersion"],
        values=content["config"],
        objects=list(yaml.safe_load_all(content["manifest"])),
        first_deployed=content["info"]["first_deployed"],
    )


def _collection(each: Object) -> str:
    return collection(each["apiVersion"], _PLURALS[each["kind"]], each["metadata"]["namespace"])


def _path(each: Object) -> str:
    return f"{_collection(each)}/{each['metadata']['name']}"
