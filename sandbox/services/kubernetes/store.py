"""The store of objects, in one file, and the operations on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.services.document import Document
from sandbox.services.kubernetes.errors import already_exists, forbidden, not_found
from sandbox.services.kubernetes.kinds import NAMESPACE, Kind
from sandbox.services.kubernetes.objects import Object, checked, created, matches, replaced

_STANDING_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")  # as in every new cluster


class Store:
    """All objects of a cluster. `namespace` is `None` for objects of the cluster, and in a list for all namespaces."""

    def __init__(self, path: Path) -> None:
        self._document = Document(path)
        with self._document.read() as content:
            is_new = not content
        if is_new:
            for name in _STANDING_NAMESPACES:
                self.create(NAMESPACE, None, {"metadata": {"name": name}})

    def list(self, kind: Kind, namespace: str | None, selector: str = "") -> tuple[list[Object], str]:
        """The objects whose labels the selector matches, by name, and the version of the whole list."""
        prefix = _key(kind, namespace, "") if namespace or not kind.namespaced else f"{kind.resource}/"
        with self._document.read() as content:
            objects = [found for key, found in sorted(content.get("objects", {}).items()) if key.startswith(prefix)]
            version = str(content.get("resource_version", 0))
        return [found for found in objects if matches(found["metadata"].get("labels") or {}, selector)], version

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        with self._document.read() as content:
            return _found(content, kind, namespace, name)

    def create(self, kind: Kind, namespace: str | None, body: Any) -> Object:
        new = checked(kind, body, namespace=namespace)
        name = new["metadata"]["name"]
        with self._document.change() as content:
            if namespace is not None:
                _found(content, NAMESPACE, None, namespace)
            objects = content.setdefault("objects", {})
            if _key(kind, namespace, name) in objects:
                raise already_exists(kind.resource, name)
            objects[_key(kind, namespace, name)] = stored = created(kind, new, _next_version(content))
        return stored

    def update(self, kind: Kind, namespace: str | None, name: str, change: Callable[[Object], Any]) -> Object:
        """Replace an object by the result of `change`."""
        with self._document.change() as content:
            old = _found(content, kind, namespace, name)
            new = checked(kind, change(old), namespace=namespace, name=name)
            stored = replaced(kind, old, new, _next_version(content))
            content["objects"][_key(kind, namespace, name)] = stored
        return stored

    def delete(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """Remove an object, and with a namespace everything in it. Returns what was removed."""
        if kind is NAMESPACE and name in _STANDING_NAMESPACES:
            raise forbidden(kind.resource, name, "this namespace may not be deleted")
        with self._document.change() as content:
            removed = _found(content, kind, namespace, name)
            objects = content["objects"]
            del objects[_key(kind, namespace, name)]
            if kind is NAMESPACE:
                for key in [key for key, held in objects.items() if held["metadata"].get("namespace") == name]:
                    del objects[key]
            _next_version(content)
        return removed


def _found(content: Object, kind: Kind, namespace: str | None, name: str) -> Object:
    found: Object | None = content.get("objects", {}).get(_key(kind, namespace, name))
    if found is None:
        raise not_found(kind.resource, name)
    return found


def _key(kind: Kind, namespace: str | None, name: str) -> str:
    return f"{kind.resource}/{namespace or ''}/{name}"


def _next_version(content: Object) -> int:
    content["resource_version"] = int(content.get("resource_version", 0)) + 1
    return int(content["resource_version"])
