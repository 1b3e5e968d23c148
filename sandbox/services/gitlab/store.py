"""GitLab's records besides the repositories: groups, projects, runners, variables, and one access token."""

import secrets
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sandbox.services.document import Document, write_private
from sandbox.services.gitlab.errors import not_found
from sandbox.services.gitlab.repository import Repository

Record = dict[str, Any]


class Store:
    """GitLab's records under one directory.

    Its state has tables that map ids to records; ids are strings, as JSON requires.
    """

    def __init__(self, directory: Path, base_url: str) -> None:
        self.directory = directory
        self.base_url = base_url.rstrip("/")
        self.state = Document(directory / "state.json")
        self.token = access_token(directory.parent)

    def group(self, reference: str) -> Record:
        """The group with this id or path. Raises GitLab's 404."""
        return self._find("groups", "Group", reference)

    def project(self, reference: str) -> Record:
        """The project with this id or path. Raises GitLab's 404."""
        return self._find("projects", "Project", reference)

    def repository(self, project: Record) -> Repository:
        return Repository(self.directory / f"{project['path_with_namespace']}.git")

    def create_group(self, path: str, name: str, parent: Record | None = None, created_at: str = "") -> Record:
        """Add a group; its full path must be free."""
        with self.state.change() as state:
            group = {
                "id": next_id(state, "groups"),
                "name": name,
                "path": path,
                "full_name": f"{parent['full_name']} / {name}" if parent else name,
                "full_path": f"{parent['full_path']}/{path}" if parent else path,
                "parent_id": parent["id"] if parent else None,
                "description": "",
                "visibility": "public",
                "created_at": created_at or now(),
            }
            state.setdefault("groups", {})[str(group["id"])] = group
        return group

    def create_project(
        self, group: Record, path: str, name: str, *, default_branch: str = "main", created_at: str = ""
    ) -> Record:
        """Add a project with an empty repository; its path must be free."""
        with self.state.change() as state:
            project = {
                "id": next_id(state, "projects"),
                "name": name,
                "path": path,
                "name_with_namespace": f"{group['full_name']} / {name}",
                "path_with_namespace": f"{group['full_path']}/{path}",
                "namespace_id": group["id"],
                "default_branch": default_branch,
                "description": "",
                "visibility": "public",
                "created_at": created_at or now(),
            }
            # First the repository: if the process is killed before the next step, nothing refers to the repository,
            # and the next attempt creates it again.
            Repository.create(self.repository(project).directory, default_branch)
            state.setdefault("projects", {})[str(project["id"])] = project
        return project

    def _find(self, table: str, kind: str, reference: str) -> Record:
        path_key = "full_path" if table == "groups" else "path_with_namespace"
        with self.state.read() as state:
            records = state.get(table, {})
            if reference in records:
                return dict(records[reference])
            for record in records.values():
                if record[path_key].lower() == reference.lower():
                    return dict(record)
        raise not_found(kind)


def access_token(directory: Path) -> str:
    """The token that the API of the GitLab under `directory` (the sandbox's data directory) accepts.

    It is created at first use, and stored in `gitlab/token`, which only its owner can read.
    """
    path = directory / "gitlab" / "token"
    if not path.exists():
        write_private(path, f"glpat-{secrets.token_urlsafe(15)}")
    return path.read_text(encoding="utf-8").strip()


def next_id(state: Record, table: str) -> int:
    """A new id for a table: as in GitLab, ids of deleted records are not reused."""
    counters = state.setdefault("last_ids", {})
    counters[table] = int(counters.get(table, 0)) + 1
    return int(counters[table])


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
