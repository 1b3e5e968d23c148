"""Resources that were created, or may have been, when a command or the sandbox was killed, and that the state lacks.

Pulumi's state names each step that began and did not end. If the providers were killed, it does not: the step counts as
failed, but their note of it is left. If a step was creating a resource, the services are asked whether they have it. If
they do, `pulumi stack import` adds it to the state, as if their answer had come in time.
"""

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.endpoints import Endpoints
from sandbox.engine.cli import PulumiCli
from sandbox.providers import providers
from sandbox.providers.framework import Intents, Provider, ResourceKind
from sandbox.providers.framework.diff import changes
from sandbox.providers.framework.outputs import merged
from sandbox.values import Properties, from_exported, reveal, to_exported

Resource = dict[str, Any]

_IMPORT = ".venv/bin/python -m sandbox pulumi import --generate-code=false --protect=false"


@dataclass(frozen=True)
class Found:
    """The result of a search: what people are told, and what a state records of the resource if it does."""

    message: str
    recorded: Resource | None = None


def needs_recovery(cli: PulumiCli) -> bool:
    return bool(cli.export()["deployment"].get("pending_operations") or Intents(cli.data).left(cli.urns))


def recover(cli: PulumiCli, tell: Callable[[str], None]) -> None:
    """Bring the state in line with what interrupted steps have created; `tell` gets a line for each of them.

    Nothing of the interrupted command may be under way any more.
    """
    state = cli.export()
    pending = state["deployment"].pop("pending_operations", None) or []
    notes = Intents(cli.data).left(cli.urns)
    if not pending and not notes:
        return
    clear = cli.export("--show-secrets")["deployment"]
    clear_resources: list[Resource] = clear.get("resources") or []
    search = _Search(_providers(cli.endpoints), clear_resources)
    resources: list[Resource] = state["deployment"].setdefault("resources", [])
    pending_urns = {operation["resource"]["urn"] for operation in pending}
    begun: list[tuple[Resource, Resource]] = []  # as the state has it, and with its secrets in clear text
    for operation, readable in zip(pending, clear.get("pending_operations") or [], strict=True):
        resource: Resource = operation["resource"]
        if operation["type"] != "creating":
            tell(f"{_named(resource)} was interrupted while {operation['type']}; its present state is read again.")
            continue
        begun.append((resource, readable["resource"]))
    for note in notes.values():
        if note["urn"] in pending_urns or _recorded(note, clear_resources):
            continue
        if _current(note["provider"], clear_resources) is None:
            tell(f"{_named(note)} may have been created; the state no longer has the provider that would find it.")
            continue
        resource = _resource(note, clear_resources)
        begun.append((resource, resource))
    for resource, readable in begun:
        found = search.created(readable)
        tell(f"{_named(resource)} {found.message}")
        if found.recorded is not None:
            _record(resources, {**resource, **found.recorded})
    cli.ask("stack", "import", stdin=json.dumps(state))
    for path in notes:
        path.unlink()


def _providers(endpoints: Endpoints) -> Sequence[Provider[Any]]:
    """The sandbox's providers, in this process."""
    # Where providers without a configuration of their own find GitLab.
    os.environ.update(GITLAB_BASE_URL=f"{endpoints.gitlab}/api/v4/", GITLAB_TOKEN=endpoints.gitlab_token)
    return providers(aws_url=endpoints.aws, kubernetes_url=endpoints.kubernetes)


class _Search:
    """Looks for resources in the services, through the providers that a state names."""

    def __init__(self, providers: Sequence[Provider[Any]], resources: Sequence[Resource]) -> None:
        self._providers = {kind.type: provider for provider in providers for kind in provider.kinds}
        self._kinds: dict[str, ResourceKind[Any]] = {
            kind.type: kind for provider in providers for kind in provider.kinds
        }
        self._resources = resources
        self._known = {(each["type"], each.get("id")) for each in resources if not each.get("pendingReplacement")}

    def created(self, resource: Resource) -> Found:
        """Look for what creating this resource has made."""
        kind = self._kinds.get(resource["type"])
        if kind is None:
            return Found("was interrupted while creating; there is nothing outside the state.")
        asked = from_exported(resource.get("inputs", {}))
        inputs = reveal(asked)
        provider = self._providers[resource["type"]]
        connection = provider.connect(self._configuration(resource))
        for candidate, live in self._live(provider, kind, connection, inputs):
            if kind.told_once:
                kind.delete(connection, candidate, {})
                return Found(f"was created as {candidate}, and its secret is lost: it is deleted and created again.")
            if changes(_as_asked(inputs, live), inputs, kind.inputs):
                return Found(
                    f"was not created, since there is another {candidate}. Delete that, or let the stack own it: "
                    f"{_import_command(resource, candidate)}"
                )
            return Found(
                f"was created as {candidate} without a record: it is recorded now.",
                {"id": candidate, "outputs": to_exported(merged(kind, asked, live))},
            )
        return Found("was not created; it is created now.")

    def _live(
        self, provider: Provider[Any], kind: ResourceKind[Any], connection: Any, inputs: Properties
    ) -> Iterator[tuple[str, Properties]]:
        """Those that exist, among the ids that it may have, with their properties."""
        for candidate in self._candidates(provider, kind, connection, inputs):
            if (kind.type, candidate) in self._known:
                continue
            try:
                live = kind.read(connection, candidate, inputs)
            except Exception as error:
                if not provider.is_missing(error):
                    raise
                continue
            if live is not None:
                yield candidate, live

    @staticmethod
    def _candidates(
        provider: Provider[Any], kind: ResourceKind[Any], connection: Any, inputs: Properties
    ) -> Sequence[str]:
        try:
            return list(kind.candidates(connection, inputs))
        except Exception as error:
            if not provider.is_missing(error):
                raise
            return []

    def _configuration(self, resource: Resource) -> Properties:
        """The configuration of the provider that the resource names."""
        urn = resource["provider"].rpartition("::")[0]
        inputs = next(each.get("inputs", {}) for each in self._resources if each["urn"] == urn)
        return {key: value for key, value in _plain(inputs).items() if not key.startswith(("__", "version"))}


def _import_command(resource: Resource, resource_id: str) -> str:
    options = [f"--parent=parent={resource['parent']}"]
    provider = resource["provider"].rpartition("::")[0]
    if not provider.rpartition("::")[2].startswith("default"):
        options.append(f"--provider=provider={provider}")
    return f"{_IMPORT} {shlex.join([*options, resource['type'], _name(resource), resource_id])}"


def _recorded(note: Resource, resources: Sequence[Resource]) -> bool:
    """Whether the state has the resource: the answer came in time, and only the note was not removed."""
    current = _current(note["urn"], resources)
    if current is None or current.get("pendingReplacement"):
        return False
    return bool(_plain(current.get("inputs", {})) == _plain(note["inputs"]))


def _resource(note: Resource, resources: Sequence[Resource]) -> Resource:
    """The resource of a note, as a state has it.

    The next update corrects what a note does not say: the parent, if several have the same type, and the dependencies.
    Until then it depends on all others, so that a destruction deletes it first.
    """
    current = _current(note["urn"], resources)
    if current is not None:  # it replaces that one
        kept = {key: current.get(key) for key in ("custom", "parent", "provider", "dependencies")}
        return {**note, **kept}
    parent_type = _type_path(note).rpartition("$")[0] or "pulumi:pulumi:Stack"
    alive = [each for each in resources if not each.get("delete")]
    provider = next(each["id"] for each in alive if each["urn"] == note["provider"])
    return {
        **note,
        "custom": True,
        "parent": next(each["urn"] for each in alive if _type_path(each) == parent_type),
        "provider": f"{note['provider']}::{provider}",
        "dependencies": [each["urn"] for each in alive if each.get("provider")],
    }


def _current(urn: str, resources: Sequence[Resource]) -> Resource | None:
    return next((each for each in resources if each["urn"] == urn and not each.get("delete")), None)


def _type_path(resource: Resource) -> str:
    """The types in the URN: those of the resource's parents and its own."""
    return str(resource["urn"].split("::")[2])


def _record(resources: list[Resource], made: Resource) -> None:
    """Add a resource to a state; before the one that it replaces, which is then to be deleted."""
    for index, each in enumerate(resources):
        if each["urn"] == made["urn"] and not each.get("delete"):
            if each.pop("pendingReplacement", False):
                resources[index] = made
            else:
                resources[index : index + 1] = [made, {**each, "delete": True}]
            return
    resources.append(made)


def _as_asked(inputs: Any, live: Any) -> Any:
    """The live values of the requested properties; the requested value where the cloud does not return one."""
    if isinstance(inputs, dict) and isinstance(live, dict):
        return {key: _as_asked(value, live[key]) if key in live else value for key, value in inputs.items()}
    return live


def _plain(value: Any) -> Any:
    """A value of an exported state with its secrets in clear text."""
    return reveal(from_exported(value))


def _named(resource: Resource) -> str:
    return f"{resource['type']} {_name(resource)}"


def _name(resource: Resource) -> str:
    return str(resource["urn"].rpartition("::")[2])
