"""Cloning over HTTP, by git's own `http-backend`, a CGI program.

Pushes are refused. The sandbox's projects are public, so that clones need no password.

Source: https://git-scm.com/docs/git-http-backend
"""

import gzip
import subprocess
from email import message_from_bytes

from flask import Blueprint, Response, request

from sandbox.services.gitlab.repository import git_environment
from sandbox.services.gitlab.store import Store


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("git_http", __name__)

    @routes.get("/<path:project>.git/info/refs")
    def refs(project: str) -> Response:
        if request.args.get("service") != "git-upload-pack":
            return Response("The sandbox's GitLab takes commits through its API only; clone and fetch work.\n", 403)
        return _serve(project, "info/refs")

    @routes.post("/<path:project>.git/git-upload-pack")
    def upload_pack(project: str) -> Response:
        return _serve(project, "git-upload-pack")

    def _serve(project: str, service: str) -> Response:
        repository = store.repository(store.project(project))
        body = request.get_data()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        finished = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env={
                **git_environment(),
                "GIT_PROJECT_ROOT": str(store.directory),
                "GIT_HTTP_EXPORT_ALL": "1",
                # As GitLab configures its repositories: any commit can be fetched, and partially.
                "GIT_CONFIG_COUNT": "2",
                "GIT_CONFIG_KEY_0": "uploadpack.allowAnySHA1InWant",
                "GIT_CONFIG_VALUE_0": "true",
                "GIT_CONFIG_KEY_1": "uploadpack.allowFilter",
                "GIT_CONFIG_VALUE_1": "true",
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                "PATH_INFO": f"/{repository.directory.relative_to(store.directory)}/{service}",
                "QUERY_STRING": request.query_string.decode(),
                "REQUEST_METHOD": request.method,
                "CONTENT_TYPE": request.content_type or "",
                "CONTENT_LENGTH": str(len(body)),
            },
            check=False,
        )
        head, _, content = finished.stdout.partition(b"\r\n\r\n")
        if not head:
            return Response(finished.stderr.decode(errors="replace"), 500, mimetype="text/plain")
        headers = message_from_bytes(head)
        status = headers.get("Status", "200")
        return Response(content, int(status.split()[0]), {k: v for k, v in headers.items() if k != "Status"})

    return routes
