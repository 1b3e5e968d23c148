"""The web application: authentication, routing and error answers around the API's endpoints."""

import hmac
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from sandbox.services.document import storage_refusal
from sandbox.services.gitlab import (
    commits,
    files,
    git_http,
    jobs,
    limits,
    merge_requests,
    pipelines,
    projects,
    protection,
    runners,
    seed,
    variables,
)
from sandbox.services.gitlab.errors import ApiError, unauthorized
from sandbox.services.gitlab.managers import Cluster
from sandbox.services.gitlab.store import Store

API = "/api/v4"
_log = logging.getLogger(__name__)


def create_app(directory: Path, base_url: str, cluster_url: str = "") -> Flask:
    """GitLab with its data in `directory / "gitlab"`, to be served at `base_url` (such as `http://127.0.0.1:4002`).

    `cluster_url` is the address of the Kubernetes that runners' managers are in. A first start creates the access token
    (see `access_token`), a group and a project.
    """
    store = Store(directory / "gitlab", base_url)
    seed.seed(store)

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = limits.REQUEST_BYTES
    app.url_map.converters["encoded"] = _EncodedConverter
    app.wsgi_app = _KeepEncodedSlashes(app.wsgi_app)  # type: ignore[method-assign]
    for blueprint in (
        projects.blueprint(store),
        runners.blueprint(store, Cluster(url=cluster_url)),
        variables.blueprint(store),
        protection.blueprint(store),
        files.blueprint(store),
        commits.blueprint(store),
        pipelines.blueprint(store),
        merge_requests.blueprint(store),
    ):
        app.register_blueprint(blueprint, url_prefix=API)
    app.register_blueprint(jobs.blueprint(store))
    app.register_blueprint(git_http.blueprint(store))

    @app.before_request
    def authenticate() -> None:
        if request.path.startswith(API + "/") and not hmac.compare_digest(_given_token(), store.token.encode()):
            raise unauthorized()

    @app.errorhandler(ApiError)
    def refuse(error: ApiError) -> tuple[Response, int]:
        return jsonify(error.body), error.status

    @app.errorhandler(OSError)
    def refuse_change(error: OSError) -> tuple[Response, int]:
        status, message = storage_refusal(error)
        _log.error(message)
        return jsonify(message=message), status

    @app.errorhandler(HTTPException)
    def refuse_request(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        body = {"error": f"{status} {error.name}"}
        if status in (404, 405):
            _log.warning("The sandbox's GitLab has no route %s %s", request.method, request.path)
            body["error_description"] = f"The sandbox's GitLab has no route {request.method} {request.path}."
        return jsonify(body), status

    return app


def _given_token() -> bytes:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer.strip().encode()
    return (request.headers.get("PRIVATE-TOKEN") or request.args.get("private_token", "")).encode()


# GitLab's routes contain paths of projects and files as one segment with encoded slashes (`platform%2Fimages`), but a
# WSGI server decodes them before routing. So an encoded slash becomes a NUL, which no path in Git contains, and the
# converter turns it into a slash again.
_SLASH = "\0"


class _EncodedConverter(BaseConverter):
    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return value.replace(_SLASH, "/")


class _KeepEncodedSlashes:
    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raw = environ.get("REQUEST_URI", "").partition("?")[0]
        if raw.startswith("/") and "%2f" in raw.lower() and "%00" not in raw:
            kept = raw.replace("%2F", "%00").replace("%2f", "%00")
            environ["PATH_INFO"] = unquote_to_bytes(kept).decode("latin-1")  # WSGI's encoding of bytes in strings
        return self._app(environ, start_response)  # type: ignore[no-any-return]
