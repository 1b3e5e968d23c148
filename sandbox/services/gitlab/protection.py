"""Protected branches and tags of projects.

GitLab protects a new project's default branch, and no tags.
Source: https://docs.gitlab.com/api/protected_branches/ and https://docs.gitlab.com/api/protected_tags/
"""

from fnmatch import fnmatchcase

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.errors import ApiError, not_found
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.store import Record, Store

_MAINTAINERS = [{"id": 1, "access_level": 40, "access_level_description": "Maintainers"}]
_LEVELS: dict[str, Record] = {
    "branches": {"push_access_levels": _MAINTAINERS, "merge_access_levels": _MAINTAINERS, "allow_force_push": False},
    "tags": {"create_access_levels": _MAINTAINERS},
}
_SINGULAR = {"branches": "branch", "tags": "tag"}


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("protection", __name__)
    path = "/projects/<encoded:project_ref>/protected_<any(branches, tags):kind>"

    @routes.get(path)
    def list_all(project_ref: str, kind: str) -> Response:
        with store.state.read() as state:
            return paged([_entity(kind, name) for name in _names(state, store.project(project_ref), kind)])

    @routes.get(f"{path}/<encoded:name>")
    def show(project_ref: str, kind: str, name: str) -> Response:
        with store.state.read() as state:
            if name not in _names(state, store.project(project_ref), kind):
                raise not_found(f"Protected {_SINGULAR[kind]}")
        return jsonify(_entity(kind, name))

    @routes.post(path)
    def protect(project_ref: str, kind: str) -> tuple[Response, int]:
        parameters = Parameters(request)
        name = parameters.text("name", required=True, allow_blank=False)
        parameters.check()
        project = store.project(project_ref)
        with store.state.change() as state:
            names = _names(state, project, kind)
            if name in names:
                raise ApiError(409, {"message": f"Protected {kind} '{name}' already exists"})
            _table(state, kind)[str(project["id"])] = [*names, name]
        return jsonify(_entity(kind, name)), 201

    @routes.delete(f"{path}/<encoded:name>")
    def unprotect(project_ref: str, kind: str, name: str) -> tuple[str, int]:
        project = store.project(project_ref)
        with store.state.change() as state:
            names = _names(state, project, kind)
            if name not in names:
                raise not_found(f"Protected {_SINGULAR[kind]}")
            _table(state, kind)[str(project["id"])] = [each for each in names if each != name]
        return "", 204

    return routes


def protects(store: Store, project: Record, branch: str) -> bool:
    """Whether a protected branch's name, or wildcard, matches this branch."""
    with store.state.read() as state:
        names = _names(state, project, "branches")
    return any(fnmatchcase(branch, name.replace("[", "[[]").replace("?", "[?]")) for name in names)


def _table(state: Record, kind: str) -> Record:
    table: Record = state.setdefault(f"protected_{kind}", {})
    return table


def _names(state: Record, project: Record, kind: str) -> list[str]:
    """The names and wildcards. What nobody has changed is as in a new project."""
    new = [project["default_branch"]] if kind == "branches" else []
    return list(state.get(f"protected_{kind}", {}).get(str(project["id"]), new))


def _entity(kind: str, name: str) -> Record:
    return {"name": name, **_LEVELS[kind], **({"id": 1} if kind == "branches" else {})}
