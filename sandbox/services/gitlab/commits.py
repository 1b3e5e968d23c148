"""Commits of several files at once, and the deletion of branches.

Source: https://docs.gitlab.com/api/commits/#create-a-commit-with-multiple-files-and-actions and
https://docs.gitlab.com/api/branches/#delete-repository-branch
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.errors import bad_parameters, bad_request, not_found
from sandbox.services.gitlab.files import check_free, commit_entity, decode, is_file_path, writable
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.projects import USER
from sandbox.services.gitlab.repository import Change, GitError, RefMovedError, Repository
from sandbox.services.gitlab.store import Store

_ACTIONS = ("create", "update", "delete")


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("commits", __name__)

    @routes.post("/projects/<encoded:project_ref>/repository/commits")
    def create(project_ref: str) -> tuple[Response, int]:
        project, repository = store.project(project_ref), writable(store, project_ref)
        parameters = Parameters(request)
        branch = parameters.text("branch", required=True, allow_blank=False)
        message = parameters.text("commit_message", required=True, allow_blank=False)
        start_branch = parameters.text("start_branch", branch) or branch
        parameters.check()
        actions = (request.get_json(silent=True) or {}).get("actions")
        if not isinstance(actions, list) or not actions or not all(isinstance(each, dict) for each in actions):
            raise bad_parameters(["actions is missing"])
        start = _start(repository, branch, start_branch)
        changes = {str(each.get("file_path", "")): _change(repository, start, each) for each in actions}
        try:
            commit_id = repository.commit(
                branch,
                changes,
                parent=start,
                expected=start if branch == start_branch else None,
                message=message,
                author=USER,
                committer=USER,
            )
        except RefMovedError as error:
            raise bad_request(f"Could not update refs/heads/{branch}. Please refresh and try again.") from error
        except GitError as error:
            raise bad_request("invalid path") from error
        return jsonify(commit_entity(store, project, repository.commits(commit_id)[0])), 201

    @routes.delete("/projects/<encoded:project_ref>/repository/branches/<encoded:branch>")
    def delete_branch(project_ref: str, branch: str) -> tuple[str, int]:
        project, repository = store.project(project_ref), writable(store, project_ref)
        if branch not in repository.branches():
            raise not_found("Branch")
        if branch == project["default_branch"]:
            raise bad_request("Cannot remove HEAD branch")
        repository.delete_branch(branch)
        return "", 204

    return routes


def _start(repository: Repository, branch: str, start_branch: str) -> str:
    branches = repository.branches()
    if start_branch not in branches:
        raise bad_request("You can only create or edit files when you are on a branch")
    if start_branch != branch and branch in branches:
        raise bad_request(f"A branch called '{branch}' already exists. Switch to that branch in order to make changes")
    if not repository.is_branch_name(branch):
        raise bad_request(f"Something went wrong when we tried to create '{branch}' for you: Branch name is invalid")
    return branches[start_branch]


def _change(repository: Repository, start: str, action: Mapping[str, Any]) -> Change:
    kind, path = action.get("action"), str(action.get("file_path", ""))
    if kind not in _ACTIONS:
        raise bad_parameters([f"actions[0][action] does not have a valid value; the sandbox's GitLab has {_ACTIONS}"])
    if not is_file_path(path):
        raise bad_parameters(["actions[0][file_path] should be a valid file path"])
    existing = repository.blob(start, path)
    if kind == "create":
        check_free(repository, start, path)
    elif existing is None:
        raise bad_request("A file with this name doesn't exist")
    if kind == "delete":
        return Change(content=None)
    content = decode(str(action.get("content", "")), str(action.get("encoding") or "text"))
    return Change(content=content, executable=existing.executable if existing else False)
