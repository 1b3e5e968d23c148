"""The signed-in user, groups and projects.

Source: https://docs.gitlab.com/api/projects/ and https://docs.gitlab.com/api/groups/
"""

import re

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab.errors import ApiError, bad_request, invalid
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.repository import Person
from sandbox.services.gitlab.store import Record, Store

# As new as the runner that the stack pins; pulumi-gitlab reads the version to know what the API offers.
VERSION = "19.2.3"
USER = Person(name="Administrator", email="admin@example.com")
_PATH = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*(?<!\.git)(?<!\.atom)(?<![.-])", re.ASCII)


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("projects", __name__)

    @routes.get("/version")
    @routes.get("/metadata")
    def version() -> Response:
        return jsonify(version=VERSION, revision="sandbox", enterprise=False)

    @routes.get("/user")
    def user() -> Response:
        return jsonify(id=1, username="root", name=USER.name, email=USER.email, state="active", is_admin=True)

    @routes.get("/groups")
    def list_groups() -> Response:
        with store.state.read() as state:
            groups = [group_entity(store, group) for group in state.get("groups", {}).values()]
        return paged(_search(groups, "full_path"))

    @routes.get("/groups/<encoded:group_ref>")
    def get_group(group_ref: str) -> Response:
        return jsonify(group_entity(store, store.group(group_ref)))

    @routes.post("/groups")
    def create_group() -> tuple[Response, int]:
        parameters = Parameters(request)
        name = parameters.text("name", required=True, allow_blank=False)
        path = parameters.text("path", required=True, allow_blank=False)
        parent_id = parameters.integer("parent_id")
        parameters.check()
        parent = store.group(str(parent_id)) if parent_id is not None else None
        full_path = f"{parent['full_path']}/{path}" if parent else path
        if not _PATH.fullmatch(path) or _is_taken(store, full_path):
            raise bad_request('Failed to save group {:path=>["has already been taken or is not a valid path"]}')
        return jsonify(group_entity(store, store.create_group(path, name, parent))), 201

    @routes.get("/projects")
    def list_projects() -> Response:
        with store.state.read() as state:
            found = [dict(project) for project in state.get("projects", {}).values()]
        return paged([project_entity(store, project) for project in _search(found, "path_with_namespace")])

    @routes.get("/projects/<encoded:project_ref>")
    def get_project(project_ref: str) -> Response:
        return jsonify(project_entity(store, store.project(project_ref)))

    @routes.put("/projects/<encoded:project_ref>")
    def edit_project(project_ref: str) -> Response:
        parameters = Parameters(request)
        given = {
            "builds_access_level": parameters.choice("builds_access_level", ("disabled", "private", "enabled")),
            "ci_config_path": parameters.text("ci_config_path"),
            "default_branch": parameters.text("default_branch"),
            "group_runners_enabled": parameters.boolean("group_runners_enabled", default=True),
            "ci_pipeline_variables_minimum_override_role": parameters.choice(
                "ci_pipeline_variables_minimum_override_role", ("no_one_allowed", "developer", "maintainer", "owner")
            ),
        }
        parameters.check()
        return _changed(project_ref, {name: value for name, value in given.items() if name in parameters})

    @routes.post("/projects/<encoded:project_ref>/<any(archive, unarchive):action>")
    def archive_project(project_ref: str, action: str) -> tuple[Response, int]:
        return _changed(project_ref, {"archived": action == "archive"}), 201

    def _changed(project_ref: str, values: Record) -> Response:
        project = store.project(project_ref)
        with store.state.change() as state:
            state["projects"][str(project["id"])].update(values)
        return jsonify(project_entity(store, {**project, **values}))

    @routes.post("/projects")
    def create_project() -> tuple[Response, int]:
        parameters = Parameters(request)
        name = parameters.text("name") or parameters.text("path", required=True, allow_blank=False)
        path = parameters.text("path") or name
        namespace_id = parameters.integer("namespace_id", required=True)
        default_branch = parameters.text("default_branch", "main", allow_blank=False)
        parameters.check()
        group = store.group(str(namespace_id))
        if not _PATH.fullmatch(path):
            raise invalid({"path": ["can contain only letters, digits, '_', '-' and '.'."]})
        if _is_taken(store, f"{group['full_path']}/{path}"):
            raise invalid({"path": ["has already been taken"]})
        project = store.create_project(group, path, name, default_branch=default_branch)
        return jsonify(project_entity(store, project)), 201

    return routes


def group_entity(store: Store, group: Record) -> Record:
    return {
        **group,
        "web_url": f"{store.base_url}/groups/{group['full_path']}",
        "default_branch": None,
        "marked_for_deletion_on": None,
        "lfs_enabled": True,
        "request_access_enabled": True,
    }


def project_entity(store: Store, project: Record) -> Record:
    group = store.group(str(project["namespace_id"]))
    path = project["path_with_namespace"]
    details = {key: value for key, value in project.items() if key != "namespace_id"}
    return {
        "archived": False,
        "builds_access_level": "enabled",
        "ci_config_path": "",
        "ci_pipeline_variables_minimum_override_role": "developer",
        "group_runners_enabled": True,
        "runner_token_expiration_interval": None,
        **details,
        "namespace": {
            "id": group["id"],
            "name": group["name"],
            "path": group["path"],
            "kind": "group",
            "full_path": group["full_path"],
            "parent_id": group["parent_id"],
            "web_url": f"{store.base_url}/groups/{group['full_path']}",
        },
        "web_url": f"{store.base_url}/{path}",
        "http_url_to_repo": f"{store.base_url}/{path}.git",
        "empty_repo": not store.repository(project).branches(),
        "marked_for_deletion_on": None,
        # The one user made the groups, which makes an Owner.
        "permissions": {"project_access": None, "group_access": {"access_level": 50, "notification_level": 3}},
        "protect_merge_request_pipelines": True,
        "topics": [],
        "last_activity_at": project["created_at"],
    }


def _search(records: list[Record], key: str) -> list[Record]:
    wanted = request.args.get("search", "").lower()
    return [record for record in records if wanted in record[key].lower()]


def _is_taken(store: Store, full_path: str) -> bool:
    for find in (store.group, store.project):
        try:
            find(full_path)
        except ApiError:
            continue
        return True
    return False
