"""The content of a new GitLab: a group, and a project with build contexts of images."""

from datetime import datetime, timezone
from pathlib import Path

from sandbox.services.gitlab.projects import USER
from sandbox.services.gitlab.repository import Change
from sandbox.services.gitlab.store import Store

GROUP = "platform"
PROJECT = "images"
DEFAULT_BRANCH = "master"
RELEASES = "v*"
"""The protected Git tags."""
_CONTENT = Path(__file__).parent / "seed"
_DATE = datetime(2026, 1, 5, 9, 0, tzinfo=timezone.utc)  # fixed, so that every sandbox's first commit is the same


def seed(store: Store) -> None:
    """Fill a new GitLab once: what users remove later is not restored. An interrupted first start is completed."""
    with store.state.read() as state:
        if state.get("seeded"):
            return
        has_group, has_project = bool(state.get("groups")), bool(state.get("projects"))
    date = _DATE.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    group = store.group(GROUP) if has_group else store.create_group(GROUP, "Platform", created_at=date)
    project = (
        store.project(f"{GROUP}/{PROJECT}")
        if has_project
        else store.create_project(group, PROJECT, "Images", default_branch=DEFAULT_BRANCH, created_at=date)
    )
    repository = store.repository(project)
    if not repository.branches():
        repository.commit(
            DEFAULT_BRANCH,
            {path.relative_to(_CONTENT).as_posix(): _change(path) for path in _files()},
            parent=None,
            expected=None,
            message="Add the images that we build\n",
            author=USER,
            committer=USER,
            date=_DATE,
        )
    with store.state.change() as state:
        state.setdefault("protected_tags", {})[str(project["id"])] = [RELEASES]
        state["seeded"] = True


def _files() -> list[Path]:
    return sorted(path for path in _CONTENT.rglob("*") if path.is_file())


def _change(path: Path) -> Change:
    # By its name: an archive or a file system may not keep the mode.
    return Change(content=path.read_bytes(), executable=path.suffix == ".sh")
