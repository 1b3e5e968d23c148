"""The log of requests that change something, in order: `log/requests.log`, one line per request."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_READING = ("GET", "HEAD", "OPTIONS")


class RequestLog:
    """A WSGI application that forwards to `app`, and logs time, service, method, path and status of each request.

    Queries and bodies are left out: they may hold secrets. Requests of AWS's query APIs have everything there, and are
    not logged at all; the journal of AWS has their changes.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], *, service: str, path: Path) -> None:
        self._app = app
        self._service = service
        self._path = path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]

        def note(status: str, *rest: Any) -> Any:
            if method not in _READING and path != "/":
                self._write(f"{method} {path} {status.partition(' ')[0]}")
            return start_response(status, *rest)

        return self._app(environ, note)

    def _write(self, text: str) -> None:
        """Add a line. A failure is ignored: the request itself may have succeeded."""
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, f"{time} {self._service} {text}\n".encode())
            finally:
                os.close(descriptor)
