# ruff: noqa: S106 (a function's token is its name)
"""Lookups of GitLab itself, of a group, and of a project: its protected branches and tags, and one variable."""

from typing import Any

from gitlab.exceptions import GitlabGetError

from sandbox.providers.framework import Function, Property
from sandbox.providers.gitlab.connection import Connection
from sandbox.values import Properties


class LookupFailedError(Exception):
    """The group or the project does not exist, or was not named."""


def _get_group(connection: Connection, arguments: Properties) -> Properties:
    group = _find(connection.client.groups, "group", arguments, "groupId", "fullPath")
    return {
        "id": str(group["id"]),
        "groupId": group["id"],
        "name": group["name"],
        "path": group["path"],
        "fullName": group["full_name"],
        "fullPath": group["full_path"],
        "parentId": group["parent_id"] or 0,
        "description": group["description"],
        "visibilityLevel": group["visibility"],
        "markedForDeletionOn": group["marked_for_deletion_on"] or "",
        "createdAt": group["created_at"],
        "webUrl": group["web_url"],
    }


def _get_project(connection: Connection, arguments: Properties) -> Properties:
    project = _find(connection.client.projects, "project", arguments, "id", "pathWithNamespace")
    return {
        "id": str(project["id"]),
        "name": project["name"],
        "path": project["path"],
        "nameWithNamespace": project["name_with_namespace"],
        "pathWithNamespace": project["path_with_namespace"],
        "namespaceId": project["namespace"]["id"],
        "description": project["description"],
        "defaultBranch": project["default_branch"],
        "emptyRepo": project["empty_repo"],
        "archived": project["archived"],
        "buildsAccessLevel": project["builds_access_level"],
        "ciConfigPath": project["ci_config_path"] or "",
        "ciPipelineVariablesMinimumOverrideRole": project["ci_pipeline_variables_minimum_override_role"],
        "groupRunnersEnabled": project["group_runners_enabled"],
        "markedForDeletionOn": project["marked_for_deletion_on"] or "",
        "runnerTokenExpirationInterval": project["runner_token_expiration_interval"] or 0,
        "permissions": [
            {
                "projectAccess": project["permissions"]["project_access"] or {},
                "groupAccess": project["permissions"]["group_access"] or {},
            }
        ],
        "topics": project["topics"],
        "visibilityLevel": project["visibility"],
        "visibility": project["visibility"],
        "createdAt": project["created_at"],
        "lastActivityAt": project["last_activity_at"],
        "httpUrlToRepo": project["http_url_to_repo"],
        "webUrl": project["web_url"],
    }


def _get_protected_branches(connection: Connection, arguments: Properties) -> Properties:
    project = _find(connection.client.projects, "project", arguments, "projectId")
    found = connection.client.projects.get(project["id"], lazy=True).protectedbranches.list(get_all=True)
    return {
        "id": project["id"],
        "projectId": arguments["projectId"],
        "protectedBranches": [
            {"id": each.id, "name": each.name, "allowForcePush": each.allow_force_push} for each in found
        ],
    }


def _get_protected_tags(connection: Connection, arguments: Properties) -> Properties:
    project = _find(connection.client.projects, "project", arguments, "project")
    found = connection.client.projects.get(project["id"], lazy=True).protectedtags.list(get_all=True)
    return {
        "id": str(project["id"]),
        "project": arguments["project"],
        "protectedTags": [{"tag": each.name} for each in found],
    }


def _get_variable(connection: Connection, arguments: Properties) -> Properties:
    project, key = arguments["project"], arguments["key"]
    scope = arguments.get("environmentScope") or "*"
    chosen = {"environment_scope": scope}
    found = connection.client.projects.get(project, lazy=True).variables.get(key, filter=chosen).attributes
    return {
        "description": found["description"] or "",
        "environmentScope": found["environment_scope"],
        "id": f"{project}:{key}:{scope}",
        "key": found["key"],
        "masked": found["masked"],
        "project": project,
        "protected": found["protected"],
        "raw": found["raw"],
        "value": found["value"],
        "variableType": found["variable_type"],
    }


def _get_metadata(connection: Connection, arguments: Properties) -> Properties:  # noqa: ARG001 (takes none)
    found: Any = connection.client.http_get("/metadata")
    return {
        "enterprise": found["enterprise"],
        "id": "1",
        "kas": {},
        "revision": found["revision"],
        "version": found["version"],
    }


LOOKUPS: tuple[Function[Connection], ...] = (
    Function(
        token="gitlab:index/getMetadata:getMetadata",
        arguments={},
        call=_get_metadata,
    ),
    Function(
        token="gitlab:index/getGroup:getGroup",
        arguments={"groupId": Property(), "fullPath": Property()},
        call=_get_group,
    ),
    Function(
        token="gitlab:index/getProject:getProject",
        arguments={"id": Property(), "pathWithNamespace": Property()},
        call=_get_project,
    ),
    Function(
        token="gitlab:index/getProjectProtectedBranches:getProjectProtectedBranches",
        arguments={"projectId": Property(required=True)},
        call=_get_protected_branches,
    ),
    Function(
        token="gitlab:index/getProjectProtectedTags:getProjectProtectedTags",
        arguments={"project": Property(required=True)},
        call=_get_protected_tags,
    ),
    Function(
        token="gitlab:index/getProjectVariable:getProjectVariable",
        arguments={"environmentScope": Property(), "key": Property(required=True), "project": Property(required=True)},
        call=_get_variable,
    ),
)


def _find(manager: Any, what: str, arguments: Properties, *names: str) -> dict[str, Any]:
    """GitLab's record of the group or project that the one given argument names."""
    given = [name for name in names if arguments.get(name) not in (None, "")]
    if len(given) != 1:
        raise LookupFailedError(f"Name the {what} by {' or by '.join(names)}, one of them.")
    reference = arguments[given[0]]
    try:
        found: dict[str, Any] = manager.get(reference).attributes
    except GitlabGetError as error:
        if error.response_code != 404:
            raise
        raise LookupFailedError(f"GitLab has no {what} {reference!r} that this token may see.") from error
    return found
