"""The prerequisites of real builds, and the command that installs each of them."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.builds import tools
from sandbox.builds.errors import BuildError
from sandbox.builds.install import COMMAND, up_to_date
from sandbox.builds.worker import USER, Worker, find_worker
from stacks.architecture import Architecture

_PYTHON = "import sys, zoneinfo; zoneinfo.ZoneInfo('Asia/Hong_Kong'); sys.exit(sys.version_info < (3, 10))"
_NAMESPACES = (
    "sysctl -w user.max_user_namespaces=28633; on Ubuntu also sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
)


class MissingPrerequisitesError(BuildError):
    """The machine cannot run builds; the message names what is missing, and the commands that install it."""


@dataclass(frozen=True, kw_only=True)
class Prerequisite:
    """A prerequisite of builds: its purpose, and the command that installs it."""

    name: str
    purpose: str
    remedy: str
    present: Callable[[], bool]


def require(directory: Path) -> Worker:
    """The user who can run builds with the sandbox's data in `directory`.

    Raises `MissingPrerequisitesError` with all that is missing, as far as that can be told: some need others.
    """
    worker = find_worker()
    missing = list(_missing(worker, directory))
    if worker is None or missing:
        width = max(len(each.name) for each in missing)
        lines = [f"  {each.name:{width}}  {each.purpose}: {each.remedy}" for each in missing]
        raise MissingPrerequisitesError(
            "\n".join(
                [
                    "This machine lacks prerequisites of real builds:",
                    *lines,
                    f"To install everything, as root: {COMMAND}",
                ]
            )
        )
    return worker


def _missing(worker: Worker | None, directory: Path) -> Iterator[Prerequisite]:
    programs = [each for each in _programs() if not each.present()]
    yield from programs
    if worker is None:
        yield Prerequisite(
            name=f"user {USER}",
            purpose="builds never run as root",
            remedy=f"useradd --create-home {USER}",
            present=lambda: False,
        )
        return
    yield from (each for each in _of_worker(worker, directory) if not each.present())
    if not programs:
        # The checks of `_namespaces` run the programs that are checked above.
        yield from (each for each in list(_namespaces(worker)) if not each.present())


def _programs() -> Iterator[Prerequisite]:
    def program(name: str, purpose: str, package: str) -> Prerequisite:
        return Prerequisite(
            name=name,
            purpose=purpose,
            remedy=f"apt-get install {package}",
            present=lambda: tools.find(name) is not None,
        )

    yield program("git", "clones the project", "git")
    yield program("rsync", "gives each job its own folder", "rsync")
    yield program("rootlesskit", "makes an ordinary user root in a namespace", "rootlesskit")
    yield program("newuidmap", "maps users into that namespace", "uidmap")
    yield program("runc", "runs a Dockerfile's RUN", "runc")
    yield Prerequisite(
        name="BuildKit, crane, ECR's credential helper, a registry, gitlab-ci-local, BusyBox",
        purpose="are built or fetched in the versions in sandbox/builds/tools",
        remedy=COMMAND,
        present=up_to_date,
    )


def _of_worker(worker: Worker, directory: Path) -> Iterator[Prerequisite]:
    def sub_ids(file: str) -> bool:
        path = Path(file)
        owners = [line.split(":")[0] for line in path.read_text().splitlines()] if path.exists() else []
        return worker.name in owners or str(worker.uid) in owners

    yield Prerequisite(
        name=f"sub-uids of {worker.name}",
        purpose="the users in its namespaces",
        remedy=f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {worker.name}",
        present=lambda: sub_ids("/etc/subuid") and sub_ids("/etc/subgid"),
    )
    yield Prerequisite(
        name="python3 >= 3.10 with time zones",
        purpose="runs the jobs' scripts",
        remedy="apt-get install python3 tzdata",
        present=lambda: worker.succeeds(["python3", "-c", _PYTHON]),
    )
    for path in (directory, tools.DIRECTORY, tools.NODE):
        yield Prerequisite(
            name=f"access to {path}",
            purpose=f"{worker.name} must be able to read it",
            remedy="chmod o+x its parent folders, or move the clone to a folder that every user can enter",
            present=lambda path=path: not path.exists() or worker.succeeds(["test", "-r", str(path)]),  # type: ignore[misc]
        )


def _namespaces(worker: Worker) -> Iterator[Prerequisite]:
    yield Prerequisite(
        name="user namespaces",
        purpose="rootless BuildKit lives in one",
        remedy=_NAMESPACES,
        present=lambda: worker.succeeds(["rootlesskit", "true"]),
    )
    for architecture in Architecture:
        busybox = str(tools.busybox(architecture))
        yield Prerequisite(
            name=f"programs for {architecture}",
            purpose="QEMU runs programs of other architectures; a namespace can register it since Linux 6.7",
            remedy="apt-get install qemu-user-static, and binfmt-support on an older Linux",
            present=lambda busybox=busybox: worker.succeeds(["rootlesskit", "emulated-node.sh", busybox, "true"]),  # type: ignore[misc]
        )


if __name__ == "__main__":
    from sandbox.endpoints import data_directory

    try:
        print(f"Everything is there: {require(data_directory()).name} can run the builds.")
    except MissingPrerequisitesError as error:
        sys.exit(str(error))
