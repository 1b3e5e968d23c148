"""Run a build command, and tell the faults of the machine and the registry from mistakes in the Dockerfile.

Arguments: the command, whose output is passed on. If the registry throttles or fails, the command runs again after a
pause; BuildKit keeps what it has built. After any other fault, the output ends with a sentence that says what to do,
and the exit code is one of `Fault`, which the pipeline's `retry` names. A mistake in the Dockerfile has BuildKit's own
exit code, 1.

BuildKit continues with a state that earlier jobs left on the node, if there is one. If that could be what is wrong, the
command runs again without it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

from pipeline.scripts.kept_state import KeptState, claim
from pipeline.scripts.registry import PAUSES, UNAUTHORIZED, helper_error


class Fault(IntEnum):
    """A fault that is not a mistake in the Dockerfile; the value is the job's exit code."""

    DAEMON = 71
    MEMORY = 72
    DISK = 73
    REGISTRY = 75
    STOPPED = 143


SENTENCES = {
    Fault.DAEMON: (
        "BuildKit was killed or did not start: GitLab starts this job again, and if that does not help, raise "
        "resources.memory of this image in the stack's settings."
    ),
    Fault.MEMORY: (
        "A process of the build was killed, most likely because it ran out of memory{limit}: raise "
        "resources.memory.limit of this image in the stack's settings."
    ),
    Fault.DISK: (
        "The disk is full: raise resources.ephemeral-storage of this image in the stack's settings, and nodes.disk if "
        "the node's disk is too small, or nodes.cache if the nodes have one."
    ),
    Fault.REGISTRY: (
        "The registry throttled or failed the requests, and still did after {seconds:.0f} seconds: wait until the "
        "registry works, then retry this job if GitLab does not."
    ),
    Fault.STOPPED: (
        "The job was told to stop: if its node went away, GitLab starts the job again, and if somebody cancelled it, "
        "retry it by hand."
    ),
}

_MISTAKE = "did not complete successfully"  # a RUN step failed: what it printed is not the registry's answer
_NOT_THE_STATE = (_MISTAKE, "dockerfile parse error")
_KILLED = re.compile(r"did not complete successfully: exit code: 137$")
_NO_DAEMON = re.compile(
    r"failed to receive status: .*code = Unavailable|failed to list workers: |could not connect to "
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
# BuildKit itself waits seven seconds on a 5xx, and asks five times without a pause on a 429.
# Sources: https://github.com/moby/buildkit/blob/master/util/resolver/retryhandler/retry.go and
# https://github.com/containerd/containerd/blob/main/core/remotes/docker/resolver.go
_THROTTLED = re.compile(
    r"429 Too Many Requests|500 Internal Server Error|502 Bad Gateway|503 Service Unavailable|504 Gateway Time-?out"
    r"|status(?: ?code)?:? (429|5\d\d)\b"
    r"|too ?many ?requests|rate exceeded|throttl|request limit exceeded"
    r"|connection reset by peer|TLS handshake timeout|: EOF$",
    re.IGNORECASE,
)

_CGROUP = Path("/sys/fs/cgroup")
_LINES = 60
"""How many of the last lines are searched: BuildKit's summary of the step that failed."""
STOP_SECONDS = 10
"""How long a build that was told to stop has, before it is killed."""


class _StoppedError(Exception):
    """Something asked this process to stop."""


class _Stop:
    """The handler of SIGTERM. It raises `_StoppedError` once, and not while a command is being started."""

    def __init__(self) -> None:
        self._asked = False
        self._raises = False

    def __call__(self, *_: object) -> None:
        self._asked = True
        if self._raises:
            self._raises = False
            raise _StoppedError

    def wait(self) -> None:
        self._raises = False

    def go(self) -> None:
        self._raises = True
        if self._asked:
            self()


def find_fault(status: int, last: Sequence[str], *, killed: bool, credentials: Callable[[], str]) -> "Fault | None":
    """The fault that ended a build with `status`, by its last lines. None means a mistake in the Dockerfile.

    `killed` means that the kernel killed a process for lack of memory. `credentials` reads the error of ECR's
    credential helper, which tells BuildKit only that there are no credentials.
    """
    error = next((line for line in reversed(last) if line.startswith(("error: ", "could not connect to "))), "")
    if killed or status == 128 + signal.SIGKILL or _KILLED.search(error):
        return Fault.MEMORY
    if any(_FULL.search(line) for line in last):
        return Fault.DISK
    if _NO_DAEMON.search(error):
        return Fault.DAEMON
    if _MISTAKE not in error and (
        _THROTTLED.search(error) or (UNAUTHORIZED.search(error) and _THROTTLED.search(credentials()))
    ):
        return Fault.REGISTRY
    return None


def out_of_memory_kills(cgroup: Path = _CGROUP) -> int:
    """How many processes of this container the kernel has killed for lack of memory; 0 if it does not say.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
    """
    found = re.search(r"^oom_kill (\d+)$", _read(cgroup / "memory.events"), re.MULTILINE)
    return int(found[1]) if found else 0


def memory_limit(cgroup: Path = _CGROUP) -> str:
    """The container's memory limit in words, empty if it has none."""
    limit = _read(cgroup / "memory.max").strip()
    return f" (its limit is {int(limit) / 1024**3:.1f}Gi)" if limit.isdecimal() else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _run(command: Sequence[str], last: "deque[str]", stop: _Stop, state: "KeptState | None") -> int:
    """Run the command, pass its output on and keep its last lines. Ends it if this process is told to stop."""
    stop.wait()  # else the command could run on, unknown to this process
    flags = f"{os.environ.get('BUILDKITD_FLAGS', '')} --root={state.root}" if state else None
    with subprocess.Popen(
        command,
        env={**os.environ, "BUILDKITD_FLAGS": flags} if flags else None,
        pass_fds=[state.lock] if state else (),  # the folder stays locked as long as a daemon lives
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        try:
            stop.go()
            for line in child.stdout or ():
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
                last.append(line.decode(errors="replace").rstrip())
            status = child.wait()
        except _StoppedError:
            _end(child.pid)
            raise
    return status if status >= 0 else 128 - status


def _end(group: int) -> None:
    """End a process group: the command, whose shell ends first, and BuildKit's daemon, which ends the build's steps."""
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_alive(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    """Whether a process of the group runs. One that ended and nobody has waited for is not counted.

    Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    found = (_read(stat).rpartition(")")[2].split() for stat in Path("/proc").glob("[0-9]*/stat"))
    return any(fields[2] == str(group) and fields[0] not in "ZX" for fields in found if fields)


def _emptied(state: KeptState) -> "KeptState | None":
    """The state of earlier jobs, emptied. None if that cannot be done, which is said."""
    try:
        state.empty()
    except OSError as error:
        _say(f"Could not empty the state of earlier jobs on this node: {error}")
        return None
    return state


def may_be_the_state(fault: "Fault | None", last: Sequence[str]) -> bool:
    """Whether a build that failed could succeed without the state of earlier jobs."""
    return fault in (None, Fault.DAEMON) and not any(each in line for line in last for each in _NOT_THE_STATE)


def main(command: Sequence[str]) -> int:
    """Run the command, again after each pause while the registry fails. Returns the job's exit code."""
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    started, kills, rest = time.monotonic(), out_of_memory_kills(), iter(PAUSES)
    state, suspect, emptied = claim(os.environ, _say), None, False
    while True:
        last: deque[str] = deque(maxlen=_LINES)
        try:
            status = _run(command, last, stop, state)
            if not status:
                if suspect:
                    _emptied(suspect)
                return 0
            killed = out_of_memory_kills() > kills
            fault = find_fault(status, last, killed=killed, credentials=helper_error)
            if state and fault is Fault.DISK and not emptied:
                _say("The disk is full. Building again without the state that earlier jobs left on it.")
                state, emptied = _emptied(state), True
                continue
            if state and may_be_the_state(fault, last):
                _say("Building again without the state of earlier jobs on this node, in case that it is damaged.")
                state, suspect = None, state
                continue
            pause = next(rest, None) if fault is Fault.REGISTRY else None
            if pause is not None:
                _say(f"The registry throttled or failed a request; next try in {pause} s.")
                time.sleep(pause)
                continue
        except _StoppedError:
            fault = Fault.STOPPED
        if fault is None:
            return status
        _say(f"\n{SENTENCES[fault].format(limit=memory_limit(), seconds=time.monotonic() - started)}")
        return int(fault)


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
