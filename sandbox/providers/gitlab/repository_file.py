# ruff: noqa: ARG002 (the methods' signatures are the framework's)
"""One file in a project's repository, each change of it a commit."""

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from gitlab.exceptions import GitlabError, GitlabGetError

from sandbox.providers.framework import Property, ResourceKind
from sandbox.providers.gitlab.connection import Connection
from sandbox.values import UNKNOWN, Properties

# Another commit came first. It is safe to try again, since each attempt reads the file again.
_BRANCH_MOVED = "Please refresh and try again"
_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.2
_OF_THE_CONTENT = frozenset({"blobId", "commitId", "contentSha256", "lastCommitId", "size"})


class RepositoryFile(ResourceKind[Connection]):
    """A file; its id is the real provider's, `PROJECT:BRANCH:PATH`, with the program's name of the project.

    A refresh reads the file's content, so that a manual edit shows as drift.
    """

    type = "gitlab:index/repositoryFile:RepositoryFile"
    inputs: ClassVar[Mapping[str, Property]] = {
        "project": Property(required=True, replaces=True),
        "branch": Property(required=True, replaces=True),
        "filePath": Property(required=True, replaces=True),
        "content": Property(required=True),
        "encoding": Property(required=True),
        "executeFilemode": Property(computed=True),
        "startBranch": Property(),
        "overwriteOnCreate": Property(),
        "authorName": Property(),
        "authorEmail": Property(),
        "commitMessage": Property(),
        "createCommitMessage": Property(),
        "updateCommitMessage": Property(),
        "deleteCommitMessage": Property(),
    }
    computed = frozenset({*_OF_THE_CONTENT, "fileName", "ref"})

    def validate(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        path, encoding, content = inputs.get("filePath"), inputs.get("encoding"), inputs.get("content")
        if isinstance(path, str) and path.startswith(("/", "./")):
            yield "filePath", f"filePath is '{path}'; it is relative to the repository, without a leading / or ./."
        if encoding not in (None, UNKNOWN, "text", "base64"):
            yield "encoding", f"encoding is '{encoding}'; it is text or base64."
        if encoding == "base64" and isinstance(content, str) and not _is_base64(content):
            yield "content", "content is not base64, but encoding is base64."
        for operation in ("create", "update", "delete"):
            if not _message(inputs, operation):
                own = f"{operation}CommitMessage"
                yield own, f"The commit that would {operation} the file has no message: set {own} or commitMessage."

    def outputs_changed_by(self, changed: frozenset[str]) -> frozenset[str]:
        return _OF_THE_CONTENT if changed & {"content", "encoding", "executeFilemode"} else frozenset()

    def candidates(self, connection: Connection, inputs: Properties) -> list[str]:
        return [f"{inputs['project']}:{inputs['branch']}:{inputs['filePath']}"]

    def create(self, connection: Connection, inputs: Properties) -> tuple[str, Properties]:
        project, branch, path = inputs["project"], inputs["branch"], inputs["filePath"]
        files = _files(connection, project)
        request = {**_content(inputs), **_commit(inputs, "create"), "file_path": path}
        if "startBranch" in inputs:
            request["start_branch"] = inputs["startBranch"]

        def commit() -> None:
            if inputs.get("overwriteOnCreate") and _exists(files, path, str(inputs.get("startBranch", branch))):
                files.update(path, request)
            else:
                files.create(request)

        _committing(connection, commit)
        resource_id = f"{project}:{branch}:{path}"
        return resource_id, {**inputs, **self.read(connection, resource_id, inputs)}

    def read(self, connection: Connection, resource_id: str, outputs: Properties) -> Properties:
        project, branch, path = resource_id.split(":", 2)
        found = _files(connection, project).get(path, ref=branch)
        encoding = outputs.get("encoding", "base64")
        content = found.decode().decode(errors="replace") if encoding == "text" else found.content
        if encoding == "base64" and _same_bytes(outputs.get("content"), content):
            content = outputs["content"]  # with the program's line breaks
        return {
            "project": project,
            "branch": branch,
            "filePath": path,
            "encoding": encoding,
            "content": content,
            "executeFilemode": found.execute_filemode,
            "fileName": found.file_name,
            "ref": found.ref,
            "size": found.size,
            "blobId": found.blob_id,
            "commitId": found.commit_id,
            "contentSha256": found.content_sha256,
            "lastCommitId": found.last_commit_id,
        }

    def update(self, connection: Connection, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        project, branch, path = resource_id.split(":", 2)
        files = _files(connection, project)

        def commit() -> None:
            found = files.get(path, ref=branch)
            if found.decode() == _bytes(inputs) and inputs.get("executeFilemode") in (None, found.execute_filemode):
                return  # a new author or message takes effect with the next commit
            request = {**_content(inputs), **_commit(inputs, "update"), "last_commit_id": found.last_commit_id}
            files.update(path, request)

        _committing(connection, commit)
        return {**inputs, **self.read(connection, resource_id, inputs)}

    def delete(self, connection: Connection, resource_id: str, outputs: Properties) -> None:
        project, branch, path = resource_id.split(":", 2)
        files = _files(connection, project)

        def commit() -> None:
            files.get(path, ref=branch)  # raises a 404 if the file is already gone, which is no error
            files.delete(path, **_commit(outputs, "delete"))

        _committing(connection, commit)


def _committing(connection: Connection, commit: Callable[[], None]) -> None:
    """Make one commit at a time, and try again if the branch has moved meanwhile."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    with connection.commits:
        while True:
            try:
                return commit()
            except GitlabError as error:
                if _BRANCH_MOVED not in str(error) or time.monotonic() > give_up:
                    raise
            time.sleep(_PAUSE_SECONDS)


def _files(connection: Connection, project: str) -> Any:
    return connection.client.projects.get(project, lazy=True).files


def _exists(files: Any, path: str, branch: str) -> bool:
    try:
        files.get(path, ref=branch)
    except GitlabGetError as error:
        if error.response_code == 404:
            return False
        raise
    return True


def _content(inputs: Properties) -> dict[str, Any]:
    mode = {"execute_filemode": inputs["executeFilemode"]} if "executeFilemode" in inputs else {}
    return {"content": inputs["content"], "encoding": inputs["encoding"], **mode}


def _commit(inputs: Properties, operation: str) -> dict[str, Any]:
    author = {"author_name": inputs.get("authorName"), "author_email": inputs.get("authorEmail")}
    given = {key: value for key, value in author.items() if value is not None}
    return {"branch": inputs["branch"], "commit_message": _message(inputs, operation), **given}


def _message(inputs: Properties, operation: str) -> Any:
    return inputs.get(f"{operation}CommitMessage") or inputs.get("commitMessage")


def _bytes(inputs: Properties) -> bytes:
    content: str = inputs["content"]
    return base64.b64decode(content) if inputs["encoding"] == "base64" else content.encode()


def _same_bytes(old: Any, new: str) -> bool:
    return isinstance(old, str) and _is_base64(old) and base64.b64decode(old) == base64.b64decode(new)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return False
    return True
