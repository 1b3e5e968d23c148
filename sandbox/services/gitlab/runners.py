"""Runners that a user creates, with an authentication token that is shown once.

Source: https://docs.gitlab.com/api/runners/ and https://docs.gitlab.com/api/users/#create-a-runner-linked-to-a-user
"""

import hashlib
import secrets

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab import limits
from sandbox.services.gitlab.errors import ApiError, bad_parameters, bad_request, invalid
from sandbox.services.gitlab.managers import Cluster
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.store import Record, Store, next_id, now

_TYPES = ("instance_type", "group_type", "project_type")
_ACCESS_LEVELS = ("not_protected", "ref_protected")
_EDITABLE = (
    "description",
    "maintenance_note",
    "paused",
    "locked",
    "access_level",
    "run_untagged",
    "tag_list",
    "maximum_timeout",
)


def blueprint(store: Store, cluster: Cluster) -> Blueprint:
    routes = Blueprint("runners", __name__)

    @routes.post("/user/runners")
    def create() -> tuple[Response, int]:
        parameters = Parameters(request)
        runner_type = parameters.choice("runner_type", _TYPES, required=True)
        group_id = parameters.integer("group_id", required=runner_type == "group_type")
        project_id = parameters.integer("project_id", required=runner_type == "project_type")
        settings = _settings(parameters, {})
        parameters.check()
        problems = _problems(settings)
        if problems:
            sentences = [
                f"{name.replace('_', ' ').capitalize()} {problem}"
                for name, found in problems.items()
                for problem in found
            ]
            raise bad_request(f"400 Bad request - {' and '.join(sentences)}")
        token = f"glrt-{secrets.token_urlsafe(15)}"
        with store.state.change() as state:
            owner = _owner(state, runner_type, group_id, project_id)
            runner_id = next_id(state, "runners")
            state.setdefault("runners", {})[str(runner_id)] = {
                "id": runner_id,
                "runner_type": runner_type,
                **owner,
                **settings,
                "created_at": now(),
                # Only a hash, as for a password: the token cannot be shown again.
                "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
            }
        return jsonify(id=runner_id, token=token, token_expires_at=None), 201

    @routes.get("/runners")
    @routes.get("/runners/all")
    def list_runners() -> Response:
        with store.state.read() as state:
            return paged([_summary(runner) for runner in state.get("runners", {}).values()])

    @routes.get("/groups/<encoded:group_ref>/runners")
    def list_of_group(group_ref: str) -> Response:
        return _list_of("group_id", store.group(group_ref))

    @routes.get("/projects/<encoded:project_ref>/runners")
    def list_of_project(project_ref: str) -> Response:
        """The project's own runners, those that are enabled for it, and those of the groups that it is in."""
        project = store.project(project_ref)
        with store.state.read() as state:
            groups = {
                group["id"]
                for group in state.get("groups", {}).values()
                if project["path_with_namespace"].startswith(f"{group['full_path']}/")
            }
            return paged(
                [
                    _summary(runner)
                    for runner in state.get("runners", {}).values()
                    if project["id"] in _project_ids(runner) or runner.get("group_id") in groups
                ]
            )

    @routes.post("/projects/<encoded:project_ref>/runners")
    def enable(project_ref: str) -> tuple[Response, int]:
        project, parameters = store.project(project_ref), Parameters(request)
        runner_id = parameters.integer("runner_id", required=True)
        parameters.check()
        assert runner_id is not None  # noqa: S101 (required)
        with store.state.change() as state:
            runner = _runner(state, runner_id)
            if runner["runner_type"] != "project_type":
                raise _forbidden(f"Runner is a {runner['runner_type'].removesuffix('_type')} runner")
            if runner["locked"]:
                raise _forbidden("Runner is locked")
            if project["id"] in _project_ids(runner):
                raise bad_request("400 Bad request - runner: has already been taken")
            runner.setdefault("enabled_project_ids", []).append(project["id"])
            return jsonify(_summary(runner)), 201

    @routes.delete("/projects/<encoded:project_ref>/runners/<int:runner_id>")
    def disable(project_ref: str, runner_id: int) -> tuple[str, int]:
        project = store.project(project_ref)
        with store.state.change() as state:
            runner = _runner(state, runner_id)
            if project["id"] not in _project_ids(runner):
                raise ApiError(404, {"message": "404 Runner Not Found"})
            if project["id"] == runner["project_id"]:
                raise _forbidden("You cannot unassign a runner from the owner project. Delete the runner instead")
            runner["enabled_project_ids"].remove(project["id"])
        return "", 204

    def _list_of(key: str, owner: Record) -> Response:
        with store.state.read() as state:
            runners = state.get("runners", {}).values()
            return paged([_summary(runner) for runner in runners if runner.get(key) == owner["id"]])

    @routes.get("/runners/<int:runner_id>")
    def show(runner_id: int) -> Response:
        with store.state.read() as state:
            runner = _runner(state, runner_id)
            details = _details(store, state, runner)
        if found := cluster.managers(runner, store.base_url):
            details.update(online=True, status="online", contacted_at=found[0]["contacted_at"])
        return jsonify(details)

    @routes.get("/runners/<int:runner_id>/managers")
    def list_managers(runner_id: int) -> Response:
        with store.state.read() as state:
            runner = _runner(state, runner_id)
        return paged(cluster.managers(runner, store.base_url))

    @routes.put("/runners/<int:runner_id>")
    def update(runner_id: int) -> Response:
        parameters = Parameters(request)
        with store.state.change() as state:
            runner = _runner(state, runner_id)
            changed = [name for name in _EDITABLE if name in parameters]
            if not changed:
                raise bad_parameters([f"{', '.join(_EDITABLE)} are missing, at least one parameter must be provided"])
            settings = _settings(parameters, runner)
            parameters.check()
            problems = _problems(settings)
            if problems:
                raise invalid(problems)
            runner.update(settings)
            return jsonify(_details(store, state, runner))

    @routes.delete("/runners/<int:runner_id>")
    def delete(runner_id: int) -> tuple[str, int]:
        with store.state.change() as state:
            _runner(state, runner_id)
            del state["runners"][str(runner_id)]
        return "", 204

    return routes


def _runner(state: Record, runner_id: int) -> Record:
    runner: Record | None = state.get("runners", {}).get(str(runner_id))
    if runner is None:
        raise ApiError(404, {"message": "404 Not found"})
    return runner


def _project_ids(runner: Record) -> list[int]:
    """The projects that may use a project runner, its owner first."""
    return [runner["project_id"], *runner.get("enabled_project_ids", [])] if "project_id" in runner else []


def _forbidden(reason: str) -> ApiError:
    return ApiError(403, {"message": f"403 Forbidden - {reason}"})


def _owner(state: Record, runner_type: str, group_id: int | None, project_id: int | None) -> Record:
    if runner_type == "instance_type":
        return {}
    table, key, owner_id = (
        ("groups", "group_id", group_id) if runner_type == "group_type" else ("projects", "project_id", project_id)
    )
    if str(owner_id) not in state.get(table, {}):
        raise bad_request("400 Bad request - Validation error")
    return {key: owner_id}


def _settings(parameters: Parameters, runner: Record) -> Record:
    """A runner as the request asks for it; for the rest its present values or GitLab's defaults."""
    return {
        "description": parameters.text("description", runner.get("description", "")),
        "maintenance_note": parameters.text("maintenance_note", runner.get("maintenance_note", "")),
        "paused": parameters.boolean("paused", runner.get("paused", False)),
        "locked": parameters.boolean("locked", runner.get("locked", False)),
        "access_level": parameters.choice("access_level", _ACCESS_LEVELS, runner.get("access_level", "not_protected")),
        "run_untagged": parameters.boolean("run_untagged", runner.get("run_untagged", True)),
        "tag_list": parameters.words("tag_list") if "tag_list" in parameters else runner.get("tag_list", []),
        "maximum_timeout": parameters.integer("maximum_timeout", runner.get("maximum_timeout")),
    }


def _problems(settings: Record) -> dict[str, list[str]]:
    problems = {
        "description": limits.too_long(settings["description"], limits.RUNNER_DESCRIPTION),
        "maintenance_note": limits.too_long(settings["maintenance_note"], limits.RUNNER_MAINTENANCE_NOTE),
    }
    shortest = limits.RUNNER_SHORTEST_TIMEOUT
    if settings["maximum_timeout"] is not None and settings["maximum_timeout"] < shortest:
        problems["maximum_timeout"] = ["needs to be at least 10 minutes"]
    if not settings["tag_list"] and not settings["run_untagged"]:
        problems["tags_list"] = ["can not be empty when runner is not allowed to pick untagged jobs"]
    if len(settings["tag_list"]) > limits.RUNNER_TAGS:
        problems["tags_list"] = [f"Too many tags specified. Please limit the number of tags to {limits.RUNNER_TAGS}"]
    return {name: found for name, found in problems.items() if found}


def _summary(runner: Record) -> Record:
    return {
        "id": runner["id"],
        "description": runner["description"],
        "ip_address": None,
        "active": not runner["paused"],
        "paused": runner["paused"],
        "is_shared": runner["runner_type"] == "instance_type",
        "runner_type": runner["runner_type"],
        "name": None,
        "online": False,
        "created_at": runner["created_at"],
        "status": "never_contacted",
        "job_execution_status": "idle",
    }


def _details(store: Store, state: Record, runner: Record) -> Record:
    group = state.get("groups", {}).get(str(runner.get("group_id")))
    known = state.get("projects", {})
    projects = [known[str(each)] for each in _project_ids(runner) if str(each) in known]
    details = {
        name: runner[name]
        for name in ("maintenance_note", "locked", "access_level", "run_untagged", "tag_list", "maximum_timeout")
    }
    group_url = f"{store.base_url}/groups/{group['full_path']}" if group else None
    return {
        **_summary(runner),
        **details,
        "contacted_at": None,
        "projects": [
            {key: project[key] for key in ("id", "name", "path", "path_with_namespace")} for project in projects
        ],
        "groups": [{"id": group["id"], "name": group["name"], "web_url": group_url}] if group else [],
    }
