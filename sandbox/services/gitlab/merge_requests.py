"""Merge requests of branches of one project, and the notes on them. There is no diff, no approval and no merge.

Source: https://docs.gitlab.com/api/merge_requests/ and https://docs.gitlab.com/api/notes/#merge-requests
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.errors import ApiError, invalid, not_found
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.projects import USER
from sandbox.services.gitlab.store import Record, Store, next_id, now

# https://docs.gitlab.com/administration/instance_limits/
_LONGEST_NOTE = 1_000_000
_LONGEST_TITLE = 255
_AUTHOR = {"id": 1, "username": "root", "name": USER.name, "state": "active"}


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("merge_requests", __name__)
    requests_of = "/projects/<encoded:project_ref>/merge_requests"
    notes_of = f"{requests_of}/<int:iid>/notes"

    @routes.get(requests_of)
    def list_merge_requests(project_ref: str) -> Response:
        project = store.project(project_ref)
        parameters = Parameters(request)
        wanted = parameters.choice("state", ("opened", "closed", "locked", "merged", "all"), "all")
        source = parameters.text("source_branch")
        parameters.check()
        with store.state.read() as state:
            found = [
                _entity(store, project, merge_request)
                for merge_request in _merge_requests(state, project)
                if wanted in ("all", merge_request["state"]) and source in ("", merge_request["source_branch"])
            ]
        return paged(found[::-1])

    @routes.post(requests_of)
    def create(project_ref: str) -> tuple[Response, int]:
        project = store.project(project_ref)
        parameters = Parameters(request)
        source = parameters.text("source_branch", required=True)
        target = parameters.text("target_branch", required=True)
        title = parameters.text("title", required=True)
        description = parameters.text("description")
        parameters.check()
        with store.state.change() as state:
            existing = _merge_requests(state, project)
            _check_new(store, project, existing, source, target, title)
            merge_request = {
                "id": next_id(state, "merge_requests"),
                "iid": next_id(state, f"merge_requests of {project['id']}"),
                "project_id": project["id"],
                "title": title,
                "description": description,
                "state": "opened",
                "source_branch": source,
                "target_branch": target,
                "created_at": now(),
            }
            state.setdefault("merge_requests", []).append(merge_request)
        return jsonify(_entity(store, project, merge_request)), 201

    @routes.get(f"{requests_of}/<int:iid>")
    def show(project_ref: str, iid: int) -> Response:
        project = store.project(project_ref)
        with store.state.read() as state:
            return jsonify(_entity(store, project, _merge_request(state, project, iid)))

    @routes.get(notes_of)
    def list_notes(project_ref: str, iid: int) -> Response:
        project = store.project(project_ref)
        parameters = Parameters(request)
        order = parameters.choice("order_by", ("created_at", "updated_at"), "created_at")
        sort = parameters.choice("sort", ("asc", "desc"), "desc")
        parameters.check()
        with store.state.read() as state:
            notes = _notes(state, _merge_request(state, project, iid))
            notes = sorted(notes, key=lambda note: (note[order], note["id"]), reverse=sort == "desc")
            return paged([_note_entity(note) for note in notes])

    @routes.post(notes_of)
    def create_note(project_ref: str, iid: int) -> tuple[Response, int]:
        project = store.project(project_ref)
        body = _body()
        with store.state.change() as state:
            merge_request = _merge_request(state, project, iid)
            moment = now()
            note = {
                "id": next_id(state, "notes"),
                "noteable_id": merge_request["id"],
                "noteable_iid": iid,
                "project_id": project["id"],
                "body": body,
                "created_at": moment,
                "updated_at": moment,
            }
            state.setdefault("notes", []).append(note)
        return jsonify(_note_entity(note)), 201

    @routes.get(f"{notes_of}/<int:note_id>")
    def show_note(project_ref: str, iid: int, note_id: int) -> Response:
        project = store.project(project_ref)
        with store.state.read() as state:
            return jsonify(_note_entity(_note(state, _merge_request(state, project, iid), note_id)))

    @routes.put(f"{notes_of}/<int:note_id>")
    def update_note(project_ref: str, iid: int, note_id: int) -> Response:
        project = store.project(project_ref)
        body = _body()
        with store.state.change() as state:
            note = _note(state, _merge_request(state, project, iid), note_id)
            note.update(body=body, updated_at=now())
            return jsonify(_note_entity(note))

    @routes.delete(f"{notes_of}/<int:note_id>")
    def delete_note(project_ref: str, iid: int, note_id: int) -> tuple[str, int]:
        project = store.project(project_ref)
        with store.state.change() as state:
            state["notes"].remove(_note(state, _merge_request(state, project, iid), note_id))
        return "", 204

    return routes


def _check_new(store: Store, project: Record, existing: list[Record], source: str, target: str, title: str) -> None:
    """Refuse what GitLab's model of a merge request does not allow."""
    if source == target:
        raise ApiError(422, {"error": "You can't use same project/branch for source and target"})
    branches = store.repository(project).branches()
    missing = {
        f"{side}_branch": ["does not exist"]
        for side, name in (("source", source), ("target", target))
        if name not in branches
    }
    if missing:
        raise invalid(missing)
    if not title.strip() or len(title) > _LONGEST_TITLE:
        problem = f"is too long (maximum is {_LONGEST_TITLE} characters)" if title.strip() else "can't be blank"
        raise invalid({"title": [problem]})
    for other in existing:
        if (other["source_branch"], other["target_branch"], other["state"]) == (source, target, "opened"):
            message = f"Another open merge request already exists for this source branch: !{other['iid']}"
            raise ApiError(409, {"message": [message]})


def _body() -> str:
    parameters = Parameters(request)
    body = parameters.text("body", required=True)
    parameters.check()
    if not body.strip():
        raise invalid({"note": ["can't be blank"]})
    if len(body) > _LONGEST_NOTE:
        raise invalid({"note": [f"is too long (maximum is {_LONGEST_NOTE} characters)"]})
    return body


def _merge_requests(state: Record, project: Record) -> list[Record]:
    return [found for found in state.get("merge_requests", []) if found["project_id"] == project["id"]]


def _merge_request(state: Record, project: Record, iid: int) -> Record:
    for merge_request in _merge_requests(state, project):
        if merge_request["iid"] == iid:
            return merge_request
    raise not_found("Merge Request")


def _notes(state: Record, merge_request: Record) -> list[Record]:
    return [note for note in state.get("notes", []) if note["noteable_id"] == merge_request["id"]]


def _note(state: Record, merge_request: Record, note_id: int) -> Record:
    for note in _notes(state, merge_request):
        if note["id"] == note_id:
            return note
    raise not_found("Note")


def _entity(store: Store, project: Record, merge_request: Record) -> dict[str, Any]:
    path = f"{project['path_with_namespace']}/-/merge_requests/{merge_request['iid']}"
    return {
        **merge_request,
        "author": _AUTHOR,
        "sha": store.repository(project).commit_id(merge_request["source_branch"]),
        "web_url": f"{store.base_url}/{path}",
    }


def _note_entity(note: Record) -> dict[str, Any]:
    return {**note, "noteable_type": "MergeRequest", "author": _AUTHOR, "system": False, "internal": False}
