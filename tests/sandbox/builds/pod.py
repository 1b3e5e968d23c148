"""A process in a user namespace like that of a pod with `hostUsers: false`, as far as one machine shows it.

Arguments: the number of the pod's user IDs, the folder of its files, and a command, which user 1000 of the pod runs.
Root starts it. The pod's own processes, mounts and /proc are separate; /proc is not masked, as it would be in a pod.
"""

import ctypes
import os
import sys
from pathlib import Path

FIRST = 300_000
"""The machine's user that is the pod's root."""
USER = 1000
_NEW_USERS, _NEW_MOUNTS, _NEW_PROCESSES = 0x10000000, 0x00020000, 0x20000000
_BIND, _PRIVATE_RECURSIVE = 0x1000, 0x44000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    arguments = (source.encode(), target.encode(), kind.encode() if kind else None)
    _done(_LIBC.mount(*arguments, flags, None), f"mount {target}")


def _run(folder: Path, command: list[str]) -> None:
    """Become the pod's user, with the files of the image `moby/buildkit:rootless` that name users."""
    _mount("none", "/", None, _PRIVATE_RECURSIVE)
    _mount("proc", "/proc", "proc", 0)
    for name in ("passwd", "subuid", "subgid"):
        _mount(str(folder / name), f"/etc/{name}", None, _BIND)
    os.setgid(USER)
    os.setuid(USER)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


def main(count: int, folder: Path, command: list[str]) -> int:
    made, mapped = os.pipe(), os.pipe()
    pod = os.fork()
    if pod == 0:
        _done(_LIBC.unshare(_NEW_USERS | _NEW_MOUNTS | _NEW_PROCESSES), "unshare")
        os.write(made[1], b".")
        os.read(mapped[0], 1)
        os.setgroups([])
        os.setgid(0)
        os.setuid(0)
        first = os.fork()
        if first == 0:
            _run(folder, command)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
    os.read(made[0], 1)
    for kind in ("uid", "gid"):
        Path(f"/proc/{pod}/{kind}_map").write_text(f"0 {FIRST} {count}\n")
    os.write(mapped[1], b".")
    return os.waitstatus_to_exitcode(os.waitpid(pod, 0)[1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
