"""The web application: the API server's paths over the store of objects.

It needs no credentials, as it listens on loopback only.
"""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from sandbox.services.document import storage_refusal
from sandbox.services.kubernetes import system
from sandbox.services.kubernetes.errors import ApiError, bad_request
from sandbox.services.kubernetes.kinds import KINDS, Kind, find_kind
from sandbox.services.kubernetes.objects import merge_patch
from sandbox.services.kubernetes.store import Store

VERSION = "v1.34.1"
_MERGE_PATCH = "application/merge-patch+json"
_VERBS = ["create", "delete", "get", "list", "patch", "update"]
_log = logging.getLogger(__name__)


def create_app(directory: Path, base_url: str, autoscaling_groups: Callable[[], Sequence[str]] = tuple) -> Flask:
    """Kubernetes with its objects in `directory / "kubernetes"`, to be served at `base_url`.

    `autoscaling_groups` are those that its Cluster Autoscaler reports to see.
    """
    app = Flask(__name__)
    store = Store(directory / "kubernetes" / "objects.json")
    _add_discovery(app, base_url)
    _add_objects(app, store, autoscaling_groups)

    @app.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    def review() -> tuple[Response, int]:
        # Nobody's rights are judged here.
        asked = _body()
        return jsonify({**(asked if isinstance(asked, dict) else {}), "status": {"allowed": True}}), 201

    @app.errorhandler(ApiError)
    def refuse(error: ApiError) -> tuple[Response, int]:
        return jsonify(error.status), error.code

    @app.errorhandler(OSError)
    def refuse_change(error: OSError) -> tuple[Response, int]:
        status, message = storage_refusal(error)
        _log.error(message)
        return refuse(ApiError(status, "InsufficientStorage", message))

    @app.errorhandler(HTTPException)
    def refuse_request(error: HTTPException) -> tuple[Response, int]:
        if error.code in (404, 405):
            return refuse(_unknown_route())
        return refuse(ApiError(error.code or 500, error.name.replace(" ", ""), error.description or error.name))

    return app


def _add_objects(app: Flask, store: Store, autoscaling_groups: Callable[[], Sequence[str]]) -> None:
    def collection(version: str, plural: str, group: str = "", namespace: str | None = None) -> tuple[Response, int]:
        kind = _kind(group, version, plural, namespace)
        if request.method == "POST":
            return jsonify(store.create(kind, _required(kind, namespace), _body())), 201
        if name := _selected_name():
            system.report(store, name, autoscaling_groups)
        items, resource_version = store.list(kind, namespace, request.args.get("labelSelector", ""))
        items = [item for item in items if name in ("", item["metadata"]["name"])]
        metadata = {"resourceVersion": resource_version}
        return jsonify(apiVersion=kind.api_version, kind=f"{kind.name}List", metadata=metadata, items=items), 200

    def item(version: str, plural: str, name: str, group: str = "", namespace: str | None = None) -> Response:
        kind = _kind(group, version, plural, namespace)
        namespace = _required(kind, namespace)
        if request.method == "PUT":
            return jsonify(store.update(kind, namespace, name, lambda _: _body()))
        if request.method == "PATCH":
            if request.mimetype != _MERGE_PATCH:
                message = f"the sandbox's Kubernetes takes patches as {_MERGE_PATCH} only, not as {request.mimetype}"
                raise ApiError(415, "UnsupportedMediaType", message)
            return jsonify(store.update(kind, namespace, name, lambda old: merge_patch(old, _body())))
        if request.method == "DELETE":
            uid = store.delete(kind, namespace, name)["metadata"]["uid"]
            details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": uid}
            return jsonify(apiVersion="v1", kind="Status", metadata={}, status="Success", details=details)
        return jsonify(store.get(kind, namespace, name))

    for prefix in ("/api/<version>", "/apis/<group>/<version>"):
        for path in ("<plural>", "namespaces/<namespace>/<plural>"):
            app.add_url_rule(f"{prefix}/{path}", view_func=collection, methods=["GET", "POST"])
            app.add_url_rule(f"{prefix}/{path}/<name>", view_func=item, methods=["GET", "PUT", "PATCH", "DELETE"])


def _add_discovery(app: Flask, base_url: str) -> None:
    """The discovery endpoints that clients such as kubectl ask first: https://kubernetes.io/docs/concepts/overview/kubernetes-api/"""
    groups = sorted({(kind.group, kind.version) for kind in KINDS if kind.group})

    @app.get("/version")
    def version() -> Response:
        major, minor, _ = VERSION.removeprefix("v").split(".")
        return jsonify(major=major, minor=minor, gitVersion=VERSION, platform="linux/amd64")

    @app.get("/api")
    def versions() -> Response:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": base_url.partition("//")[2]}]
        return jsonify(kind="APIVersions", versions=["v1"], serverAddressByClientCIDRs=addresses)

    @app.get("/apis")
    def list_groups() -> Response:
        entries = []
        for group, group_version in groups:
            entry = {"groupVersion": f"{group}/{group_version}", "version": group_version}
            entries.append({"name": group, "versions": [entry], "preferredVersion": entry})
        return jsonify(kind="APIGroupList", apiVersion="v1", groups=entries)

    @app.get("/api/<version>")
    @app.get("/apis/<group>/<version>")
    def list_resources(version: str, group: str = "") -> Response:
        kinds = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
        if not kinds:
            raise _unknown_route()
        resources = [
            {
                "name": kind.plural,
                "singularName": kind.name.lower(),
                "shortNames": [kind.short] if kind.short else [],
                "namespaced": kind.namespaced,
                "kind": kind.name,
                "verbs": _VERBS,
            }
            for kind in kinds
        ]
        group_version = kinds[0].api_version
        return jsonify(kind="APIResourceList", apiVersion="v1", groupVersion=group_version, resources=resources)


def _kind(group: str, version: str, plural: str, namespace: str | None) -> Kind:
    kind = find_kind(group, version, plural)
    if kind is None or (namespace is not None and not kind.namespaced):
        raise _unknown_route()
    for parameter in ("dryRun", "fieldSelector", "watch"):
        # Ignoring one of these would do something else than was asked for.
        is_supported = parameter == "fieldSelector" and _selected_name()
        if request.args.get(parameter) not in (None, "", "false") and not is_supported:
            raise bad_request(f"the sandbox's Kubernetes does not support the parameter {parameter}")
    return kind


def _selected_name() -> str:
    """The one name that a list's field selector selects; empty if there is none."""
    found = re.fullmatch(r"metadata\.name=([^,=!]+)", request.args.get("fieldSelector", ""))
    return found[1] if found else ""


def _required(kind: Kind, namespace: str | None) -> str | None:
    """The namespace in the path of one object. Only lists may leave it out."""
    if kind.namespaced and namespace is None:
        raise _unknown_route()
    return namespace


def _body() -> object:
    if request.mimetype not in ("application/json", _MERGE_PATCH):
        message = f"the sandbox's Kubernetes reads application/json only, not {request.mimetype}"
        raise ApiError(415, "UnsupportedMediaType", message)
    body = request.get_json(force=True, silent=True)
    if body is None:
        raise bad_request("the body of the request is not JSON")
    return body


def _unknown_route() -> ApiError:
    route = f"{request.method} {request.path}"
    _log.warning("The sandbox's Kubernetes has no route %s", route)
    known = ", ".join(sorted(kind.resource for kind in KINDS))
    message = f"the sandbox's Kubernetes has no route {route}; it has these resources: {known}"
    return ApiError(404, "NotFound", message)
