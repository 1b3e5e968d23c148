"""BuildKit's state on the build node's own disk, which a job leaves to later jobs. One daemon at a time uses a folder.

The disk belongs to one architecture and one trust tier, and lives as long as its node. A folder belongs to one project,
and so do the layers, sources and `RUN --mount=type=cache` in it. Variables: `BUILDYARD_STATE` is the disk, if there is
one, and `BUILDYARD_RENEWED` names the image's tags that move when somebody renews the image's build cache.

Everything on the disk was written by jobs. What cannot be read or used is built without.
"""

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count, islice
from pathlib import Path

ROOM, MOST_ROOM = 0.2, 20 * 1024**3
"""The part of the disk and of its inodes that a build finds free, and the bytes that are enough on a large disk."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FOLDER = re.compile(r"[0-9]{1,18}-[0-9]{1,4}")


class KeptState:
    """A folder that this process has locked, for as long as it or a process that it started lives."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self.lock = folder, lock
        self.root = folder / "state"

    @property
    def found(self) -> bool:
        """Whether there is a state in the folder, or something else in its place."""
        return os.path.lexists(self.root)

    def use_for(self, image: str, renewals: str) -> None:
        """Note a build of an image; empty the folder first if what it holds of the image is older than a renewal.

        What a machine wrote to its disk before it broke down may be incomplete, so each boot begins with nothing.
        """
        images = self.images()
        is_ours = images and self.root.is_dir() and not self.root.is_symlink()
        if images.get(image, renewals) != renewals or not is_ours:
            self.empty()
            images = {}
        written = self.folder / "images.new"
        written.unlink(missing_ok=True)  # it may be a link
        written.write_text(json.dumps({"boot": _boot(), "images": {**images, image: renewals}}))
        written.replace(self.folder / "images.json")

    def images(self) -> dict[str, str]:
        """The renewals that were known when each image was last built here, in this boot; empty if that is unknown."""
        try:
            read = json.loads((self.folder / "images.json").read_text())
            return {str(key): str(value) for key, value in read["images"].items()} if read["boot"] == _boot() else {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def empty(self) -> None:
        """Delete the state, and what could not be deleted before. Raises OSError if it cannot even be moved away."""
        held = [*([self.root] if self.found else []), *self.folder.glob("undeletable-*")]
        # Files of RUN steps belong to the user's sub-uids, which only a user namespace can delete.
        if held:
            subprocess.run(["rootlesskit", "rm", "-rf", *map(str, held)], capture_output=True, check=False)
        if self.found:
            self.root.rename(next(name for name in _names(self.folder, "undeletable-") if not name.exists()))

    def release(self) -> None:
        """Unlock the folder, if no process that this one started uses it."""
        os.close(self.lock)


def _boot() -> str:
    return _BOOT.read_text().strip()


def has_room(disk: Path) -> bool:
    """Whether there is room for a build."""
    size = os.statvfs(disk)
    enough = min(size.f_blocks * size.f_frsize * ROOM, MOST_ROOM)
    return size.f_bavail * size.f_frsize >= enough and size.f_favail >= size.f_files * ROOM


def claim(
    environment: Mapping[str, str], say: Callable[[str], None], has_room: Callable[[Path], bool] = has_room
) -> KeptState | None:
    """Lock the folder that suits a job's image best. None if the job has no disk, or there is no room on it.

    That is a folder in which the image was built before; if there is none, the project's that was used last.
    """
    disk, tags = environment.get("BUILDYARD_STATE"), environment.get("BUILDYARD_RENEWED")
    project = environment.get("CI_PROJECT_ID", "")
    if not disk or not tags or not re.fullmatch(r"[0-9]{1,18}", project):
        return None
    found = None
    try:
        renewals = _renewals(tags.split())
        found = _lock_best(Path(disk), project, tags)
        _make_room(Path(disk), found, say, has_room)
        found.use_for(tags, renewals)
    except (OSError, LookupError) as error:
        say(f"Building without the state of earlier jobs on this node: {error}")
        if found:
            found.release()
        return None
    if found.found:
        say("BuildKit continues with the state that earlier jobs of this project left on this node.")
    return found


def _renewals(tags: list[str]) -> str:
    """The digests under an image's tags. Raises LookupError if the registry does not say."""
    digests = []
    for tag in dict.fromkeys(tags):
        done = subprocess.run(["crane", "digest", tag], capture_output=True, text=True)
        if done.returncode and "MANIFEST_UNKNOWN: " not in done.stderr:
            raise LookupError(f"the registry did not say when {tag} moved: {done.stderr.strip()}")
        digests.append(done.stdout.strip() or "none")
    return " ".join(digests)


def _lock_best(disk: Path, project: str, image: str) -> KeptState:
    def unlike(folder: Path) -> tuple[bool, float]:
        return image not in KeptState(folder, -1).images(), -_last_use(folder)

    present = sorted((each for each in _folders(disk) if each.name.startswith(f"{project}-")), key=unlike)
    new = (name for name in _names(disk, f"{project}-") if name not in present)
    for folder in islice(chain(present, new), 1000):
        folder.mkdir(mode=0o700, exist_ok=True)
        if locked := _lock(folder):
            return locked
    raise LookupError("all of its folders are in use")


def _lock(folder: Path) -> KeptState | None:
    """Lock a folder. None if another job has it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return KeptState(folder, lock)


def _make_room(disk: Path, own: KeptState, say: Callable[[str], None], has_room: Callable[[Path], bool]) -> None:
    """Empty the folders that were used longest ago, at last this job's own, until there is room for a build."""
    for folder in [*sorted(set(_folders(disk)) - {own.folder}, key=_last_use), own.folder]:
        if has_room(disk):
            return
        state = own if folder == own.folder else _lock(folder)
        if state and state.found:
            say(f"The disk of kept state is full. Emptying {folder.name}, which was used longest ago.")
        if state:
            try:
                state.empty()
            finally:
                if state is not own:
                    state.release()
    if not has_room(disk):
        raise LookupError("its disk is full of other files")


def _folders(disk: Path) -> list[Path]:
    return [each for each in disk.iterdir() if _FOLDER.fullmatch(each.name) and each.is_dir() and not each.is_symlink()]


def _last_use(folder: Path) -> float:
    try:
        return (folder / "images.json").lstat().st_mtime
    except OSError:
        return 0


def _names(folder: Path, prefix: str) -> Iterator[Path]:
    return (folder / f"{prefix}{number}" for number in count())
