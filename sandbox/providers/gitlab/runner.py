# ruff: noqa: ARG002 (the methods' signatures are the framework's)
"""Runners that a user creates, with a token for their managers."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sandbox.providers.framework import Property, ResourceKind
from sandbox.providers.gitlab.connection import Connection
from sandbox.values import UNKNOWN, Properties

_OWNERS = {"group_type": "groupId", "project_type": "projectId", "instance_type": None}
_SHORTEST_TIMEOUT = 600
# The API's names of properties that can change.
_EDITABLE = {
    "description": "description",
    "maintenanceNote": "maintenance_note",
    "paused": "paused",
    "locked": "locked",
    "accessLevel": "access_level",
    "untagged": "run_untagged",
    "tagLists": "tag_list",
    "maximumTimeout": "maximum_timeout",
}


class UserRunner(ResourceKind[Connection]):
    type = "gitlab:index/userRunner:UserRunner"
    inputs: ClassVar[Mapping[str, Property]] = {
        "runnerType": Property(required=True, replaces=True),
        "groupId": Property(replaces=True),
        "projectId": Property(replaces=True),
        **{name: Property(computed=True) for name in _EDITABLE},
        "tagLists": Property(computed=True, equal=lambda old, new: set(old) == set(new)),
    }
    computed = frozenset({"token"})
    secrets = frozenset({"token"})
    told_once = True

    def validate(self, inputs: Properties) -> Iterator[tuple[str, str]]:
        runner_type = inputs.get("runnerType")
        if isinstance(runner_type, str):
            if runner_type not in _OWNERS:
                yield "runnerType", f"runnerType is '{runner_type}'; it is one of {', '.join(sorted(_OWNERS))}."
            owner = _OWNERS.get(runner_type)
            if owner and inputs.get(owner) is None:
                yield owner, f"A runner of {runner_type} needs {owner}."
        level = inputs.get("accessLevel")
        if level not in (None, UNKNOWN, "not_protected", "ref_protected"):
            yield "accessLevel", f"accessLevel is '{level}'; it is not_protected or ref_protected."
        timeout = inputs.get("maximumTimeout")
        if isinstance(timeout, int) and timeout < _SHORTEST_TIMEOUT:
            yield "maximumTimeout", f"maximumTimeout is {timeout} seconds; GitLab takes {_SHORTEST_TIMEOUT} or more."

    def candidates(self, connection: Connection, inputs: Properties) -> list[str]:
        found = connection.client.runners_all.list(iterator=True)
        return [str(each.id) for each in found if each.description == inputs.get("description")]

    def create(self, connection: Connection, inputs: Properties) -> tuple[str, Properties]:
        owner = _OWNERS[inputs["runnerType"]]
        request = {"runner_type": inputs["runnerType"], **_request(inputs)}
        if owner:
            request["group_id" if owner == "groupId" else "project_id"] = inputs[owner]
        made: Any = connection.client.http_post("/user/runners", post_data=request)
        resource_id = str(made["id"])
        return resource_id, {**self.read(connection, resource_id, {}), "token": made["token"]}

    def read(self, connection: Connection, resource_id: str, outputs: Properties) -> Properties:
        """All properties except the token, which GitLab returns only once."""
        runner = connection.client.runners.get(resource_id).attributes
        groups, projects = runner["groups"], runner["projects"]
        return {
            "runnerType": runner["runner_type"],
            "groupId": groups[0]["id"] if groups else None,
            "projectId": projects[0]["id"] if projects else None,
            **{name: runner[field] for name, field in _EDITABLE.items()},
        }

    def update(self, connection: Connection, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        connection.client.runners.update(resource_id, _request(inputs))
        return {**outputs, **self.read(connection, resource_id, outputs)}

    def delete(self, connection: Connection, resource_id: str, outputs: Properties) -> None:
        connection.client.runners.delete(resource_id)


class ProjectRunnerEnablement(ResourceKind[Connection]):
    """A project runner of another project that this project may use, too. The id is `PROJECT:RUNNER`."""

    type = "gitlab:index/projectRunnerEnablement:ProjectRunnerEnablement"
    inputs: ClassVar[Mapping[str, Property]] = {
        "project": Property(required=True, replaces=True),
        "runnerId": Property(required=True, replaces=True),
    }

    def candidates(self, connection: Connection, inputs: Properties) -> list[str]:
        return [f"{inputs['project']}:{inputs['runnerId']}"]

    def create(self, connection: Connection, inputs: Properties) -> tuple[str, Properties]:
        project = connection.client.projects.get(inputs["project"], lazy=True)
        project.runners.create({"runner_id": inputs["runnerId"]})
        return f"{inputs['project']}:{inputs['runnerId']}", inputs

    def read(self, connection: Connection, resource_id: str, outputs: Properties) -> Properties | None:
        project, _, runner = resource_id.rpartition(":")
        found = connection.client.runners.get(runner).attributes["projects"]
        enabled = any(project in (str(each["id"]), each["path_with_namespace"]) for each in found)
        return {"project": project, "runnerId": int(runner)} if enabled else None

    def delete(self, connection: Connection, resource_id: str, outputs: Properties) -> None:
        project, _, runner = resource_id.rpartition(":")
        connection.client.projects.get(project, lazy=True).runners.delete(runner)


def _request(inputs: Properties) -> dict[str, Any]:
    return {field: inputs[name] for name, field in _EDITABLE.items() if name in inputs}
