"""A change of each key of the settings, what the CLI shows of it, and what the documentation says about it.

`CHANGES` has a change of the shipped stack for each key, except that `ALIKE` names one for keys that differ in no more
than the name of a field. A preview of it says which kinds of resources change, and `effects` puts that into the words
of the table in `docs/operations.md`.
"""

import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from stacks.settings import Settings
from tests.stacks.authorities import authority

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
WORDS_HEADING = "## What a change does to running jobs"
HEADING = "## What a change of each key does"

Config = dict[str, Any]
Change = Callable[[Config], object]

KEY = "arn:aws:kms:ap-east-1:123456789012:key/1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"
SECRET = "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
PINNED = f"docker-image://alpine:3.22@sha256:{'0' * 64}"
OTHER_PROJECT = "platform/other"
OTHER_BRANCH = "main"
OTHER_CLUSTER = "other"
OTHER_GROUP = "sg-0a1b2c3d4e5f60001"  # stands for one that exists
BOUNDARY = "arn:aws:iam::123456789012:policy/rules/boundary"
PROXY = "http://proxy.example.com:3128"
MIRROR = "registry.example.com/gitlab-org/gitlab-runner"


def keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every key that has no keys in it: `nodes.*.disk`, `projects[].images[].context`."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        kind = str(field.annotation)
        key += ".*" if kind.startswith("dict") else "[]" if kind.startswith("tuple") else ""
        nested = [each for each in _models(field.annotation) if each.model_fields]
        # A build argument is a text, or a mapping with one key.
        if nested and not key.endswith("build-args.*"):
            for each in nested:
                yield from keys(each, f"{key}.")
        else:
            yield key.removesuffix("[]").removesuffix(".*")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for each in get_args(annotation) for model in _models(each)]


def _set(path: str, value: Any) -> Change:
    """Set a key of the stack, such as `runners.concurrent`."""
    top, *inner = path.split(".")

    def change(config: Config) -> None:
        target, steps = config, [f"buildyard:{top}", *inner]
        for step in steps[:-1]:
            target = target.setdefault(step, {})
        target[steps[-1]] = value

    return change


def _both_nodes(key: str, value: Any) -> Change:
    return lambda config: [nodes.update({key: value}) for nodes in config["buildyard:nodes"].values()]


def _other_types(config: Config) -> None:
    for nodes in config["buildyard:nodes"].values():
        nodes["instance-types"].append(nodes["instance-types"][0].replace("m7", "m6"))


def _project(key: str, value: Any) -> Change:
    return lambda config: config["buildyard:projects"][0].update({key: value})


def _image(key: str, value: Any, position: int = 2) -> Change:
    return lambda config: config["buildyard:projects"][0]["images"][position].update({key: value})


def _less_cpu(config: Config) -> None:
    config["buildyard:projects"][0]["images"][2]["resources"]["cpu"]["request"] = "5"


def _warm(**keys: Any) -> Change:
    return _set("runners.warm", {"when": "always", **keys})


def _runners_of_one_project(config: Config) -> None:
    del config["buildyard:runners"]["group"]
    config["buildyard:runners"]["project"] = "platform/images"


def _runners_of_the_projects(config: Config) -> None:
    del config["buildyard:runners"]["group"]
    config["buildyard:runners"]["projects-only"] = True


def _another_name(config: Config) -> None:
    _image("name", "tools")(config)
    config["buildyard:registry"]["delete-images"].remove("platform/images/toolbox")


def _another_repository(config: Config) -> None:
    _image("repository", "shop/toolbox")(config)
    config["buildyard:registry"]["delete-images"].remove("platform/images/toolbox")


def _another_path(config: Config) -> None:
    _project("path", OTHER_PROJECT)(config)
    config["buildyard:registry"]["delete-images"] = []


def _another_prefix(config: Config) -> None:
    config["buildyard:registry"] = {"prefix": "dev"}


def _another_builder(config: Config) -> None:
    _set("runners.builder-image", "registry.example.com/builder:1")(config)
    config["buildyard:registry"]["delete-images"].remove("buildyard/builder")


CHANGES: Mapping[str, Change] = {
    "cluster.name": _set("cluster.name", OTHER_CLUSTER),
    "cluster.subnet-ids": _set("cluster.subnet-ids", ["subnet-0a1b2c3d4e5f60001"]),
    "cluster.cni-role": _set("cluster.cni-role", True),
    "cluster.daemon-sets.cpu": _set("cluster.daemon-sets.cpu", "100m"),
    "nodes.*.instance-types": _other_types,
    "nodes.*.max-size": _both_nodes("max-size", 8),
    "nodes.*.disk": _both_nodes("disk", "300Gi"),
    "nodes.*.disk-iops": _both_nodes("disk-iops", 8000),
    "nodes.*.cache.size": _both_nodes("cache", {"size": "100Gi"}),
    "nodes.*.kms-key": _both_nodes("kms-key", KEY),
    "nodes.*.capacity": _both_nodes("capacity", "on-demand"),
    "nodes.*.security-groups": _both_nodes("security-groups", [OTHER_GROUP]),
    "nodes.*.labels": _both_nodes("labels", {"team": "platform"}),
    "nodes.*.boot-script": _both_nodes("boot-script", "#!/bin/bash\nupdate-ca-trust\n"),
    "runners.project": _runners_of_one_project,
    "runners.projects-only": _runners_of_the_projects,
    "runners.tags.prefix": _set("runners.tags.prefix", "builds"),
    "runners.concurrent": _set("runners.concurrent", 21),
    "runners.defaults.cpu.request": _set("runners.defaults.cpu.request", "3"),
    "runners.ceilings.cpu": _set("runners.ceilings.cpu", "10"),
    "runners.ceilings.memory": _set("runners.ceilings.memory", "20Gi"),
    "runners.ceilings.ephemeral-storage": _set("runners.ceilings.ephemeral-storage", "60Gi"),
    "runners.helper.cpu.request": _set("runners.helper.cpu.request", "200m"),
    "runners.services.cpu.request": _set("runners.services.cpu.request", "200m"),
    "runners.namespace": _set("runners.namespace", "images"),
    "runners.builder-image": _another_builder,
    "runners.maximum-timeout-minutes": _set("runners.maximum-timeout-minutes", 200),
    "runners.node-wait-minutes": _set("runners.node-wait-minutes", 12),
    "runners.user-namespaces": _set("runners.user-namespaces", True),
    "runners.warm.when": _warm(),
    "runners.warm.jobs": _warm(jobs=2),
    "runners.warm.tiers": _warm(tiers=["protected"]),
    "runners.warm.hours.since": _set("runners.warm", {"when": "hours", "hours": {"since": 7}}),
    "runners.warm.pause-image": _warm(**{"pause-image": "registry.k8s.io/pause:3.10"}),
    "runners.chart-values": _set("runners.chart-values", {"nodeSelector": {"pool": "system"}}),
    "runners.config": _set("runners.config", "[[runners]]\n  output_limit = 8192\n"),
    "network.deny": _set("network.deny", ["10.0.0.0/8"]),
    "network.allow[].cidr": _set("network.allow", [{"cidr": "10.1.2.3/32"}]),
    "network.allow[].ports": _set("network.allow", [{"cidr": "10.1.2.3/32", "ports": [8443]}]),
    "network.ca-bundle": _set("network.ca-bundle", authority()),
    "network.proxy.https": _set("network.proxy.https", PROXY),
    "network.proxy.no-proxy": _set("network.proxy", {"https": PROXY, "no-proxy": [".example.com"]}),
    "network.mirrors.chart": _set("network.mirrors.chart", "oci://registry.example.com/charts/gitlab-runner"),
    "network.mirrors.runner-image": _set("network.mirrors.runner-image", MIRROR),
    "network.mirrors.helper-image": _set("network.mirrors.helper-image", f"{MIRROR}/gitlab-runner-helper"),
    "monitoring.service-monitor.labels": _set("monitoring.service-monitor.labels", {"release": "prometheus"}),
    "monitoring.alerts.labels": _set("monitoring.alerts.labels", {"release": "prometheus"}),
    "monitoring.dashboard.labels": _set("monitoring.dashboard.labels", {"grafana_dashboard": "1"}),
    "monitoring.dashboard.namespace": _set("monitoring.dashboard.namespace", "monitoring"),
    "monitoring.pushgateway": _set("monitoring.pushgateway", "http://pushgateway.monitoring:9091"),
    "registry.account": _set("registry.account", "123456789012"),
    "registry.prefix": _another_prefix,
    "registry.kms-key": _set("registry.kms-key", KEY),
    "registry.keep-untagged-days": _set("registry.keep-untagged-days", 8),
    "registry.keep-versions": _set("registry.keep-versions", 600),
    "registry.keep-cache-days": _set("registry.keep-cache-days", 31),
    "registry.keep-review-days": _set("registry.keep-review-days", 15),
    "registry.pull-from": _set("registry.pull-from", ["shared/base"]),
    "registry.logins.*.job-token": _set("registry.logins", {"registry.example.com": {"job-token": True}}),
    "registry.logins.*.password": _set("registry.logins", {"registry.example.com": {"user": "x", "password": "HUB"}}),
    "registry.pull-through.docker-hub.credentials": _set("registry.pull-through.docker-hub.credentials", SECRET),
    "registry.pull-through.kubernetes": _set("registry.pull-through.kubernetes", {}),
    "registry.pull-through.quay": _set("registry.pull-through.quay", {}),
    "registry.pull.accounts": _set("registry.pull.accounts", ["111122223333"]),
    "registry.pull.lambda-accounts": _set("registry.pull.lambda-accounts", ["111122223333"]),
    "registry.blob-mounting": _set("registry.blob-mounting", True),
    "registry.compression": _set("registry.compression", "zstd"),
    "registry.adopt": _set("registry.adopt", True),
    "registry.delete-images": _set("registry.delete-images", []),
    "trust": _set("trust", "shared"),
    "identity": _set("identity", "irsa"),
    "iam.permissions-boundary": _set("iam.permissions-boundary", BOUNDARY),
    "iam.path": _set("iam.path", "/ci/"),
    "projects[].path": _another_path,
    "projects[].default-branch": _project("default-branch", OTHER_BRANCH),
    "projects[].release-tags": _project("release-tags", ["v*"]),
    "projects[].time-zone": _project("time-zone", "Europe/Berlin"),
    "projects[].pipeline-path": _project("pipeline-path", ".gitlab/buildyard.yml"),
    "projects[].stage": _project("stage", "images"),
    "projects[].max-jobs": _project("max-jobs", 500),
    "projects[].images[].name": _another_name,
    "projects[].images[].context": _image("context", "images/web"),
    "projects[].images[].dockerfile": _image("dockerfile", "../Dockerfile"),
    "projects[].images[].repository": _another_repository,
    "projects[].images[].architectures": _image("architectures", ["arm64"]),
    "projects[].images[].depends-on": _image("depends-on", ["base"]),
    "projects[].images[].watch": _image("watch", ["docs"]),
    "projects[].images[].contexts": _image("contexts", {"tools": PINNED}),
    "projects[].images[].build-args": _image("build-args", {"A": "b"}),
    "projects[].images[].target": _image("target", "runtime"),
    "projects[].images[].secrets": _image("secrets", {"npm": "NPM_TOKEN"}),
    "projects[].images[].git-tags": _image("git-tags", ["v*"]),
    "projects[].images[].semver": _image("semver", True),
    "projects[].images[].test": _image("test", "true"),
    "projects[].images[].lint": _image("lint", True),
    "projects[].images[].retired": _image("retired", True),
    "projects[].images[].resources.cpu.request": _less_cpu,
    "projects[].images[].timeout-minutes": _image("timeout-minutes", 90),
    "tags": _set("tags", {"team": "platform"}),
}

ALIKE: Mapping[str, Sequence[str]] = {
    "cluster.daemon-sets.cpu": ("cluster.daemon-sets.memory", "cluster.daemon-sets.ephemeral-storage"),
    "nodes.*.disk-iops": ("nodes.*.disk-throughput",),
    "nodes.*.cache.size": ("nodes.*.cache.iops", "nodes.*.cache.throughput"),
    "runners.project": ("runners.group",),
    **{
        f"{container}.cpu.request": (
            f"{container}.cpu.limit",
            *(
                f"{container}.{amount}.{bound}"
                for amount in ("memory", "ephemeral-storage")
                for bound in ("request", "limit")
            ),
        )
        for container in ("runners.defaults", "runners.helper", "runners.services", "projects[].images[].resources")
    },
    "runners.warm.hours.since": (
        *("runners.warm.hours.days", "runners.warm.hours.until", "runners.warm.hours.time-zone"),
    ),
    "network.proxy.https": ("network.proxy.http",),
    "registry.logins.*.password": ("registry.logins.*.user",),
    "registry.pull-through.docker-hub.credentials": (
        *("registry.pull-through.ghcr.credentials", "registry.pull-through.gitlab.credentials"),
    ),
    "registry.pull.accounts": ("registry.pull.principals", "registry.pull.organizations"),
}
"""Keys that need no preview of their own: the same code reads them as the key before them, from another field."""


def together(keys: Iterable[str], config: Config) -> list[list[str]]:
    """Groups of keys whose changes the table gives the same words, and which do not touch each other in `config`."""
    groups: list[list[str]] = []
    for key in keys:
        for group in groups:
            if words_of(group[0]) == words_of(key) and all(_apart(config, key, other) for other in group):
                group.append(key)
                break
        else:
            groups.append([key])
    return groups


def _apart(config: Config, *keys: str) -> bool:
    """Whether two changes can be made in any order, and neither hides the other."""
    try:
        results = [changed(config, order) for order in (keys, keys[::-1], keys[:1], keys[1:])]
    except (KeyError, ValueError):
        return False
    return results[0] == results[1] and results[0] not in results[2:]


def changed(config: Config, keys: Iterable[str]) -> Config:
    """The settings after some changes."""
    made = copy.deepcopy(config)
    for key in keys:
        CHANGES[key](made)
    return made


KINDS = {
    "Namespace": "namespaces",
    **dict.fromkeys(("UserRunner", "ProjectRunnerEnablement"), "runners"),
    "Release": "managers",
    **dict.fromkeys(
        (
            *("LimitRange", "ResourceQuota", "NetworkPolicy", "PriorityClass", "ServiceAccount"),
            *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        ),
        "pod rules",
    ),
    **dict.fromkeys(("Role", "Policy", "RolePolicyAttachment", "PodIdentityAssociation", "RepositoryPolicy"), "rights"),
    **dict.fromkeys(("ClusterRole", "ClusterRoleBinding", "RoleBinding"), "rights"),
    **dict.fromkeys(("PrometheusRule", "ConfigMap"), "monitoring"),
    "LifecyclePolicy": "retention",
    "AccountSetting": "account",
    **dict.fromkeys(("PullThroughCacheRule", "RepositoryCreationTemplate"), "caches"),
    **dict.fromkeys(("RepositoryFile", "ProjectVariable"), "pipeline"),
    # These follow others.
    **dict.fromkeys(("Secret", "Tag", "LaunchTemplate", "kubernetes"), ""),
}
"""The word for a change of each kind of resource, where its operation does not matter."""

IMPLIED = {
    "namespaces": {"runners", "managers", "pod rules", "rights", "nodes"},
    "nodes": {"runners", "managers"},
    "runners": {"managers"},
    "repositories": {"retention"},
}
"""The words that each word includes."""

NOTHING = "nothing"


def effects(preview: str) -> set[str]:
    """The words for what a preview changes, from the output of `pulumi preview --json`."""
    steps = [step for step in json.loads(preview)["steps"] if step["op"] not in ("same", "refresh")]
    custom = [step for step in steps if not step["urn"].split("::")[2].split("$")[-1].startswith("buildyard:")]
    found = {_effect(step) for step in custom} - {""}
    return found.difference(*(IMPLIED.get(word, set()) for word in found)) or {NOTHING}


def _effect(step: Mapping[str, Any]) -> str:
    kind: str = step["urn"].split("::")[2].rpartition(":")[2]
    in_place = step["op"] == "update"
    paths = [*(step.get("detailedDiff") or ())]
    name = step["urn"].rpartition("::")[2]
    if kind == "Tag":
        return "tags" if "-tag-" in name else ""
    for property_, word in (("tags", "tags"), ("labels", "labels")):
        if in_place and paths and all(re.match(rf"{property_}\b", path) for path in paths):
            return word
    if kind == "NodeGroup":
        return "size" if in_place else "nodes"
    if kind == "Repository":
        return "retention" if in_place else "repositories"
    if kind == "ConfigMap" and name.endswith("ca-bundle"):
        return ""  # it follows the managers
    if kind == "UserRunner" and in_place:
        return "runner tags" if any(path.startswith("tagLists") for path in paths) else ""
    return KINDS.get(kind, kind)


@cache
def documented() -> Mapping[str, set[str]]:
    """The words of each key in the table, by the keys' patterns, in which `*` is anything."""
    section = OPERATIONS.read_text().partition(HEADING)[2].partition("\n## ")[0]
    table = section.partition("| key |")[2].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table if line.startswith("|")]
    return {
        pattern: {word.strip() for word in words.split(",")}
        for keys, words, *_ in rows
        for pattern in re.findall("`([^`]+)`", keys)
    }


def row_of(key: str) -> list[str]:
    """The patterns of the table that match a key."""
    return [each for each in documented() if re.fullmatch(re.escape(each).replace(r"\*", ".*"), key)]


def words_of(key: str) -> set[str]:
    """The words of a key in the table."""
    [pattern] = row_of(key)
    return documented()[pattern]


def words() -> Iterable[str]:
    """The words that the documentation explains."""
    section = OPERATIONS.read_text().partition(WORDS_HEADING)[2].partition("\n## ")[0]
    return re.findall(r"^\| ([a-z ]+) \|", section.partition("| --- |")[2], re.MULTILINE)
