"""Mocks for the program: a record of all resources that it declares."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch
from zlib import crc32

import grpc
import pulumi
from google.protobuf import json_format
from pulumi import runtime
from pulumi.runtime import mocks, rpc
from pulumi.runtime import settings as runtime_settings

from components.platform import deploy
from stacks.names import stack_name
from stacks.settings import Settings
from tests.components import answers
from tests.components.answers import ACCOUNT
from tests.components.cluster_api import ClusterApi
from tests.stacks.stack_settings import settings

STACK = "test"
NAME = stack_name(STACK)
TOKEN = "glrt-the-token-of-"

_SIGNATURE = rpc._special_sig_key  # the key of a wrapped value's kind in Pulumi's protocol


@dataclass(frozen=True)
class Resource:
    """A registered resource: its inputs as the provider would get them, and its options."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    depends_on: frozenset[str]
    """The types and names of its dependencies, including the children of components."""
    ignored: tuple[str, ...]
    replaced_by: tuple[str, ...]
    """The properties whose change replaces the resource."""
    retained: bool
    """Whether Pulumi does not delete it."""
    taken_in: str
    """The id of the existing resource that it takes in; empty if it is created."""
    drained_by: tuple[str, ...]
    """The names of the hooks that run before it is deleted."""
    provider: str

    @property
    def id(self) -> str:
        return f"{self.type} {self.name}"

    def document(self, key: str) -> dict[str, Any]:
        """An input that is JSON text."""
        loaded: dict[str, Any] = json.loads(self.inputs[key])
        return loaded

    def plain(self) -> dict[str, Any]:
        """The inputs, with secrets unwrapped."""
        opened: dict[str, Any] = _opened(self.inputs)
        return opened

    def mentions(self, text: str) -> bool:
        """Whether a text occurs anywhere in the inputs."""
        return self.says(text, in_clear=True) or self.says(text, in_clear=False)

    def says(self, text: str, *, in_clear: bool) -> bool:
        """Whether a text occurs in the inputs in clear text, or in a secret."""
        return any(text in value and secret is not in_clear for value, secret in _texts(self.inputs))


@dataclass
class Declared(mocks.MockMonitor):
    """The resources that a program declared, in order."""

    refusals: Mapping[str, str] = field(default_factory=dict)
    """Functions that fail, such as `getCluster`, each with the provider's message."""
    answers: Mapping[str, Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]] = field(
        default_factory=dict
    )
    """Properties that replace those of functions' usual answers, or functions that give the whole answer."""
    branches: Mapping[str, str] = field(default_factory=dict)
    """The default branches of projects, where they are not `main`."""
    repositories: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The ECR repositories that exist, by name: their `tags`, and their `kmsKey`."""
    node_groups: Mapping[str, int] = field(default_factory=dict)
    """The cluster's node groups that exist, with the number of their nodes."""
    cluster_api: ClusterApi | None = None
    """Kubernetes' own API; without one, it lets everybody in, and its autoscaler sees all node groups."""
    preview: bool = False
    all: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, pulumi.ResourceHook] = field(default_factory=dict)
    """The resource hooks that the program registered, by name."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Take the place of Pulumi's callback server, which needs an engine to call it."""
        self.hooks[hook.name] = hook

    def __post_init__(self) -> None:
        super().__init__(_Answers(self))

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the protocol's name)
        if request.type != "pulumi:pulumi:Stack":
            self.all.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    inputs=json_format.MessageToDict(request.object),
                    parent=request.parent,
                    depends_on=frozenset(_id(urn) for urn in request.dependencies),
                    ignored=tuple(request.ignoreChanges),
                    replaced_by=tuple(request.replaceOnChanges),
                    retained=request.retainOnDelete,
                    taken_in=request.importId,
                    drained_by=tuple(request.hooks.before_delete),
                    provider=request.provider or request.providers.get("kubernetes", ""),
                )
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def of(self, kind: str) -> dict[str, Resource]:
        """The resources of one kind, such as `ecr:Repository`, by name."""
        package, _, name = kind.rpartition(":")
        return {
            each.name: each
            for each in self.all
            if each.type.rsplit(":", 1)[-1] == name and package in each.type.replace("/", ":").split(":")
        }

    def only(self, kind: str) -> Resource:
        """The only resource of a kind."""
        [resource] = self.of(kind).values()
        return resource


def declare(stack: Settings | None = None, **keys: Any) -> Declared:
    """Run the whole program with these settings, or with the smallest settings and some other keys."""
    if stack is None and not keys:
        return _smallest()
    read = stack or settings(**keys)
    declared = Declared(branches=default_branches(read))
    attempt(lambda: deploy(lambda: read), declared)
    return declared


def default_branches(stack: Settings) -> dict[str, str]:
    """The default branches of a stack's projects in GitLab, as the settings have them."""
    return {project.path: project.default_branch for project in stack.projects}


@cache
def _smallest() -> Declared:
    """Shared by the tests that only read it."""
    return run(lambda: deploy(settings))


def run(program: Callable[[], object], **refusals: str) -> Declared:
    """Run a program to its end. `refusals` makes functions fail: `getCluster="no such cluster"`."""
    declared = Declared(refusals=refusals)
    attempt(program, declared)
    return declared


def attempt(program: Callable[[], object], declared: Declared) -> None:
    """Run a program that may fail. `declared` has the resources that it declared before."""
    runtime_settings.set_root_resource(None)  # type: ignore[arg-type]
    runtime.set_mocks(declared.mocks, project="buildyard", stack=STACK, preview=declared.preview, monitor=declared)
    runtime_settings.SETTINGS.callbacks = declared

    cluster_api = declared.cluster_api or ClusterApi(sees=declared.node_groups)

    @runtime.test  # type: ignore[untyped-decorator]
    def wait() -> pulumi.Output[None]:
        with patch("components.preflight.kubernetes.KubernetesApi", cluster_api):
            program()
        exported: Any = runtime.get_root_resource()
        return pulumi.Output.from_input(dict(exported.outputs)).apply(declared.outputs.update)

    wait()


class _Refusal(grpc.RpcError):
    """The engine's answer if a provider refuses a call."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self)


@dataclass
class _Answers(mocks.Mocks):
    declared: Declared

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        function = args.token.rsplit(":", 1)[-1]
        try:
            if function in self.declared.refusals:
                raise LookupError(self.declared.refusals[function])
            return self._answer(function, args.args)
        except LookupError as error:
            raise _Refusal(f"invocation of {args.token} returned an error: {error}") from error

    def _answer(self, function: str, args: Mapping[str, Any]) -> dict[str, Any]:
        own = self.declared.answers.get(function, {})
        if callable(own):
            return {**own(args)}
        usual = _EXISTING[function](self.declared, args) if function in _EXISTING else answers.ANSWERS[function](args)
        branch = self.declared.branches.get(args.get("pathWithNamespace", "")) if function == "getProject" else None
        return {**usual, **({"defaultBranch": branch} if branch else {}), **own}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = args.typ.rsplit(":", 1)[-1]
        # Kubernetes has kinds of the same names.
        is_known = kind in _COMPUTED and not args.typ.startswith("kubernetes:")
        computed = _COMPUTED[kind](args.name, args.inputs) if is_known else {}
        made = runner_id(args.name) if kind == "UserRunner" else f"id-of-{args.name}"
        return made, {**args.inputs, **computed}


def runner_id(name: str) -> str:
    """GitLab's id of the runner that the program calls by this name: a number, as a text."""
    return str(crc32(name.encode()))


def _repository(declared: Declared, args: Mapping[str, Any]) -> dict[str, Any]:
    found = declared.repositories[args["name"]]
    key = found.get("kmsKey", "")
    encryption = {"encryptionType": "KMS" if key else "AES256", "kmsKey": key}
    return {"name": args["name"], "tags": found.get("tags", {}), "encryptionConfigurations": [encryption]}


def _resources(declared: Declared, args: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {each["key"]: each["values"] for each in args["tagFilters"]}
    arns = [
        f"arn:aws:ecr:{answers.REGION}:{ACCOUNT}:repository/{name}"
        for name, found in declared.repositories.items()
        if found.get("listed", True) and all(found.get("tags", {}).get(key) in values for key, values in wanted.items())
    ]
    return {"resourceTagMappingLists": [{"resourceArn": arn, "tags": {}, "complianceDetails": []} for arn in arns]}


_EXISTING: dict[str, Callable[[Declared, Mapping[str, Any]], dict[str, Any]]] = {
    "getRepositories": lambda declared, args: {"names": ["elsewhere/shop", *declared.repositories]},
    "getRepository": _repository,
    "getResources": _resources,
    "getNodeGroups": lambda declared, args: {"names": ["system", *declared.node_groups]},
    "getNodeGroup": lambda declared, args: {
        "nodeGroupName": args["nodeGroupName"],
        "taints": [],
        "scalingConfigs": [
            {"desiredSize": declared.node_groups.get(args["nodeGroupName"], 2), "maxSize": 10, "minSize": 0}
        ],
    },
}

_COMPUTED: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "Repository": lambda name, inputs: {
        "arn": f"arn:{answers.PARTITION}:ecr:{answers.REGION}:{ACCOUNT}:repository/{inputs['name']}",
        "repositoryUrl": f"{answers.REGISTRY}/{inputs['name']}",
    },
    "Policy": lambda name, inputs: {
        "arn": f"arn:{answers.PARTITION}:iam::{ACCOUNT}:policy{inputs['path']}{inputs['name']}"
    },
    "Role": lambda name, inputs: {
        "arn": f"arn:{answers.PARTITION}:iam::{ACCOUNT}:role{inputs['path']}{inputs['name']}"
    },
    "LaunchTemplate": lambda name, inputs: {"name": f"{name}-abc1234", "latestVersion": 1},
    "NodeGroup": lambda name, inputs: {
        "nodeGroupName": f"{name}-abc1234",
        "resources": [{"autoscalingGroups": [{"name": f"eks-{name}"}]}],
    },
    "UserRunner": lambda name, inputs: {"token": pulumi.Output.secret(f"{TOKEN}{name}")},
}


def _id(urn: str) -> str:
    types, name = urn.split("::")[2:4]
    return f"{types.split('$')[-1]} {name}"


def _is_secret(value: Mapping[str, Any]) -> bool:
    return bool(value.get(_SIGNATURE) == rpc._special_secret_sig)


def _opened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _opened(value["value"]) if _is_secret(value) else {key: _opened(each) for key, each in value.items()}
    return [_opened(each) for each in value] if isinstance(value, list) else value


def _texts(value: Any, secret: bool = False) -> Iterator[tuple[str, bool]]:
    if isinstance(value, Mapping):
        hidden = secret or _is_secret(value)
        for key, each in value.items():
            yield key, secret
            yield from _texts(each, hidden)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, secret)
    else:
        yield str(value), secret
