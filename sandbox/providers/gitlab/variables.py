# ruff: noqa: ARG002 (the methods' signatures are the framework's)
"""CI/CD variables of a project or a group."""

from typing import Any, ClassVar

from sandbox.providers.framework import Property, ResourceKind
from sandbox.providers.gitlab.connection import Connection
from sandbox.values import Properties

# The API's names of properties. Absent inputs get GitLab's defaults.
_EDITABLE = {
    "value": "value",
    "variableType": "variable_type",
    "protected": "protected",
    "masked": "masked",
    "raw": "raw",
    "description": "description",
}


class _Variable(ResourceKind[Connection]):
    """A variable; its id is the real provider's, `OWNER:KEY:SCOPE`, with the program's name of the owner."""

    owner: ClassVar[str]

    def candidates(self, connection: Connection, inputs: Properties) -> list[str]:
        return [f"{inputs[self.owner]}:{inputs['key']}:{inputs.get('environmentScope', '*')}"]

    def create(self, connection: Connection, inputs: Properties) -> tuple[str, Properties]:
        scope = inputs.get("environmentScope", "*")
        request = {"key": inputs["key"], "environment_scope": scope, **_request(inputs)}
        if inputs.get("hidden"):
            request["masked_and_hidden"] = True
        self._variables(connection, inputs[self.owner]).create(request)
        resource_id = f"{inputs[self.owner]}:{inputs['key']}:{scope}"
        return resource_id, {**inputs, **self.read(connection, resource_id, inputs)}

    def read(self, connection: Connection, resource_id: str, outputs: Properties) -> Properties:
        owner, key, scope = resource_id.split(":", 2)
        variables = self._variables(connection, owner)
        found = variables.get(key, filter={"environment_scope": scope}).attributes
        live = {name: found[field] for name, field in _EDITABLE.items()}
        if found["hidden"]:
            del live["value"]  # GitLab does not return it
        return {
            self.owner: owner,
            "key": key,
            "environmentScope": found["environment_scope"],
            "hidden": found["hidden"],
            **live,
        }

    def update(self, connection: Connection, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        owner, key, scope = resource_id.split(":", 2)
        request = {**_request(inputs), "filter": {"environment_scope": scope}}
        self._variables(connection, owner).update(key, request)
        return {**inputs, **self.read(connection, resource_id, inputs)}

    def delete(self, connection: Connection, resource_id: str, outputs: Properties) -> None:
        owner, key, scope = resource_id.split(":", 2)
        self._variables(connection, owner).delete(key, filter={"environment_scope": scope})

    def _variables(self, connection: Connection, owner: str) -> Any:
        owners: Any = connection.client.groups if self.owner == "group" else connection.client.projects
        return owners.get(owner, lazy=True).variables


def _inputs(owner: str) -> dict[str, Property]:
    return {
        owner: Property(required=True, replaces=True),
        "key": Property(required=True, replaces=True),
        "environmentScope": Property(computed=True, replaces=True),
        "hidden": Property(computed=True, replaces=True),
        **{name: Property(computed=True) for name in _EDITABLE},
        "value": Property(required=True),
    }


class ProjectVariable(_Variable):
    type = "gitlab:index/projectVariable:ProjectVariable"
    owner = "project"
    inputs = _inputs("project")


class GroupVariable(_Variable):
    type = "gitlab:index/groupVariable:GroupVariable"
    owner = "group"
    inputs = _inputs("group")


def _request(inputs: Properties) -> dict[str, Any]:
    return {field: inputs[name] for name, field in _EDITABLE.items() if name in inputs}
