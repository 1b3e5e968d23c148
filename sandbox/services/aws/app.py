"""The AWS endpoint: moto's server application, with a journal that restores its state at a start."""

import io
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import moto.iam.models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

from sandbox.services.aws import authorization, autoscaling, bucket_policies, ecr, eks, iam, limits, quotas, sts
from sandbox.services.aws.ecr import registry
from sandbox.services.aws.eks import auth
from sandbox.services.aws.journal import Entry, Journal
from sandbox.services.aws.repeatable import repeatable
from sandbox.services.aws.sts.responses import StsResponse
from sandbox.services.aws.tokens import signing_key
from sandbox.services.document import storage_refusal

# The headers by which moto finds the service, the region and the operation of a request, and parses its body.
_HEADERS = ("Authorization", "Content-Type", "Host", "X-Amz-Target", "X-Moto-Account-Id")
_READS = ("Describe", "Get", "List")

logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]


def create_app(directory: Path) -> "AwsApplication":
    """The AWS endpoint as a WSGI application, with its data in `directory / "aws"`.

    One per process: moto's state is global. Raises ValueError if the journal is damaged.
    """
    autoscaling.extend_moto()
    bucket_policies.extend_moto()
    ecr.extend_moto()
    eks.extend_moto()
    iam.extend_moto()
    auth.extend_moto()
    quotas.extend_moto()
    sts.extend_moto()
    auth.EksAuthResponse.token_key = StsResponse.token_key = signing_key(directory)
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AWS's managed policies
    # Unused here, and slow to load: machine images, and IAM in AWS's other partitions.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    moto.iam.models.PARTITION_NAMES = ["aws"]  # type: ignore[attr-defined] # moto imported it from elsewhere
    judge = authorization.Judge(directory / "log" / "rights.jsonl")
    application = AwsApplication(Journal(directory / "aws" / "journal.jsonl"), judge)
    # After the journal is repeated: requests that were accepted before stay.
    limits.enforce()
    authorization.enforce(judge)
    return application


class AwsApplication:
    def __init__(self, journal: Journal, judge: authorization.Judge) -> None:
        self._journal = journal
        self._judge = judge
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._turn = Lock()  # moto's backends are not thread-safe, and entries must be in the order of execution
        self._started: set[str] = set()
        for entry in journal.entries():
            self._repeat(entry)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(registry.PREFIX):
            with self._turn:
                answer = registry.answer(request, self._judge.of_registry)
            return answer(environ, start_response)
        entry = Entry(
            method=request.method,
            path=environ["REQUEST_URI"],
            headers={name: request.headers[name] for name in _HEADERS if name in request.headers},
            body=request.get_data().decode(errors="surrogateescape"),
            seed=secrets.randbits(64),
            moment=time.time(),
        )
        with self._turn:
            response = self._record(entry, environ) if self._is_history(entry) else self._run(entry, environ)
        return response(environ, start_response)

    def _is_history(self, entry: Entry) -> bool:
        return _changes(entry) or _scope(entry) not in self._started

    def _record(self, entry: Entry, environ: dict[str, Any]) -> Response:
        try:
            with self._journal.appended(entry) as written:
                response = self._run(entry, environ)
                # A refused request changed nothing; one that failed inside moto may have, and will again.
                written.kept = not 400 <= response.status_code < 500
        except OSError as error:
            status, message = storage_refusal(error)
            logger.error(message)
            return _refusal(entry, status, message)
        if written.kept:
            self._started.add(_scope(entry))
        return response

    def _run(self, entry: Entry, environ: dict[str, Any]) -> Response:
        environ["wsgi.input"] = io.BytesIO(_bytes(entry))
        with repeatable(entry.seed, entry.moment):
            body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        return Response(b"".join(body), status, headers)

    def _repeat(self, entry: Entry) -> None:
        path, _, query = entry.path.partition("?")
        environ = create_environ(
            path, query_string=query, method=entry.method, headers=entry.headers, data=_bytes(entry)
        )
        self._started.add(_scope(entry))
        self._run(entry, environ)


def _changes(entry: Entry) -> bool:
    """Whether a request may change something: by the operation's name, or by the HTTP method of a REST API."""
    target = entry.headers.get("X-Amz-Target")
    actions = [target.rsplit(".", 1)[-1]] if target else parse_qs(entry.body).get("Action")
    if actions:
        return not actions[0].startswith(_READS)
    return entry.method not in ("GET", "HEAD")


def _refusal(entry: Entry, status: int, message: str) -> Response:
    """An error in the form of the service's protocol: JSON, or XML where requests are forms."""
    code = "InsufficientStorage"
    if "x-www-form-urlencoded" in entry.headers.get("Content-Type", ""):
        error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        return Response(f"<Response><Errors>{error}</Errors></Response>", status, mimetype="text/xml")
    body = json.dumps({"__type": code, "message": message})
    return Response(body, status, {"X-Amzn-ErrorType": code}, mimetype="application/json")


def _bytes(entry: Entry) -> bytes:
    return entry.body.encode(errors="surrogateescape")


def _scope(entry: Entry) -> str:
    """The region and the service of a request's signature.

    Moto creates the state of a service in a region, with random ids, at the first request of any kind. So the journal
    needs that request, too.
    """
    return "/".join(entry.headers.get("Authorization", "").split(",")[0].split("/")[2:4])
