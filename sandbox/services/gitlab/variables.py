"""CI/CD variables of projects and groups.

Source: https://docs.gitlab.com/api/project_level_variables/, https://docs.gitlab.com/api/group_level_variables/, and
for values that can be masked https://docs.gitlab.com/ci/variables/#mask-a-cicd-variable
"""

import re

from flask import Blueprint, Response, jsonify, request

from sandbox.services.gitlab import limits
from sandbox.services.gitlab.errors import ApiError, invalid, not_found
from sandbox.services.gitlab.paging import paged
from sandbox.services.gitlab.parameters import Parameters
from sandbox.services.gitlab.store import Record, Store

_KEY = re.compile(r"[a-zA-Z0-9_]+")
_MASKABLE = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}")
_MASKABLE_RAW = re.compile(r"\S{8,}")  # a raw value may contain any character except white space
_VISIBILITY_IS_FIXED = "The visibility setting cannot be changed for masked and hidden variables."


def blueprint(store: Store) -> Blueprint:
    routes = Blueprint("variables", __name__)

    def owner_of(owners: str, reference: str) -> str:
        record = store.group(reference) if owners == "groups" else store.project(reference)
        return f"{owners}/{record['id']}"

    @routes.get("/<any(groups, projects):owners>/<encoded:reference>/variables")
    def list_variables(owners: str, reference: str) -> Response:
        owner = owner_of(owners, reference)
        with store.state.read() as state:
            return paged([_entity(variable) for variable in _variables(state, owner)])

    @routes.post("/<any(groups, projects):owners>/<encoded:reference>/variables")
    def create(owners: str, reference: str) -> tuple[Response, int]:
        owner = owner_of(owners, reference)
        parameters = Parameters(request)
        key = parameters.text("key", required=True)
        parameters.text("value", required=True)
        hidden = parameters.boolean("masked_and_hidden", default=False)
        variable = {"key": key, "hidden": hidden, **_settings(parameters, {})}
        variable["masked"] = variable["masked"] or hidden
        parameters.check()
        with store.state.change() as state:
            problems = _problems(variable)
            if any(_identity(other) == _identity(variable) for other in _variables(state, owner)):
                problems.setdefault("key", []).append(f"({key}) has already been taken")
            if problems:
                raise invalid(problems)
            state.setdefault("variables", []).append({"owner": owner, **variable})
        return jsonify(_entity(variable)), 201

    @routes.get("/<any(groups, projects):owners>/<encoded:reference>/variables/<encoded:key>")
    def show(owners: str, reference: str, key: str) -> Response:
        owner = owner_of(owners, reference)
        with store.state.read() as state:
            return jsonify(_entity(_find(_variables(state, owner), key)))

    @routes.put("/<any(groups, projects):owners>/<encoded:reference>/variables/<encoded:key>")
    def update(owners: str, reference: str, key: str) -> Response:
        owner = owner_of(owners, reference)
        parameters = Parameters(request)
        with store.state.change() as state:
            existing = _variables(state, owner)
            variable = _find(existing, key)
            updated = {**variable, **_settings(parameters, variable)}
            parameters.check()
            problems = _problems(updated)
            if variable["hidden"] and not updated["masked"]:
                problems.setdefault("base", []).append(_VISIBILITY_IS_FIXED)
            others = [other for other in existing if other is not variable]
            if any(_identity(other) == _identity(updated) for other in others):
                problems.setdefault("key", []).append(f"({key}) has already been taken")
            if problems:
                raise invalid(problems)
            variable.update(updated)
            return jsonify(_entity(variable))

    @routes.delete("/<any(groups, projects):owners>/<encoded:reference>/variables/<encoded:key>")
    def delete(owners: str, reference: str, key: str) -> tuple[str, int]:
        owner = owner_of(owners, reference)
        with store.state.change() as state:
            state["variables"].remove(_find(_variables(state, owner), key))
        return "", 204

    return routes


def values_for(state: Record, project: Record, *, protected: bool) -> dict[str, str]:
    """The values that a project's pipelines get; protected ones only if the ref is protected."""
    found = _variables(state, f"projects/{project['id']}")
    return {each["key"]: each["value"] for each in found if protected or not each["protected"]}


def _variables(state: Record, owner: str) -> list[Record]:
    return [variable for variable in state.get("variables", []) if variable["owner"] == owner]


def _find(variables: list[Record], key: str) -> Record:
    """The variable with this key, and with the scope of the request's `filter[environment_scope]` when it has one."""
    found = [variable for variable in variables if variable["key"] == key]
    scope = request.args.get("filter[environment_scope]")
    body = request.get_json(silent=True) if request.is_json else None
    if scope is None and isinstance(body, dict) and isinstance(body.get("filter"), dict):
        scope = body["filter"].get("environment_scope")
    if scope is not None:
        found = [variable for variable in found if variable["environment_scope"] == scope]
    if len(found) > 1:
        message = "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
        raise ApiError(409, {"message": message})
    if not found:
        raise not_found("Variable")
    return found[0]


def _identity(variable: Record) -> tuple[str, str]:
    return variable["key"], variable["environment_scope"]


def _settings(parameters: Parameters, variable: Record) -> Record:
    """A variable as the request asks for it; for the rest its present values or GitLab's defaults."""
    return {
        "value": parameters.text("value", variable.get("value", "")),
        "variable_type": parameters.choice(
            "variable_type", ("env_var", "file"), variable.get("variable_type", "env_var")
        ),
        "protected": parameters.boolean("protected", variable.get("protected", False)),
        "masked": parameters.boolean("masked", variable.get("masked", False)),
        "raw": parameters.boolean("raw", variable.get("raw", False)),
        "environment_scope": parameters.text("environment_scope", variable.get("environment_scope", "*")),
        "description": parameters.text("description", variable.get("description") or "") or None,
    }


def _problems(variable: Record) -> dict[str, list[str]]:
    problems = {}
    if not variable["key"]:
        problems["key"] = ["can't be blank"]
    elif not _KEY.fullmatch(variable["key"]):
        problems["key"] = ["can contain only letters, digits and '_'."]
    else:
        problems["key"] = limits.too_long(variable["key"], limits.VARIABLE_KEY)
    maskable = _MASKABLE_RAW if variable["raw"] else _MASKABLE
    if variable["masked"] and not maskable.fullmatch(variable["value"]):
        problems["value"] = ["is invalid"]
    else:
        problems["value"] = limits.too_long(variable["value"], limits.VARIABLE_VALUE)
    problems["description"] = limits.too_long(variable["description"] or "", limits.VARIABLE_DESCRIPTION)
    return {name: found for name, found in problems.items() if found}


def _entity(variable: Record) -> Record:
    shown = {name: value for name, value in variable.items() if name != "owner"}
    return {**shown, "value": None if variable["hidden"] else variable["value"]}
