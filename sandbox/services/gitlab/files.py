"""Files of a repository, and its commits and branches.

Source: https://docs.gitlab.com/api/repository_files/, https://docs.gitlab.com/api/commits/ and
https://docs.gitlab.com/api/branches/; messages as in GitLab's `app/services/files` and Gitaly.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.errors import ApiError, bad_parameters, bad_request, not_found
from sandbox.services.gitlab.paging import page_and_size, paged, uncounted_page
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.projects import USER
from sandbox.services.gitlab.protection import protects
from sandbox.services.gitlab.repository import Blob, Change, Commit, GitError, Person, RefMovedError, Repository
from sandbox.services.gitlab.store import Record, Store


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("files", __name__)

    @routes.get("/projects/<encoded:project_ref>/repository/files/<encoded:path>")
    def show(project_ref: str, path: str) -> Response:
        repository = store.repository(store.project(project_ref))
        entity, blob = _file_entity(repository, path)
        response = jsonify({**entity, "content": base64.b64encode(blob.content).decode()})
        for name, value in entity.items():
            response.headers[f"X-Gitlab-{name.replace('_', '-').title()}"] = str(value)
        return response

    @routes.get("/projects/<encoded:project_ref>/repository/files/<encoded:path>/raw")
    def raw(project_ref: str, path: str) -> Response:
        project = store.project(project_ref)
        _, blob = _file_entity(store.repository(project), path, default_ref=project["default_branch"])
        return Response(blob.content, mimetype="text/plain")

    @routes.post("/projects/<encoded:project_ref>/repository/files/<encoded:path>")
    def create(project_ref: str, path: str) -> tuple[Response, int]:
        wanted = _Request.read(path, with_content=True)
        repository = writable(store, project_ref)
        start = wanted.start(repository)
        if start:
            check_free(repository, start, path)
        change = Change(content=wanted.content, executable=bool(wanted.executable))
        _commit(repository, wanted, start, change)
        return jsonify(file_path=path, branch=wanted.branch), 201

    @routes.put("/projects/<encoded:project_ref>/repository/files/<encoded:path>")
    def update(project_ref: str, path: str) -> Response:
        wanted = _Request.read(path, with_content=True)
        repository = writable(store, project_ref)
        start, existing = _existing(repository, wanted)
        executable = existing.executable if wanted.executable is None else wanted.executable
        _commit(repository, wanted, start, Change(content=wanted.content, executable=executable))
        return jsonify(file_path=path, branch=wanted.branch)

    @routes.delete("/projects/<encoded:project_ref>/repository/files/<encoded:path>")
    def delete(project_ref: str, path: str) -> tuple[str, int]:
        wanted = _Request.read(path, with_content=False)
        repository = writable(store, project_ref)
        start, _ = _existing(repository, wanted)
        _commit(repository, wanted, start, Change(content=None))
        return "", 204

    @routes.get("/projects/<encoded:project_ref>/repository/tree")
    def list_tree(project_ref: str) -> Response:
        project = store.project(project_ref)
        repository = store.repository(project)
        parameters = Parameters(request)
        folder = parameters.text("path").strip("/")
        recursive = parameters.boolean("recursive", default=False)
        parameters.check()
        commit_id = repository.commit_id(parameters.text("ref") or project["default_branch"])
        if commit_id is None:
            raise not_found("Tree")
        found = repository.kind(commit_id, folder)
        if found is None:
            raise not_found("invalid revision or path")
        entries = repository.tree(commit_id, folder, recursive=recursive) if found == "tree" else []
        return paged(
            [
                {
                    "id": each.id,
                    "name": each.path.rpartition("/")[2],
                    "type": each.kind,
                    "path": each.path,
                    "mode": each.mode,
                }
                for each in entries
            ]
        )

    @routes.get("/projects/<encoded:project_ref>/repository/commits")
    def list_commits(project_ref: str) -> Response:
        project = store.project(project_ref)
        repository = store.repository(project)
        commit_id = repository.commit_id(request.args.get("ref_name") or project["default_branch"])
        if commit_id is None:
            if repository.branches():
                raise not_found("Reference")
            return paged([])
        page, size = page_and_size()
        path = request.args.get("path")
        commits = repository.commits(commit_id, path=path, skip=(page - 1) * size, limit=size + 1)
        entities = [commit_entity(store, project, commit) for commit in commits[:size]]
        return uncounted_page(entities, more=len(commits) > size)

    @routes.get("/projects/<encoded:project_ref>/repository/commits/<encoded:ref>")
    def show_commit(project_ref: str, ref: str) -> Response:
        project = store.project(project_ref)
        repository = store.repository(project)
        commit_id = repository.commit_id(ref)
        if commit_id is None:
            raise not_found("Commit")
        return jsonify(commit_entity(store, project, repository.commits(commit_id)[0]))

    @routes.get("/projects/<encoded:project_ref>/repository/branches")
    def list_branches(project_ref: str) -> Response:
        project = store.project(project_ref)
        branches = store.repository(project).branches()
        return paged([_branch_entity(store, project, name, commit) for name, commit in branches.items()])

    @routes.get("/projects/<encoded:project_ref>/repository/branches/<encoded:branch>")
    def show_branch(project_ref: str, branch: str) -> Response:
        project = store.project(project_ref)
        commit_id = store.repository(project).branches().get(branch)
        if commit_id is None:
            raise not_found("Branch")
        return jsonify(_branch_entity(store, project, branch, commit_id))

    return routes


def writable(store: Store, project_ref: str) -> Repository:
    """The repository of a project, unless that is archived: its repository is read-only then."""
    project = store.project(project_ref)
    if project.get("archived"):
        raise ApiError(403, {"message": "403 Forbidden"})
    return store.repository(project)


@dataclass(frozen=True, kw_only=True)
class _Request:
    """The body of a request that commits one file."""

    path: str
    branch: str
    start_branch: str
    message: str
    author: Person
    content: bytes
    executable: bool | None
    last_commit_id: str

    @classmethod
    def read(cls, path: str, *, with_content: bool) -> "_Request":
        parameters = Parameters(request)
        branch = parameters.text("branch", required=True, allow_blank=False)
        message = parameters.text("commit_message", required=True, allow_blank=False)
        content = parameters.text("content", required=with_content)
        encoding = parameters.choice("encoding", ("base64", "text"), "text")
        executable = parameters.boolean("execute_filemode", default=False)
        parameters.check()
        if not is_file_path(path):
            raise bad_parameters(["file_path should be a valid file path"])
        return cls(
            path=path,
            branch=branch,
            start_branch=parameters.text("start_branch", branch) or branch,
            message=message,
            author=Person(
                name=parameters.text("author_name") or USER.name, email=parameters.text("author_email") or USER.email
            ),
            content=decode(content, encoding),
            executable=executable if "execute_filemode" in parameters else None,
            last_commit_id=parameters.text("last_commit_id"),
        )

    def start(self, repository: Repository) -> str | None:
        """The parent commit; `None` in an empty repository."""
        branches = repository.branches()
        if not branches:
            return None
        if self.start_branch not in branches:
            raise bad_request("You can only create or edit files when you are on a branch")
        if self.start_branch != self.branch and self.branch in branches:
            raise bad_request(
                f"A branch called '{self.branch}' already exists. Switch to that branch in order to make changes"
            )
        return branches[self.start_branch]


def check_free(repository: Repository, start: str, path: str) -> None:
    """Refuse a path that exists, or that is below a file."""
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        found = repository.kind(start, "/".join(parts[:depth]))
        if found == "blob":
            raise bad_request("A file with this name already exists")
        if found == "tree" and depth == len(parts):
            raise bad_request("A directory with this name already exists")


def _existing(repository: Repository, wanted: _Request) -> tuple[str, Blob]:
    """The parent commit and the file in it; refused if the file changed after the commit that is named."""
    start = wanted.start(repository)
    blob = repository.blob(start, wanted.path) if start else None
    if start is None or blob is None:
        raise bad_request("A file with this name doesn't exist")
    if wanted.last_commit_id:
        last_commit = repository.commits(start, path=wanted.path)[0]
        if last_commit.id != wanted.last_commit_id:
            raise bad_request("You are attempting to update a file that has changed since you started editing it.")
    return start, blob


def _commit(repository: Repository, wanted: _Request, start: str | None, change: Change) -> None:
    if not repository.is_branch_name(wanted.branch):
        raise bad_request(
            f"Something went wrong when we tried to create '{wanted.branch}' for you: Branch name is invalid"
        )
    try:
        repository.commit(
            wanted.branch,
            {wanted.path: change},
            parent=start,
            expected=start if wanted.branch == wanted.start_branch else None,
            message=wanted.message,
            author=wanted.author,
            committer=USER,
        )
    except RefMovedError as error:
        message = f"Could not update refs/heads/{wanted.branch}. Please refresh and try again."
        raise bad_request(message) from error
    except GitError as error:
        raise bad_request(f"invalid path: '{wanted.path}'") from error


def is_file_path(path: str) -> bool:
    return not path.startswith("/") and not any(part in ("", ".", "..", ".git") for part in path.split("/"))


def decode(content: str, encoding: str) -> bytes:
    if encoding == "text":
        return content.encode()
    try:
        # Line breaks are allowed, as in Ruby's decoder; other characters outside base64 are an error.
        return base64.b64decode("".join(content.split()), validate=True)
    except binascii.Error as error:
        raise bad_parameters(["content is not valid base64"]) from error


def _file_entity(repository: Repository, path: str, default_ref: str | None = None) -> tuple[Record, Blob]:
    ref = request.args.get("ref") or default_ref
    if not ref:
        raise bad_parameters(["ref is missing" if "ref" not in request.args else "ref is empty"])
    commit_id = repository.commit_id(ref)
    if commit_id is None:
        raise not_found("Commit")
    blob = repository.blob(commit_id, path) if is_file_path(path) else None
    if blob is None:
        raise not_found("File")
    return {
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "size": len(blob.content),
        "encoding": "base64",
        "content_sha256": hashlib.sha256(blob.content).hexdigest(),
        "ref": ref,
        "blob_id": blob.id,
        "commit_id": commit_id,
        "last_commit_id": repository.commits(commit_id, path=path)[0].id,
        "execute_filemode": blob.executable,
    }, blob


def commit_entity(store: Store, project: Record, commit: Commit) -> Record:
    return {
        "id": commit.id,
        "short_id": commit.id[:8],
        "created_at": commit.committed_at,
        "parent_ids": list(commit.parents),
        "title": commit.message.partition("\n")[0],
        "message": commit.message,
        "author_name": commit.author.name,
        "author_email": commit.author.email,
        "authored_date": commit.authored_at,
        "committer_name": commit.committer.name,
        "committer_email": commit.committer.email,
        "committed_date": commit.committed_at,
        "web_url": f"{store.base_url}/{project['path_with_namespace']}/-/commit/{commit.id}",
    }


def _branch_entity(store: Store, project: Record, name: str, commit_id: str) -> Record:
    commit = store.repository(project).commits(commit_id)[0]
    return {
        "name": name,
        "commit": commit_entity(store, project, commit),
        "merged": False,
        "protected": protects(store, project, name),
        "developers_can_push": False,
        "developers_can_merge": False,
        "default": name == project["default_branch"],
        "can_push": not project.get("archived", False),
        "web_url": f"{store.base_url}/{project['path_with_namespace']}/-/tree/{name}",
    }
