"""The sandbox's one background process: `python -m sandbox.server [DIRECTORY]` is it; the functions here control it.

A lock that the process holds as long as it lives says whether it runs: a killed one leaves no stale state behind.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TextIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import grpc

from sandbox.endpoints import Endpoints, data_directory, forget_endpoints, read_endpoints, write_endpoints

_LOCK = "server.lock"  # held by the process; holds its id
_START_LOCK = "start.lock"  # held by whoever starts or stops it
_LOG = "log/server.log"
_LOG_TAIL_LINES = 20
_STOP_SECONDS = 20


class ServerError(Exception):
    """The sandbox's process could not be started or stopped; the message says what its log ends with."""


@dataclass(frozen=True)
class Status:
    """Whether the process runs, and which of its parts answer, by name."""

    endpoints: Endpoints | None
    answering: dict[str, bool]


def start(directory: Path, timeout: float = 120) -> Endpoints:
    """Start the process unless it runs already, and wait until all of it answers; `timeout` is in seconds.

    Raises ServerError with the end of the log if the process ends, or does not get ready in time.
    """
    _refuse_other_directories(directory)
    with _exclusive(directory):
        endpoints = running(directory)
        if endpoints is not None and endpoints.code == _code():
            return endpoints
        _stop(directory, _STOP_SECONDS)  # a process of another version of the code
        log = directory / _LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.server", str(directory)],
                cwd=Path(__file__).resolve().parent.parent,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C at the terminal is not for it
            )
        return _wait_until_ready(directory, process, timeout)


def stop(directory: Path, timeout: float = _STOP_SECONDS) -> bool:
    """Stop the process, by force after `timeout` seconds; False if it was not running."""
    with _exclusive(directory):
        return _stop(directory, timeout)


def delete(directory: Path, timeout: float = _STOP_SECONDS) -> None:
    """Stop the process and delete all data. Raises ServerError for a directory of somebody else's."""
    _refuse_other_directories(directory)
    with _exclusive(directory):
        _stop(directory, timeout)
        for entry in directory.iterdir():
            if entry.name not in (_LOCK, _START_LOCK):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def running(directory: Path) -> Endpoints | None:
    """The endpoints, if its process is alive and has got ready."""
    endpoints = read_endpoints(directory)
    return endpoints if endpoints is not None and endpoints.pid == _holder(directory) else None


def status(directory: Path) -> Status:
    """Ask every part whether it answers; nothing answers when the process is not running."""
    endpoints = running(directory)
    if endpoints is None:
        return Status(None, {})
    services = {"aws": endpoints.aws, "gitlab": endpoints.gitlab, "kubernetes": endpoints.kubernetes}
    return Status(
        endpoints,
        {
            **{name: _answers_http(url) for name, url in services.items()},
            **{f"{name} provider": _answers_grpc(port) for name, port in endpoints.providers.items()},
        },
    )


def main() -> None:
    """Be the process: host everything until SIGTERM or SIGINT."""
    from sandbox.hosting import Hosting  # here, since it loads moto and all SDKs: seconds that a client need not spend

    directory = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else data_directory()
    directory.mkdir(parents=True, exist_ok=True)
    code = _code()  # before it is loaded: a change in between is then seen as one
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each of thousands of requests
    end = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    with (directory / _LOCK).open("a+") as lock:
        if not _wait_for(lambda: _locked(lock), 1):  # somebody may be looking whether it is held
            sys.exit(f"A sandbox already runs with its data in {directory}.")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        hosting = Hosting(directory, code)
        write_endpoints(directory, hosting.endpoints)
        end.wait()
        forget_endpoints(directory)
        hosting.close()


def _refuse_other_directories(directory: Path) -> None:
    # The lock is a sandbox's first file, so it is looked for after the others: another start may be making them now.
    if directory.is_dir() and any(directory.iterdir()) and not (directory / _START_LOCK).exists():
        raise ServerError(f"{directory} holds files that are not the sandbox's; name an empty directory for its data.")


def _stop(directory: Path, timeout: float) -> bool:
    pid = _holder(directory)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not _wait_for(lambda: _holder(directory) is None, timeout):
            os.kill(pid, signal.SIGKILL)
            _wait_for(lambda: _holder(directory) is None, timeout)
    forget_endpoints(directory)
    return pid is not None


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Let others who start or stop wait for their turn."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / _START_LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _holder(directory: Path) -> int | None:
    """The id of the living process; None if there is none."""
    try:
        with (directory / _LOCK).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0)
    except FileNotFoundError:
        pass
    return None


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _code() -> str:
    """A hash of the sandbox's code."""
    package = Path(__file__).parent
    sources = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".json", ".yaml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _environment() -> dict[str, str]:
    """The process's environment: without the user's AWS settings, so that nothing there can reach a real account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nothing = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    return {**kept, **nothing, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONUNBUFFERED": "1"}


def _wait_until_ready(directory: Path, process: "subprocess.Popen[bytes]", timeout: float) -> Endpoints:
    if not _wait_for(lambda: running(directory) is not None or process.poll() is not None, timeout):
        process.kill()
        raise ServerError(f"The sandbox did not get ready within {timeout:.0f} seconds.\n{_log_tail(directory)}")
    endpoints = running(directory)
    if endpoints is None:
        raise ServerError(f"The sandbox ended with status {process.wait()} as it started.\n{_log_tail(directory)}")
    return endpoints


def _log_tail(directory: Path) -> str:
    log = directory / _LOG
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"The end of {log}:", *(f"  {line}" for line in lines)])


def _wait_for(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _answers_http(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):  # noqa: S310 (one of our own http:// URLs)
            return True
    except HTTPError:  # an answer, if not to this question
        return True
    except (URLError, OSError):
        return False


def _answers_grpc(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=2)
        except grpc.FutureTimeoutError:
            return False
    return True


if __name__ == "__main__":
    main()
