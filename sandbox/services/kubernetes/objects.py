"""The API server's processing of an object before it is stored: checks, defaults and metadata.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import base64
import re
import uuid
from datetime import datetime, timezone
from typing import Any

from sandbox.services.kubernetes import limits
from sandbox.services.kubernetes.errors import bad_request, conflict, invalid
from sandbox.services.kubernetes.kinds import Kind

Object = dict[str, Any]

_COMMON_FIELDS = frozenset({"apiVersion", "kind", "metadata", "status"})


def checked(kind: Kind, body: Any, *, namespace: str | None, name: str | None = None) -> Object:
    """The object in a request's body, checked against the kind and the path of the request."""
    if not isinstance(body, dict):
        raise bad_request(f"the body of the request was not a JSON object for {kind.name}")
    if (body.get("apiVersion", kind.api_version), body.get("kind", kind.name)) != (kind.api_version, kind.name):
        raise bad_request(
            f"{body.get('kind')} in version {body.get('apiVersion')!r} cannot be handled as a {kind.name} "
            f"in version {kind.api_version!r}"
        )
    metadata = body.get("metadata") or {}
    if name is not None and metadata.get("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if namespace is not None and metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    unknown = [f'unknown field "{field}"' for field in body if field not in kind.fields | _COMMON_FIELDS]
    if unknown:
        raise bad_request(
            f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: '
            f"strict decoding error: {', '.join(unknown)}"
        )
    metadata = {**metadata, **({"name": name} if name else {}), **({"namespace": namespace} if namespace else {})}
    checked_object = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
    checked_object |= {field: value for field, value in body.items() if field in kind.fields and value is not None}
    causes = limits.causes(kind, checked_object)
    if causes:
        raise invalid(kind.name, str(metadata.get("name", "")), causes)
    return _with_defaults(kind, checked_object)


def created(kind: Kind, new: Object, resource_version: int) -> Object:
    """The object as it is first stored."""
    metadata = {
        **new["metadata"],
        "uid": str(uuid.uuid4()),
        "resourceVersion": str(resource_version),
        "creationTimestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if kind.counts_generations:
        metadata["generation"] = 1
    return {**new, "metadata": metadata}


def replaced(kind: Kind, old: Object, new: Object, resource_version: int) -> Object:
    """The object after a write; the old one itself if nothing changes.

    Raises a conflict if the write is for another version, and 422 if it changes an immutable field.
    """
    name = old["metadata"]["name"]
    against = new["metadata"].get("resourceVersion", "")
    if against and against != old["metadata"]["resourceVersion"]:
        raise conflict(kind.resource, name)
    if new["metadata"].get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
        raise conflict(kind.resource, name)
    causes = [f"{path}: Invalid value: field is immutable" for path in _changed_immutables(kind, old, new)]
    if causes:
        raise invalid(kind.name, name, causes)
    kept = ("uid", "creationTimestamp", "generation", "resourceVersion")
    metadata = {**new["metadata"], **{key: old["metadata"][key] for key in kept if key in old["metadata"]}}
    updated = {**new, "metadata": metadata, **({"status": old["status"]} if "status" in old else {})}
    if updated == old:
        return old
    metadata["resourceVersion"] = str(resource_version)
    if kind.counts_generations and any(old.get(field) != updated.get(field) for field in kind.fields):
        metadata["generation"] += 1
    return updated


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON merge patch: objects merge, null removes, everything else replaces (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def matches(labels: dict[str, str], selector: str) -> bool:
    """Whether labels satisfy a selector of equalities, `a=b,c!=d`; other selectors are refused."""
    for requirement in filter(None, selector.split(",")):
        found = re.fullmatch(r"([^=!\s()]+)\s*(==|=|!=)\s*([^=!\s()]*)", requirement.strip())
        if not found:
            raise bad_request(f"the sandbox's Kubernetes takes label selectors of equalities only, not {requirement!r}")
        key, operator, value = found.groups()
        if (labels.get(key) == value) == (operator == "!="):
            return False
    return True


def _with_defaults(kind: Kind, body: Object) -> Object:
    """Set the defaults of the API server that programs see."""
    if kind.name == "Namespace":
        labels = {**(body["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": body["metadata"]["name"]}
        metadata = {**body["metadata"], "labels": labels}
        return {**body, "metadata": metadata, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    if kind.name == "Secret":
        # stringData is for writing only: https://kubernetes.io/docs/concepts/configuration/secret/
        written = {key: base64.b64encode(text.encode()).decode() for key, text in body.pop("stringData", {}).items()}
        data = {**body.get("data", {}), **written}
        return {**body, "type": body.get("type", "Opaque"), **({"data": data} if data else {})}
    if kind.name == "PriorityClass":
        return {"preemptionPolicy": "PreemptLowerPriority", **body}
    return body


def _changed_immutables(kind: Kind, old: Object, new: Object) -> list[str]:
    paths = set(kind.immutable)
    if old.get("immutable"):  # of a Secret or a ConfigMap: https://kubernetes.io/docs/concepts/configuration/secret/
        paths |= {"data", "binaryData", "immutable"}
    return sorted(path for path in paths if _at(old, path) != _at(new, path))


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
