# ruff: noqa: S106 (a function's token is its name)
"""Lookups in a project's repository: a branch, a file, and the content of a folder."""

from sandbox.providers.framework import Function, Property
from sandbox.providers.gitlab.connection import Connection
from sandbox.values import Properties

_PAGE = 20  # as in the original, which asks for one page after the other


def _get_branch(connection: Connection, arguments: Properties) -> Properties:
    project, name = arguments["project"], arguments["name"]
    branch = connection.client.projects.get(project, lazy=True).branches.get(name)
    return {
        "canPush": branch.can_push,
        "commits": [],
        "default": branch.default,
        "developerCanMerge": branch.developers_can_merge,
        "developerCanPush": branch.developers_can_push,
        "id": f"{project}:{name}",
        "merged": branch.merged,
        "name": branch.name,
        "project": project,
        "protected": branch.protected,
        "webUrl": branch.web_url,
    }


def _get_file(connection: Connection, arguments: Properties) -> Properties:
    project, ref, path = arguments["project"], arguments["ref"], arguments["filePath"]
    file = connection.client.projects.get(project, lazy=True).files.get(file_path=path, ref=ref)
    return {
        "blobId": file.blob_id,
        "commitId": file.commit_id,
        "content": file.content,
        "contentSha256": file.content_sha256,
        "encoding": file.encoding,
        "executeFilemode": file.execute_filemode,
        "fileName": file.file_name,
        "filePath": file.file_path,
        "id": f"{project}:{ref}:{path}",
        "lastCommitId": file.last_commit_id,
        "project": project,
        "ref": file.ref,
        "size": file.size,
    }


def _get_tree(connection: Connection, arguments: Properties) -> Properties:
    project, ref, path = arguments["project"], arguments["ref"], arguments.get("path") or ""
    entries = connection.client.projects.get(project, lazy=True).repository_tree(
        path=path, ref=ref, recursive=bool(arguments.get("recursive")), per_page=_PAGE, get_all=True
    )
    return {
        "id": f"{project}:{ref}:{path}",
        "path": arguments.get("path"),
        "project": project,
        "recursive": arguments.get("recursive"),
        "ref": ref,
        "trees": [
            {
                "mode": entry["mode"],
                "name": entry["name"],
                "nodeId": entry["id"],
                "path": entry["path"],
                "type": entry["type"],
            }
            for entry in entries
        ],
    }


_PROJECT = Property(required=True)
REPOSITORY_FUNCTIONS: tuple[Function[Connection], ...] = (
    Function(
        token="gitlab:index/getBranch:getBranch",
        arguments={"name": Property(required=True), "project": _PROJECT},
        call=_get_branch,
    ),
    Function(
        token="gitlab:index/getRepositoryFile:getRepositoryFile",
        arguments={"filePath": Property(required=True), "project": _PROJECT, "ref": Property(required=True)},
        call=_get_file,
    ),
    Function(
        token="gitlab:index/getRepositoryTree:getRepositoryTree",
        arguments={
            "path": Property(),
            "project": _PROJECT,
            "recursive": Property(),
            "ref": Property(required=True),
        },
        call=_get_tree,
    ),
)
